/** What is asked about messages that are to be removed, and what becomes of those that the server does not tell of. */
import { expect, test } from 'vitest';
import { identityKey, messageIdKey } from '../../../src/daemon/recognise.ts';
import { compareMessages, type Comparison, type ComparisonRequest } from '../../../src/daemon/same-messages.ts';
import { UpstreamError } from '../../../src/errors.ts';
import type { Uid } from '../../../src/maildrop/numbers.ts';
import type { Recorded } from '../../../src/maildrop/verification.ts';
import type { ListingRows } from '../../../src/upstream/upstream.ts';
import { uid, uids } from '../../support/fake-maildrop.ts';

const { signal } = new AbortController();

interface Message {
  readonly octets: number;
  readonly arrival: number;
  readonly given?: string;
  /** As HEADER.FIELDS reads. */
  readonly messageId?: string | undefined;
  readonly text?: string;
}

/** Messages 1 to n as they were listed, all alike but for their Message-IDs. */
const message = (number: number): Message => ({
  octets: 100,
  arrival: 1_000,
  messageId: `<${number}@a>`,
  text: `Message-ID: <${number}@a>\r\n\r\nbody`,
});

class FakeServer {
  readonly asked: string[] = [];
  readonly messages = new Map<number, Message>();
  /** Of which FETCH gives no row, and which it refuses; and which SEARCH does not find. */
  readonly untold = new Set<number>();
  readonly refused = new Set<number>();
  readonly unfound = new Set<number>();
  hasHeaders = true;

  constructor(count: number) {
    for (let number = 1; number <= count; number += 1) this.messages.set(number, message(number));
  }

  rows(wanted: readonly Uid[], { withMessageIds }: { readonly withMessageIds: boolean }): Promise<ListingRows> {
    this.asked.push(`rows ${wanted.slice(0, 9).join()}${withMessageIds ? ' with header' : ''}`);
    if (wanted.some((one) => this.refused.has(one))) return Promise.reject(new UpstreamError('refused', 'no'));
    const told = wanted.filter((one) => this.messages.has(one) && !this.untold.has(one));
    const pick = <T>(of: (message: Message) => T): T[] => told.flatMap((one) => [this.messages.get(one) ?? message(0)].map(of));
    const headers = told.flatMap((one) => {
      const messageId = this.messages.get(one)?.messageId;
      return withMessageIds && this.hasHeaders && messageId !== undefined ? [[one, messageId] as const] : [];
    });
    return Promise.resolve({
      uids: told,
      octets: pick(({ octets }) => octets),
      arrivals: pick(({ arrival }) => arrival),
      identities: pick(({ given }) => given),
      messageIds: new Map(headers),
    });
  }

  existing(wanted: readonly Uid[]): Promise<Uid[]> {
    this.asked.push(`search ${wanted.slice(0, 9).join()}`);
    // What was not asked about must not count.
    return Promise.resolve([...wanted.filter((one) => this.messages.has(one) && !this.unfound.has(one)), uid(4_000_000)]);
  }

  beginning(one: Uid): Promise<Uint8Array | undefined> {
    this.asked.push(`beginning ${one}`);
    const text = this.messages.get(one)?.text;
    return Promise.resolve(text === undefined ? undefined : Buffer.from(text, 'latin1'));
  }
}

const NAMELESS: Recorded = { declaredOctets: 100, trueOctets: undefined, arrival: 1_000, identity: { given: '', messageId: undefined } };
const named = (number: number): Recorded => ({ ...NAMELESS, identity: { given: '', messageId: messageIdKey(`<${number}@a>`) } });

function compare(
  server: FakeServer,
  wanted: readonly Uid[],
  recordedOf: ComparisonRequest['recordedOf'] = () => NAMELESS,
): Promise<Comparison> {
  return compareMessages({ mailbox: server, uids: wanted, recordedOf, isListedNow: () => true }, signal);
}

test('messages that are as they were cost one command', async () => {
  const server = new FakeServer(3);
  expect(await compare(server, uids(1, 2, 3))).toMatchObject({ same: [1, 2, 3], strangers: [], unread: [], problem: undefined });
  expect(server.asked).toEqual(['rows 1,2,3']);
});

test('a message whose row is left out, and that is still there, is left alone; the others are not', async () => {
  const server = new FakeServer(3);
  server.untold.add(2);
  const compared = await compare(server, uids(1, 2, 3));
  expect(compared).toMatchObject({ same: [1, 3], strangers: [], unread: [2], problem: { temporary: true } });
  expect(server.asked).toEqual(['rows 1,2,3', 'search 2', 'rows 2 with header']);
});

test('one that is gone by FETCH and SEARCH is nothing to be removed', async () => {
  const server = new FakeServer(3);
  server.messages.delete(2);
  expect(await compare(server, uids(1, 2, 3))).toMatchObject({ same: [1, 3], strangers: [], unread: [] });
});

test('one that SEARCH alone does not find is compared all the same', async () => {
  const server = new FakeServer(2);
  server.unfound.add(2);
  expect(await compare(server, uids(1, 2))).toMatchObject({ same: [1, 2] });
});

