import { expect, test } from 'vitest';
import { emptyRow } from '../../../src/imap/fetch-row.ts';
import type { TaggedResponse } from '../../../src/imap/response-parser.ts';
import { asUid } from '../../../src/maildrop/numbers.ts';
import type { BodyCollector } from '../../../src/upstream/body-collector.ts';
import { ReadAhead, type BodyCommands, type FetchHow } from '../../../src/upstream/read-ahead.ts';
import type { FetchRequest } from '../../../src/upstream/upstream.ts';

const KIB = 1024;
const never = new AbortController().signal;

interface Asked {
  readonly what: string;
  readonly bodies: BodyCollector;
  readonly numbered: number | undefined;
  readonly answer: (response: TaggedResponse) => void;
}

/** A server that gives what the test says, when the test says. */
class FakeServer implements BodyCommands {
  readonly asked: Asked[] = [];
  isHeld = false;
  isDestroyed = false;
  isWanted = false;

  fetch(what: string, bodies: BodyCollector, { numbered }: FetchHow): Promise<TaggedResponse> {
    const { promise, resolve } = Promise.withResolvers<TaggedResponse>();
    this.asked.push({ what, bodies, numbered, answer: resolve });
    return promise;
  }

  hold(): void {
    this.isHeld = true;
  }

  letGo(): void {
    this.isHeld = false;
  }

  destroy(): void {
    this.isDestroyed = true;
  }

  abandon(): void {
    this.destroy();
  }

  /** Gives the body of a message in answer to the command of that number. */
  give(command: number, uid: number, octets: number): void {
    const row = { ...emptyRow(uid), uid };
    const { bodies } = this.asked[command] ?? {};
    const sink = bodies?.body(row, { name: '', origin: undefined }, octets);
    sink?.write(Buffer.alloc(octets, uid));
    bodies?.row(row);
  }

  /** The same without its UID: it is known only where the number of that message was asked for. */
  giveUnnamed(command: number, uid: number, octets: number): void {
    const { bodies, numbered } = this.asked[command] ?? {};
    const row = { ...emptyRow(uid), uid: numbered === uid ? uid : 0 };
    bodies?.body(row, { name: '', origin: undefined }, octets)?.write(Buffer.alloc(octets, uid));
    bodies?.row(row);
  }

  end(command: number, status = 'OK'): void {
    this.asked[command]?.answer({ tag: 'Z1', status, text: 'done' });
  }
}

const turns = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

function request(uid: number, octets: number, ahead: readonly (readonly [uid: number, octets: number])[] = []): FetchRequest {
  const upcoming = ahead.map(([number, size]) => ({ uid: asUid(number), octets: size }));
  return { uid: asUid(uid), octets, part: 'whole', ahead: () => upcoming[Symbol.iterator]() };
}

async function read(reader: ReadAhead, wanted: FetchRequest): Promise<number[]> {
  const sizes: number[] = [];
  for await (const chunk of reader.read(wanted, never)) {
    expect(new Set(chunk)).toEqual(new Set([Number(wanted.uid) % 256]));
    sizes.push(chunk.length);
  }
  return sizes;
}

function readerOn(server: FakeServer, sessionOctets = 64 * KIB): { readonly reader: ReadAhead; readonly budget: { used: number } } {
  const budget = { sessionOctets, totalOctets: 64 * sessionOctets, used: 0 };
  return { reader: new ReadAhead(server, '', budget), budget };
}

test('what the client is likely to want next is asked for in one command, together with a short message that it wants', async () => {
  const server = new FakeServer();
  const { reader, budget } = readerOn(server);
  const first = read(
    reader,
    request(1, 10, [
      [2, 10],
      [3, 10],
      [5, 10],
    ]),
  );
  await turns();
  expect(server.asked.map(({ what }) => what)).toEqual(['1 (UID BODY.PEEK[])', '2:3,5 (UID BODY.PEEK[])']);
  server.give(0, 1, 10);
  server.end(0);
  expect(await first).toEqual([10]);
  for (const uid of [2, 3, 5]) server.give(1, uid, 10);
  server.end(1);
  for (const uid of [2, 3, 5]) expect(await read(reader, request(uid, 10))).toEqual([10]);
  expect(server.asked).toHaveLength(2);
  expect(budget.used).toBe(0);
});

test('behind a long message it is asked for once that has begun to come: a server may give first what was asked for last', async () => {
  const server = new FakeServer();
  const { reader } = readerOn(server, 4 * 1024 * KIB);
  const first = read(reader, request(1, 100 * KIB, [[2, 10]]));
  await turns();
  expect(server.asked).toHaveLength(1);
  server.give(0, 1, 100 * KIB);
  await first;
  expect(server.asked.map(({ what }) => what)).toEqual(['1 (UID BODY.PEEK[])', '2 (UID BODY.PEEK[])']);
});

test('no more than the session may hold is read from the server, until the client has taken some of it', async () => {
  const server = new FakeServer();
  const { reader, budget } = readerOn(server);
  const first = read(
    reader,
    request(1, KIB, [
      [2, KIB],
      [3, KIB],
    ]),
  );
  await turns();
  server.give(0, 1, KIB);
  await first;
  server.give(1, 2, 40 * KIB);
  expect(server.isHeld).toBe(false);
  server.give(1, 3, 40 * KIB);
  expect(server.isHeld).toBe(true);
  await read(reader, request(2, 40 * KIB));
  await read(reader, request(3, 40 * KIB));
  expect([server.isHeld, budget.used]).toEqual([false, 0]);
});

