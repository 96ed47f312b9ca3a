import { expect, test } from 'vitest';
import { BodyCache, MAX_BODY_OCTETS } from '../../../src/upstream/body-cache.ts';

const MAILBOX = ['imap.example.com:993', 'alice', 'INBOX', 7] as const;
const body = (text: string): Buffer[] => [Buffer.from(text)];

test('a body that was read is there for whoever reads the same mailbox', () => {
  const cache = new BodyCache(3000);
  cache.of(MAILBOX).add(1, 5, [Buffer.from('he'), Buffer.from('llo')]);
  expect(cache.of(MAILBOX).get(1, 5)?.toString()).toBe('hello');
});

test.for([
  ['account', ['imap.example.com:993', 'bob', 'INBOX', 7]],
  ['server', ['imap.example.org:993', 'alice', 'INBOX', 7]],
  ['folder', ['imap.example.com:993', 'alice', 'Work', 7]],
  ['UIDVALIDITY', ['imap.example.com:993', 'alice', 'INBOX', 8]],
] as const)('but not for another %s', ([, other]) => {
  const cache = new BodyCache(3000);
  cache.of(MAILBOX).add(1, 5, body('hello'));
  expect(cache.of(other).get(1, 5)).toBeUndefined();
});

test('nor is it there for another message, or one of another size under the same UID', () => {
  const bodies = new BodyCache(3000).of(MAILBOX);
  bodies.add(1, 5, body('hello'));
  expect([bodies.get(2, 5), bodies.get(1, 6)]).toEqual([undefined, undefined]);
});

test('nothing holds of a mailbox that is not what it was', () => {
  const cache = new BodyCache(3000);
  cache.of(MAILBOX).add(1, 5, body('hello'));
  cache.of(MAILBOX).forget();
  expect(cache.of(MAILBOX).get(1, 5)).toBeUndefined();
  cache.of(MAILBOX).add(1, 5, body('other'));
  expect(cache.of(MAILBOX).get(1, 5)?.toString()).toBe('other');
});

test('it takes no more room than it was given, and nothing at all where that is none', () => {
  const bodies = new BodyCache(3000).of(MAILBOX);
  for (let uid = 1; uid <= 10; uid += 1) bodies.add(uid, 300, body('x'.repeat(300)));
  // What an entry takes besides its body counts too.
  expect([8, 9, 10].map((uid) => bodies.get(uid, 300)?.length)).toEqual([300, 300, 300]);
  expect([1, 2, 7].map((uid) => bodies.get(uid, 300))).toEqual([undefined, undefined, undefined]);
  const none = new BodyCache(0).of(MAILBOX);
  none.add(1, 5, body('hello'));
  expect(none.get(1, 5)).toBeUndefined();
});

test('a large message is not kept, nor one without octets', () => {
  const bodies = new BodyCache(10 * MAX_BODY_OCTETS).of(MAILBOX);
  bodies.add(1, 5, [Buffer.alloc(MAX_BODY_OCTETS), Buffer.alloc(1)]);
  bodies.add(2, 5, []);
  expect([bodies.get(1, 5), bodies.get(2, 5)]).toEqual([undefined, undefined]);
});

test('what is kept is a copy: the buffer that it came in may be used again', () => {
  const bodies = new BodyCache(3000).of(MAILBOX);
  const came = Buffer.from('hello');
  bodies.add(1, 5, [came]);
  came.fill('x');
  expect(bodies.get(1, 5)?.toString()).toBe('hello');
});

test('a short body holds no more memory than its own', () => {
  const bodies = new BodyCache(3000).of(MAILBOX);
  bodies.add(1, 5, body('hello'));
  expect(bodies.get(1, 5)?.buffer.byteLength).toBe(5);
});