test('a row that comes when it is asked for again is compared', async () => {
  const server = new FakeServer(2);
  server.untold.add(1).add(2);
  server.messages.set(2, { ...message(2), octets: 7, arrival: 7 });
  const compared = compareMessages(
    {
      mailbox: {
        rows: (wanted, request) => server.rows(wanted, request),
        beginning: (one) => server.beginning(one),
        existing: (wanted) => (server.untold.clear(), server.existing(wanted)),
      },
      uids: uids(1, 2),
      recordedOf: () => NAMELESS,
      isListedNow: () => true,
    },
    signal,
  );
  expect(await compared).toMatchObject({ same: [1], strangers: [2], unread: [] });
});

test('one without a row is known by the beginning of it, where its Message-ID was known', async () => {
  const server = new FakeServer(3);
  server.untold.add(1).add(2).add(3);
  server.messages.set(2, { ...message(2), text: 'Message-ID: <other@a>\r\n\r\n' });
  server.messages.set(3, { octets: 0, arrival: 0 });
  expect(await compare(server, uids(1, 2, 3), named)).toMatchObject({ same: [1], strangers: [2], unread: [3] });
});

test('a header alone is enough', async () => {
  const server = new FakeServer(1);
  server.rows = () => Promise.resolve({ uids: [], octets: [], arrivals: [], identities: [], messageIds: new Map([[uid(1), '<1@a>']]) });
  expect(await compare(server, uids(1), named)).toMatchObject({ same: [1] });
});

test.each([
  ['a size', { octets: 0 }],
  ['an arrival', { arrival: 0 }],
  ['either', { octets: 0, arrival: 0 }],
])('a row without %s says too little', async (_, fields) => {
  const server = new FakeServer(2);
  server.messages.set(2, { ...message(2), ...fields });
  expect(await compare(server, uids(1, 2))).toMatchObject({ same: [1], strangers: [], unread: [2] });
});

test('a server that gives no header is asked for the beginning of the message', async () => {
  const server = new FakeServer(2);
  server.hasHeaders = false;
  server.messages.set(2, { ...message(2), octets: 50, text: 'Message-ID: <other@a>\r\n\r\n' });
  expect(await compare(server, uids(1, 2), named)).toMatchObject({ same: [1], strangers: [2] });
});

test('a message that was known by an earlier reading of its header is known still', async () => {
  const server = new FakeServer(1);
  server.messages.set(1, { ...message(1), text: 'X: y\rMessage-ID: <fake@a>\r\nMessage-ID: <1@a>\r\n\r\n' });
  const before = (): Recorded => ({ ...NAMELESS, identity: { given: '', messageId: messageIdKey('<fake@a>') } });
  expect(await compare(server, uids(1), before)).toMatchObject({ same: [1] });
});

test('one whose header reads in no such way is another message, though size and arrival are the same', async () => {
  const server = new FakeServer(1);
  const before = (): Recorded => ({ ...NAMELESS, identity: { given: '', messageId: messageIdKey('<gone@a>') } });
  expect(await compare(server, uids(1), before)).toMatchObject({ same: [], strangers: [1] });
});

test('of a message that was never listed nothing is known: it is another one', async () => {
  const server = new FakeServer(1);
  expect(await compare(server, uids(1, 2), () => undefined)).toMatchObject({ same: [], strangers: [1], unread: [] });
});

test('what the server calls a message decides', async () => {
  const server = new FakeServer(2);
  server.messages.set(1, { octets: 1, arrival: 1, given: 'ex' });
  server.messages.set(2, { ...message(2), given: 'ey' });
  const before = (): Recorded => ({ ...NAMELESS, identity: { given: identityKey('ex'), messageId: undefined } });
  expect(await compare(server, uids(1, 2), before)).toMatchObject({ same: [1], strangers: [2] });
});

test('messages that are refused are found by halving, and left alone', async () => {
  const server = new FakeServer(100);
  server.refused.add(7).add(70);
  const all = [...server.messages.keys()].map(uid);
  const compared = await compare(server, all);
  expect(compared.same).toEqual(all.filter((one) => !server.refused.has(one)));
  expect(compared).toMatchObject({ strangers: [], unread: [7, 70], problem: { kind: 'refused' } });
  expect(server.asked.length).toBeLessThan(35);
});

test('a server that refuses a command for messages that are gone is asked for the others alone', async () => {
  const server = new FakeServer(2_000);
  for (let gone = 1; gone < 1_000; gone += 1) {
    server.messages.delete(gone);
    server.refused.add(gone);
  }
  const all = Array.from({ length: 2_000 }, (_, index) => uid(index + 1));
  expect(await compare(server, all)).toMatchObject({ same: all.slice(999), strangers: [], unread: [] });
  expect(server.asked.length).toBeLessThan(10);
});

test('too many refusals are one of the whole mailbox', async () => {
  const server = new FakeServer(100);
  for (const one of server.messages.keys()) server.refused.add(one);
  await expect(compare(server, [...server.messages.keys()].map(uid))).rejects.toMatchObject({ kind: 'refused' });
});

test('a failure of the connection is none of a message', async () => {
  const server = new FakeServer(1);
  server.rows = () => Promise.reject(new UpstreamError('unreachable', 'lost'));
  await expect(compare(server, uids(1))).rejects.toMatchObject({ kind: 'unreachable' });
});

test('150,000 messages are compared', async () => {
  const server = new FakeServer(150_000);
  const all = [...server.messages.keys()].map(uid);
  server.untold.add(5);
  const { same, unread } = await compare(server, all);
  expect([same.length, unread]).toEqual([149_999, [5]]);
});