test('guesses that a server gives before what is wanted are given up, not waited for', async () => {
  const server = new FakeServer();
  const { reader, budget } = readerOn(server);
  const first = read(
    reader,
    request(1, KIB, [
      [2, KIB],
      [3, KIB],
      [4, KIB],
      [5, KIB],
    ]),
  );
  await turns();
  server.give(0, 1, KIB);
  await first;
  server.give(1, 5, 30 * KIB);
  server.give(1, 4, 30 * KIB);
  server.give(1, 3, 30 * KIB);
  expect(server.isHeld).toBe(true);
  const second = read(reader, request(2, KIB));
  await turns();
  expect(server.isHeld).toBe(false);
  server.give(1, 2, KIB);
  expect(await second).toEqual([KIB]);
  reader.close();
  expect([server.isHeld, budget.used]).toEqual([false, 0]);
});

test('a client that goes elsewhere has no more read ahead for it, until it goes on in order', async () => {
  const server = new FakeServer();
  const { reader } = readerOn(server);
  const ahead: readonly (readonly [number, number])[] = Array.from({ length: 40 }, (_, index) => [index + 2, 10]);
  const from = (uid: number): FetchRequest =>
    request(
      uid,
      10,
      ahead.filter(([number]) => number > uid),
    );
  const answered = async (wanted: FetchRequest): Promise<void> => {
    const reading = read(reader, wanted);
    await turns();
    const command = server.asked.findIndex(({ what }) => what.startsWith(`${wanted.uid} `));
    server.give(command, Number(wanted.uid), 10);
    await reading;
  };
  await answered(request(1, 10));
  await answered(from(30));
  await answered(from(9));
  expect(server.asked.map(({ what }) => what.split(' ')[0])).toEqual(['1', '30', '9']);
  await answered(from(10));
  expect(server.asked.map(({ what }) => what.split(' ')[0])).toEqual(['1', '30', '9', '10', '11:41']);
});

test('a message that a batch did not give is asked for alone; alone refused, it is unreadable', async () => {
  const server = new FakeServer();
  const { reader } = readerOn(server);
  const first = read(
    reader,
    request(1, 10, [
      [2, 10],
      [3, 10],
    ]),
  );
  await turns();
  server.give(0, 1, 10);
  await first;
  server.end(1, 'NO');
  const second = read(reader, request(2, 10));
  await turns();
  expect(server.asked.at(-1)?.what).toBe('2 (UID BODY.PEEK[])');
  server.give(2, 2, 10);
  expect(await second).toEqual([10]);
  const third = read(reader, request(3, 10));
  await turns();
  server.end(server.asked.length - 1, 'NO');
  await expect(third).rejects.toMatchObject({ kind: 'message-unreadable' });
});

test('nothing is asked for ahead where the session may hold nothing, nor while others wait for the connection', async () => {
  for (const [sessionOctets, isWanted] of [
    [0, false],
    [64 * KIB, true],
  ] as const) {
    const server = new FakeServer();
    server.isWanted = isWanted;
    const { reader } = readerOn(server, sessionOctets);
    const first = read(reader, request(1, 10, [[2, 10]]));
    await turns();
    server.give(0, 1, 10);
    await first;
    expect(server.asked).toHaveLength(1);
  }
});

test('where rows come without UIDs, a message is asked for again once its number is known, and no more is asked for ahead', async () => {
  const server = new FakeServer();
  const { reader, budget } = readerOn(server, 4 * 1024 * KIB);
  const first = read(
    reader,
    request(1, 10, [
      [2, 10],
      [3, 300 * KIB],
      [4, 10],
    ]),
  );
  await turns();
  server.giveUnnamed(0, 1, 10);
  server.end(0);
  server.giveUnnamed(1, 2, 10);
  server.end(1);
  await turns();
  server.giveUnnamed(2, 1, 10);
  server.end(2);
  expect(await first).toEqual([10]);
  const second = read(reader, request(2, 10, [[3, 300 * KIB]]));
  await turns();
  server.giveUnnamed(3, 2, 10);
  server.end(3);
  expect(await second).toEqual([10]);
  expect(server.asked.map(({ what }) => what.replace(' (UID BODY.PEEK[])', ''))).toEqual(['1', '2', '1', '2']);
  expect(server.asked.map(({ numbered }) => numbered)).toEqual([undefined, undefined, 1, 2]);
  expect(budget.used).toBe(0);
});

test('a message whose row has neither a UID nor its number cannot be read, and is not asked for without an end', async () => {
  const server = new FakeServer();
  const { reader } = readerOn(server);
  const first = read(reader, request(1, 10)).catch((error: unknown) => error);
  for (const command of [0, 1]) {
    await turns();
    server.giveUnnamed(command, 7, 10);
    server.end(command);
  }
  expect(await first).toMatchObject({ kind: 'message-unreadable' });
  expect(server.asked).toHaveLength(2);
});
