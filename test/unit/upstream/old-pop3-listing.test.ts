import { expect, test } from 'vitest';
import { joinListings } from '../../../src/upstream/old-pop3-listing.ts';

test('UIDL and LIST together are the messages, by their numbers, gaps and all', () => {
  expect(joinListings(['3 c', '1  a '], ['1 100', '3 300 of a memo'])).toEqual([
    { number: 1, uniqueId: 'a', octets: 100 },
    { number: 3, uniqueId: 'c', octets: 300 },
  ]);
  expect(joinListings([], [])).toEqual([]);
});

const BAD: readonly (readonly [uidl: readonly string[], list: readonly string[], kind: string, problem: string])[] = [
  [['1 a', '2 b'], ['1 1'], 'incomplete', 'message 2 stands in UIDL and not in LIST'],
  [['1 a'], ['1 1', '2 2'], 'incomplete', 'message 2 stands in LIST and not in UIDL'],
  [['1 a', '1 b'], ['1 1'], 'protocol', 'UIDL lists message 1 twice'],
  [['1 a'], ['1 1', '1 1'], 'protocol', 'LIST lists message 1 twice'],
  [['1 a', '2 a'], ['1 1', '2 2'], 'protocol', 'messages 1 and 2 share the unique-id "a"'],
  [['1'], ['1 1'], 'protocol', 'UIDL has the damaged line "1"'],
  [['1 '], ['1 1'], 'protocol', 'UIDL has the damaged line "1 "'],
  [['0 a'], ['0 1'], 'protocol', 'UIDL has the damaged line "0 a"'],
  [['x a'], ['1 1'], 'protocol', 'UIDL has the damaged line "x a"'],
  [['-1 a'], ['1 1'], 'protocol', 'UIDL has the damaged line "-1 a"'],
  [['12345678901 a'], ['1 1'], 'protocol', 'UIDL has the damaged line'],
  [['1 a b'], ['1 1'], 'protocol', 'UIDL has the damaged line "1 a b"'],
  [['1 caf\xe9'], ['1 1'], 'protocol', '"caf?" of message 1 can be no unique-id'],
  [[`1 ${'x'.repeat(129)}`], ['1 1'], 'protocol', 'can be no unique-id'],
  [['1 a\0'], ['1 1'], 'protocol', '"a?" of message 1 can be no unique-id'],
  [['1 a'], ['1 x'], 'protocol', 'LIST has the damaged line "1 x"'],
  [['1 a'], ['1 -5'], 'protocol', 'LIST has the damaged line "1 -5"'],
  [['1 a'], ['1 9999999999999999'], 'protocol', 'LIST has the damaged line'],
];

test.for(BAD)('UIDL %j with LIST %j is refused (%s: %s)', ([uidl, list, kind, problem]) => {
  expect(() => joinListings(uidl, list)).toThrow(expect.objectContaining({ kind, message: expect.stringContaining(problem) }));
});
