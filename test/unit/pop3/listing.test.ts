import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { holds } from '../../support/holds.ts';
import type { Maildrop } from '../../../src/maildrop/maildrop.ts';
import { LISTING_CHUNK_CHARACTERS } from '../../../src/pop3/limits.ts';
import { list, uidl } from '../../../src/pop3/transaction.ts';
import { snapshotOf } from '../../support/fake-maildrop.ts';
import { transaction } from './sessions.ts';

/** The pieces of a listing. */
function pieces(maildrop: Maildrop, verb: 'LIST' | 'UIDL'): Buffer[] {
  const [, effects] = (verb === 'LIST' ? list : uidl)(transaction(maildrop), { verb, message: undefined });
  const [effect] = effects;
  if (effect?.do !== 'reply') throw new Error('no reply');
  return Array.from(effect.reply.lines ?? [], (piece) => Buffer.from(piece));
}

const text = (maildrop: Maildrop, verb: 'LIST' | 'UIDL'): string => Buffer.concat(pieces(maildrop, verb)).toString();

/** Line by line, as RFC 1939 has it. */
function expected(maildrop: Maildrop, verb: 'LIST' | 'UIDL'): string {
  return Array.from(maildrop.scanListing(), ({ number, octets, uniqueId }) => `${number} ${verb === 'LIST' ? octets : uniqueId}\r\n`).join(
    '',
  );
}

describe('a long listing', () => {
  test('comes in pieces of whole lines, none lost', () => {
    const maildrop = snapshotOf(Array.from({ length: 20_000 }, (_, index) => index));
    for (const verb of ['LIST', 'UIDL'] as const) {
      const all = pieces(maildrop, verb);
      expect(Buffer.concat(all).toString()).toBe(expected(maildrop, verb));
      expect(all.length).toBeGreaterThan(2);
      for (const piece of all) {
        expect(piece.subarray(-2).toString()).toBe('\r\n');
        expect(piece.length).toBeLessThan(LISTING_CHUNK_CHARACTERS + 100);
      }
    }
  });

  test('is made once for all sessions that see the same, as long as no message is marked deleted', () => {
    const maildrop = snapshotOf([1, 2, 3]);
    const [first] = pieces(maildrop, 'UIDL');
    const entry = maildrop.lookup(2);
    if (entry === undefined) throw new Error('no message 2');
    const rendered = maildrop.rendered('UIDL', () => []);
    expect(rendered[0]).toEqual(first);
    expect(maildrop.withRetrieved(entry).rendered('UIDL', () => [])).toBe(rendered);
    expect(
      maildrop
        .withDeleted(entry)
        .withoutMarks()
        .rendered('UIDL', () => []),
    ).toBe(rendered);
    expect(maildrop.withDeleted(entry).rendered('UIDL', () => [])).toEqual([]);
  });

  test('is that of the marks there are, whatever was listed before', () => {
    const mark = fc.record({ number: fc.integer({ min: 1, max: 30 }), how: fc.constantFrom('delete', 'retrieve', 'reset', 'list') });
    holds(
      fc.property(fc.array(fc.nat(1000), { maxLength: 30 }), fc.array(mark, { maxLength: 20 }), (octets, marks) => {
        let maildrop = snapshotOf(octets);
        for (const { number, how } of marks) {
          const entry = maildrop.lookup(number);
          if (how === 'reset') maildrop = maildrop.withoutMarks();
          else if (how === 'delete' && entry !== undefined) maildrop = maildrop.withDeleted(entry);
          else if (how === 'retrieve' && entry !== undefined) maildrop = maildrop.withRetrieved(entry);
          for (const verb of ['LIST', 'UIDL'] as const) expect(text(maildrop, verb)).toBe(expected(maildrop, verb));
        }
      }),
    );
  });
});
