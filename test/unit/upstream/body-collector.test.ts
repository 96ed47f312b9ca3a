import { expect, test } from 'vitest';
import { UpstreamError } from '../../../src/errors.ts';
import { emptyRow, type FetchRow } from '../../../src/imap/fetch-row.ts';
import { asUid } from '../../../src/maildrop/numbers.ts';
import { collectorFor, type BodyCollector } from '../../../src/upstream/body-collector.ts';
import { BodySlot } from '../../../src/upstream/body-slot.ts';

const never = new AbortController().signal;
const MIB = 1024 * 1024;

function slotsOf(...uids: number[]): Map<number, BodySlot> {
  const watcher = { received: () => {}, released: () => {}, starving: () => {} };
  return new Map(uids.map((uid) => [uid, new BodySlot(asUid(uid), 0, watcher)]));
}

function rowOf(uid: number): FetchRow {
  return { ...emptyRow(1), uid };
}

/** A row whose UID is told before its body and at its end, 0 for not at all. True where it was taken. */
function give(bodies: BodyCollector, uidBefore: number, text: string, uidAtEnd: number): boolean {
  const octets = Buffer.from(text, 'latin1');
  bodies.body(rowOf(uidBefore), { name: '', origin: undefined }, octets.length)?.write(octets);
  return bodies.row(rowOf(uidAtEnd));
}

async function textOf(slot: BodySlot | undefined): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of slot?.octets(never) ?? []) chunks.push(chunk);
  return Buffer.concat(chunks).toString('latin1');
}

test('a body goes to its message, whether its UID is told before it or behind it', async () => {
  const slots = slotsOf(7, 8, 9);
  const bodies = collectorFor(slots, '');
  expect(give(bodies, 8, 'eight', 8)).toBe(true);
  expect(give(bodies, 0, 'nine', 9)).toBe(true);
  expect(give(bodies, 0, 'another', 55)).toBe(true);
  expect([await textOf(slots.get(8)), await textOf(slots.get(9)), slots.get(7)?.isOpen]).toEqual(['eight', 'nine', false]);
  expect(bodies.hadUnnamed()).toBe(false);
});

test.for([[7], [7, 8]])('a body without a UID is nobody’s where %s was asked for: it may be a late answer to another command', (uids) => {
  const slots = slotsOf(...uids);
  const bodies = collectorFor(slots, '');
  expect(give(bodies, 0, 'whose', 0)).toBe(true);
  expect([...slots.values()].map(({ isOpen }) => isOpen)).toEqual(uids.map(() => false));
  expect(bodies.hadUnnamed()).toBe(true);
});

test('a body that turns out to be of another message ends the connection', () => {
  const bodies = collectorFor(slotsOf(7), '');
  expect(() => give(bodies, 7, 'eight', 0)).toThrow(UpstreamError);
  expect(() => give(collectorFor(slotsOf(7), ''), 7, 'eight', 8)).toThrow(UpstreamError);
});

test('a long body of which the server does not say whose it is, is not kept, and is to be asked for again', () => {
  const slots = slotsOf(7, 8);
  const bodies = collectorFor(slots, '');
  expect(bodies.body(rowOf(0), { name: '', origin: undefined }, 4 * MIB + 1)).toBeUndefined();
  expect(bodies.row(rowOf(7))).toBe(false);
  expect(bodies.hadUnnamed()).toBe(true);
  expect(give(bodies, 8, 'eight', 8)).toBe(true);
});
