/** A body without a UID is known by its message-number, and by nothing else. */
import { describe, expect, test } from 'vitest';
import { emptyRow } from '../../../src/imap/fetch-row.ts';
import { asUid } from '../../../src/maildrop/numbers.ts';
import { collectorFor } from '../../../src/upstream/body-collector.ts';
import { BodySlot } from '../../../src/upstream/body-slot.ts';
import { askForNumber, MessageNumbers } from '../../../src/upstream/message-numbers.ts';
import { Pipeline } from '../../../src/upstream/pipeline.ts';
import { ServerHabits } from '../../../src/upstream/server-habits.ts';
import { FakeClock } from '../../support/fake-clock.ts';

const TIMEOUT_MS = 60_000;
const LOST_AFTER_MS = TIMEOUT_MS / 4;
const never = new AbortController().signal;

interface Wire {
  readonly clock: FakeClock;
  readonly sent: string[];
  readonly pipeline: Pipeline;
  readonly says: (text: string) => void;
  /** Asks for a body; gives where it comes. */
  readonly asksFor: (uid: number) => BodySlot;
}

function wire(): Wire {
  const clock = new FakeClock();
  const sent: string[] = [];
  const pipeline = new Pipeline({ clock, timeoutMs: TIMEOUT_MS, habits: new ServerHabits(), maxMessages: 1_000, destroy: () => {} });
  pipeline.attach({ send: (line) => void sent.push(line.trimEnd()), hold: () => {}, letGo: () => {}, isHeld: false });
  const asksFor = (uid: number): BodySlot => {
    const slot = new BodySlot(asUid(uid), 0, { received: () => {}, released: () => {}, starving: () => {} });
    pipeline.ask(`UID FETCH ${uid} (UID BODY.PEEK[])`, collectorFor(new Map([[uid, slot]]), '')).catch(() => {});
    return slot;
  };
  return { clock, sent, pipeline, says: (text) => pipeline.receive(Buffer.from(text, 'latin1')), asksFor };
}

const unnamed = (number: number, text: string): string => `* ${number} FETCH (BODY[] {${text.length}}\r\n${text})\r\n`;

/** The server tells the number of a message in answer to the next command. */
function learn({ pipeline, says, sent }: Wire, number: number, uid: number): void {
  pipeline.ask(askForNumber(asUid(uid)), pipeline.numbers.learner(asUid(uid))).catch(() => {});
  says(`* ${number} FETCH (UID ${uid})\r\n${sent.at(-1)?.split(' ')[0]} OK\r\n`);
}

async function textOf(slot: BodySlot): Promise<string | undefined> {
  if (!slot.isComplete) return undefined;
  const chunks: Buffer[] = [];
  for await (const chunk of slot.octets(never)) chunks.push(chunk);
  return Buffer.concat(chunks).toString('latin1');
}

describe('a body without a UID', () => {
  test('is nobody’s where only one message was asked for, and its number is not known', async () => {
    const { says, asksFor } = wire();
    const slot = asksFor(70);
    says(`${unnamed(7, 'seventy')}Z1 OK\r\n`);
    expect(await textOf(slot)).toBeUndefined();
  });

  test('is that of the message of its number, whatever came before it', async () => {
    const server = wire();
    learn(server, 7, 70);
    const slot = server.asksFor(70);
    server.says(`${unnamed(3, 'another')}${unnamed(7, 'seventy')}${unnamed(8, 'the next')}Z2 OK\r\n`);
    expect(await textOf(slot)).toBe('seventy');
  });

  test('is not that of the next message where it answers a command that was thought lost for the second time', async () => {
    const server = wire();
    const { clock, pipeline, says, sent, asksFor } = server;
    pipeline.ask('NOOP', {}).catch(() => {});
    asksFor(10);
    says('Z1 OK\r\n');
    await clock.advance(LOST_AFTER_MS);
    expect(sent.at(-1)).toBe('Z3 UID FETCH 10 (UID BODY.PEEK[])');
    says(`${unnamed(1, 'ten')}Z2 OK\r\n`);
    learn(server, 2, 20);
    const slot = asksFor(20);
    says(`${unnamed(1, 'ten')}Z3 OK\r\n`);
    expect(slot.isOpen).toBe(false);
    says(`${unnamed(2, 'twenty')}Z5 OK\r\n`);
    expect(await textOf(slot)).toBe('twenty');
  });

  test.for(['* 1 EXPUNGE\r\n', '* VANISHED 5\r\n'])('is nobody’s once numbers have changed by %j', async (news) => {
    const server = wire();
    learn(server, 7, 70);
    const slot = server.asksFor(70);
    server.says(`${news}${unnamed(7, 'seventy')}Z2 OK\r\n`);
    expect(await textOf(slot)).toBeUndefined();
  });

  test('is nobody’s where its number was told of another mailbox', async () => {
    const server = wire();
    learn(server, 7, 70);
    server.pipeline.forgetMailbox();
    const slot = server.asksFor(70);
    server.says(`${unnamed(7, 'seventy')}Z2 OK\r\n`);
    expect(await textOf(slot)).toBeUndefined();
  });

  test('is still known where more messages came meanwhile', async () => {
    const server = wire();
    learn(server, 7, 70);
    const slot = server.asksFor(70);
    server.says(`* 99 EXISTS\r\n${unnamed(7, 'seventy')}Z2 OK\r\n`);
    expect(await textOf(slot)).toBe('seventy');
  });
});

describe('numbers of messages', () => {
  const learned = (...pairs: (readonly [number: number, uid: number])[]): MessageNumbers => {
    const numbers = new MessageNumbers();
    for (const [number, uid] of pairs) expect(numbers.learner(asUid(uid)).row({ ...emptyRow(number), uid })).toBe(false);
    return numbers;
  };

  test('that a server gives to several messages tell nothing', () => {
    expect(learned([1, 10], [1, 10]).uidOf(1)).toBe(10);
    const numbers = learned([1, 10], [1, 20], [2, 20], [1, 10]);
    expect([numbers.uidOf(1), numbers.uidOf(2)]).toEqual([0, 20]);
  });

  test('are learnt of the message asked about alone', () => {
    const numbers = new MessageNumbers();
    numbers.learner(asUid(7)).row({ ...emptyRow(1), uid: 8 });
    numbers.learner(asUid(7)).row(emptyRow(2));
    expect([numbers.uidOf(1), numbers.uidOf(2)]).toEqual([0, 0]);
  });

  test('are not kept without an end: the oldest is forgotten first', () => {
    const numbers = learned(...Array.from({ length: 1_001 }, (_, index) => [index + 1, index + 1] as const));
    expect([numbers.uidOf(1), numbers.uidOf(2), numbers.uidOf(1_001)]).toEqual([0, 2, 1_001]);
  });
});
