import { expect, test } from 'vitest';
import { UpstreamError } from '../../../src/errors.ts';
import { emptyRow, type FetchRow } from '../../../src/imap/fetch-row.ts';
import { asUid } from '../../../src/maildrop/numbers.ts';
import { collectorFor, type BodyCollector } from '../../../src/upstream/body-collector.ts';
import { BodySlot } from '../../../src/upstream/body-slot.ts';

const never = new AbortController().signal;
const MIB = 1024 * 1024;

/** For messages of that size. */
function slotsOf(octets: number, ...uids: number[]): Map<number, BodySlot> {
  const watcher = { received: () => {}, released: () => {}, starving: () => {} };
  return new Map(uids.map((uid) => [uid, new BodySlot(asUid(uid), octets, watcher)]));
}

function rowOf(uid: number): FetchRow {
  return { ...emptyRow(1), uid };
}

/** A row whose UID is told before its body and at its end, 0 for not at all. True where it was taken. */
function give(bodies: BodyCollector, uidBefore: number, text: string, uidAtEnd: number, origin?: number): boolean {
  const octets = Buffer.from(text, 'latin1');
  bodies.body(rowOf(uidBefore), { name: '', origin }, octets.length)?.write(octets);
  return bodies.row(rowOf(uidAtEnd));
}

async function textOf(slot: BodySlot | undefined): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of slot?.octets(never) ?? []) chunks.push(chunk);
  return Buffer.concat(chunks).toString('latin1');
}

test('a body goes to its message, whether its UID is told before it or behind it', async () => {
  const slots = slotsOf(0, 7, 8, 9);
  const bodies = collectorFor(slots, '');
  expect(give(bodies, 8, 'eight', 8)).toBe(true);
  expect(give(bodies, 0, 'nine', 9)).toBe(true);
  expect(give(bodies, 0, 'another', 55)).toBe(true);
  expect([await textOf(slots.get(8)), await textOf(slots.get(9)), slots.get(7)?.isOpen]).toEqual(['eight', 'nine', false]);
  expect(bodies.hadUnnamed()).toBe(false);
});

test.for([[7], [7, 8]])('a body without a UID is nobody’s where %s was asked for: it may be a late answer to another command', (uids) => {
  const slots = slotsOf(0, ...uids);
  const bodies = collectorFor(slots, '');
  expect(give(bodies, 0, 'whose', 0)).toBe(true);
  expect([...slots.values()].map(({ isOpen }) => isOpen)).toEqual(uids.map(() => false));
  expect(bodies.hadUnnamed()).toBe(true);
});

test('a body that turns out to be of another message ends the connection', () => {
  const bodies = collectorFor(slotsOf(0, 7), '');
  expect(() => give(bodies, 7, 'eight', 0)).toThrow(UpstreamError);
  expect(() => give(collectorFor(slotsOf(0, 7), ''), 7, 'eight', 8)).toThrow(UpstreamError);
});

test('a long body of which the server does not say whose it is, is not kept, and is to be asked for again', () => {
  const slots = slotsOf(0, 7, 8);
  const bodies = collectorFor(slots, '');
  expect(bodies.body(rowOf(0), { name: '', origin: undefined }, 4 * MIB + 1)).toBeUndefined();
  expect(bodies.row(rowOf(7))).toBe(false);
  expect(bodies.hadUnnamed()).toBe(true);
  expect(give(bodies, 8, 'eight', 8)).toBe(true);
});

test.for([
  ['7', 7],
  ['none, which comes behind it', 0],
] as const)(
  'a body that is marked as a part from the first octet is whole only where it has all octets: UID before it %s',
  async ([, uidBefore]) => {
    const slots = slotsOf(5, 7);
    const part = collectorFor(slots, '');
    give(part, uidBefore, 'seve', 7, 0);
    expect([slots.get(7)?.isOpen, part.hadPart()]).toEqual([false, true]);
    const whole = collectorFor(slots, '');
    expect(give(whole, uidBefore, 'seven', 7, 0)).toBe(true);
    expect([await textOf(slots.get(7)), whole.hadPart()]).toEqual(['seven', false]);
  },
);

test('a header that is marked as a part is none: nobody knows how long it has to be', () => {
  const slots = slotsOf(5, 7);
  const bodies = collectorFor(slots, 'HEADER');
  expect(bodies.body(rowOf(7), { name: 'HEADER', origin: 0 }, 5)).toBeUndefined();
  expect([bodies.row(rowOf(7)), slots.get(7)?.isOpen]).toEqual([false, false]);
});
