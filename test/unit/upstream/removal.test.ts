/** What no single fault of a server shows: removals in several batches, and those taken up again. */
import { describe, expect, test } from 'vitest';
import { UpstreamError } from '../../../src/errors.ts';
import type { Uid } from '../../../src/maildrop/numbers.ts';
import { removeMessages, type CommandOutcome, type RemovalCommands } from '../../../src/upstream/removal.ts';
import type { DeletePolicy, RemovalResult, RemovalStage } from '../../../src/upstream/upstream.ts';
import { uids } from '../../support/fake-maildrop.ts';

const { signal } = new AbortController();
const DONE: CommandOutcome = { status: 'OK', text: 'done', refusal: undefined };
const answer = (status: string, text: string): CommandOutcome => ({ status, text, refusal: new UpstreamError('refused', text) });

const TO_TRASH: DeletePolicy = { action: 'trash', folder: undefined };

/** A mailbox of messages 1 … n, and a Trash; `refuses` sees each command and may refuse it. */
class FakeServer implements RemovalCommands {
  canMove = false;
  canExpungeByUid = true;
  readonly trash: Uid[] = [];
  readonly stages: RemovalStage[] = [];
  readonly flagged = new Set<Uid>();
  inbox: Uid[];
  /** Why it refuses. */
  reason = answer('NO', 'no');
  /** Commands that it agrees to and does not carry out. */
  idle: readonly string[] = [];
  /** MOVE leaves the messages where they were, too. */
  movesCopy = false;
  /** UIDs that COPY leaves out, though it says OK. */
  forgets: readonly Uid[] = [];
  refuses: (command: string, count: number) => boolean = () => false;
  readonly #counts = new Map<string, number>();

  constructor(messages: number) {
    this.inbox = uids(...Array.from({ length: messages }, (_, index) => index + 1));
  }

  /** What SEARCH keeps from us. */
  hides: readonly Uid[] = [];
  readonly unknown: string[] = [];

  async existing(wanted: readonly Uid[], onlyUndeleted: boolean): Promise<Uid[]> {
    const found = await this.existingByFetch(wanted, onlyUndeleted);
    return found.filter((uid) => !this.hides.includes(uid));
  }

  existingByFetch(wanted: readonly Uid[], onlyUndeleted: boolean): Promise<Uid[]> {
    const set = new Set(wanted);
    return Promise.resolve(this.inbox.filter((uid) => set.has(uid) && !(onlyUndeleted && this.flagged.has(uid))));
  }

  async move({ uids: batch }: { readonly uids: readonly Uid[] }): Promise<CommandOutcome & { readonly copied: readonly Uid[] }> {
    const moved = batch.filter((uid) => this.inbox.includes(uid));
    const outcome = await this.#run('MOVE', () => {
      this.trash.push(...(this.idle.includes('MOVE') ? [] : moved));
      if (!this.movesCopy && !this.idle.includes('MOVE')) this.inbox = this.inbox.filter((uid) => !this.trash.includes(uid));
    });
    return { ...outcome, copied: this.movesCopy ? moved : [] };
  }

  async copy({ uids: batch }: { readonly uids: readonly Uid[] }): Promise<CommandOutcome & { readonly copied: readonly Uid[] }> {
    const copied = batch.filter((uid) => !this.forgets.includes(uid));
    const outcome = await this.#run('COPY', () => this.trash.push(...copied));
    return { ...outcome, copied: outcome.refusal === undefined ? copied : [] };
  }

  expunge(set: string): Promise<CommandOutcome> {
    return this.#run('EXPUNGE', () => {
      const gone = new Set(this.#named(set).filter((uid) => this.flagged.has(uid)));
      this.inbox = this.inbox.filter((uid) => !gone.has(uid));
      for (const uid of gone) this.flagged.delete(uid);
    });
  }

  noteRefused(what: 'MOVE' | 'UID EXPUNGE'): void {
    this.unknown.push(what);
    if (what === 'MOVE') this.canMove = false;
    else this.canExpungeByUid = false;
  }

  flagDeleted(set: string): Promise<CommandOutcome> {
    return this.#run('FLAG', () => this.#named(set).forEach((uid) => this.flagged.add(uid)));
  }

  async settle(): Promise<void> {
    await this.#run('SETTLE', () => {});
  }

  unflagDeleted(set: string): Promise<CommandOutcome> {
    return this.#run('UNFLAG', () => this.#named(set).forEach((uid) => this.flagged.delete(uid)));
  }

  destination(): Promise<string> {
    return Promise.resolve('Trash');
  }

  remove(removed: readonly Uid[], stage: RemovalStage = 'planned', policy: DeletePolicy = TO_TRASH): Promise<RemovalResult> {
    const onStage = (next: RemovalStage): Promise<void> => {
      this.stages.push(next);
      return Promise.resolve();
    };
    return removeMessages(this, { uids: removed, policy, stage, onStage }, signal);
  }

  #run(command: string, effect: () => unknown): Promise<CommandOutcome> {
    const count = (this.#counts.get(command) ?? 0) + 1;
    this.#counts.set(command, count);
    if (this.refuses(command, count)) return Promise.resolve(this.reason);
    if (command === 'MOVE' || !this.idle.includes(command)) effect();
    return Promise.resolve(DONE);
  }

  #named(set: string): Uid[] {
    const ranges = set.split(',').map((range) => range.split(':').map(Number));
    return this.inbox.filter((uid) => ranges.some(([first = 0, last = first]) => uid >= first && uid <= last));
  }
}

describe('a removal by COPY and UID EXPUNGE', () => {
  test('of several batches copies and expunges each message once', async () => {
    const server = new FakeServer(2500);
    expect(await server.remove(server.inbox)).toMatchObject({ remaining: [], problem: undefined });
    expect([server.inbox.length, server.trash.length, new Set(server.trash).size]).toEqual([0, 2500, 2500]);
    expect(server.stages).toEqual(['copying', 'copied']);
  });

  test('refused in its second batch expunges the first, which lies in Trash, and nothing else', async () => {
    const server = new FakeServer(2500);
    server.refuses = (command, count) => command === 'COPY' && count === 2;
    const { remaining, problem } = await server.remove(server.inbox);
    expect([remaining.length, server.inbox.length, server.trash.length]).toEqual([1500, 1500, 1000]);
    expect(problem?.message).toBe('COPY to Trash was refused: no');
    expect(server.stages).toEqual(['copying']);
    expect(server.trash.filter((uid) => server.inbox.includes(uid))).toEqual([]);
  });

  test('expunges only what the server says it copied', async () => {
    const server = new FakeServer(3);
    server.forgets = uids(2);
    expect((await server.remove(server.inbox)).remaining).toEqual([2]);
    expect([server.inbox, server.trash]).toEqual([[2], [1, 3]]);
    expect(server.stages).toEqual(['copying']);
  });

  test('is tried again for the rest where another client removed some and the server then moved none', async () => {
    const server = new FakeServer(6);
    server.canMove = true;
    server.refuses = (command, count) => {
      if (count === 1) server.inbox = server.inbox.filter((uid) => uid > 2);
      return command === 'MOVE' && count === 1;
    };
    expect(await server.remove(uids(1, 2, 3, 4))).toEqual({ remaining: [], problem: undefined, onlyFlagged: false });
    expect(server.trash).toEqual([3, 4]);
    expect(server.inbox).toEqual([5, 6]);
  });

  test('taken up again after all was copied never copies or moves again, whatever the server has learned meanwhile', async () => {
    for (const abilities of [{ canMove: true }, { canMove: true, canExpungeByUid: false }, {}]) {
      const server = Object.assign(new FakeServer(2), abilities);
      expect((await server.remove(server.inbox, 'copied')).remaining).toEqual([]);
      expect(server.trash).toEqual([]);
    }
  });

  test.for([answer('BAD', 'unknown command'), answer('NO', 'not now'), answer('NO', '[SERVERBUG] internal error')])(
    'leaves copies that were made as they are where UID EXPUNGE is refused, and the messages flagged (%s)',
    async (reason) => {
      const server = Object.assign(new FakeServer(3), { reason });
      server.refuses = (command) => command === 'EXPUNGE';
      expect(await server.remove(uids(1, 2))).toEqual({ remaining: [], problem: undefined, onlyFlagged: true });
      expect([server.trash, [...server.flagged]]).toEqual([
        [1, 2],
        [1, 2],
      ]);
    },
  );

  test('never copies again on a server that does not know UID EXPUNGE', async () => {
    const server = Object.assign(new FakeServer(3), { reason: answer('BAD', 'unknown command') });
    server.refuses = (command) => command === 'EXPUNGE';
    await server.remove(uids(1));
    await server.remove(uids(2));
    expect([server.unknown, server.trash, [...server.flagged]]).toEqual([['UID EXPUNGE'], [1], [1, 2]]);
  });

  test('has an unknown outcome where the copies are made and the messages cannot even be flagged', async () => {
    const server = new FakeServer(2);
    server.refuses = (command) => command === 'FLAG';
    await expect(server.remove(server.inbox)).rejects.toMatchObject({ kind: 'refused' });
    expect(server.stages).toEqual(['copying', 'copied']);
  });
});

describe('a removal by UID EXPUNGE', () => {
  const expunge = { action: 'expunge', folder: undefined } as const;

  test('does not leave \\Deleted on what could not be expunged for now', async () => {
    const server = Object.assign(new FakeServer(2), { reason: answer('NO', '[INUSE] busy') });
    server.flagged.add(server.inbox[0] ?? fail());
    server.refuses = (command) => command === 'EXPUNGE';
    expect((await server.remove(server.inbox, 'planned', expunge)).remaining).toEqual([1, 2]);
    expect(server.flagged.size).toBe(0);
  });

  test('only flags where the server does not know the command', async () => {
    const server = Object.assign(new FakeServer(2), { reason: answer('BAD', 'unknown command') });
    server.refuses = (command) => command === 'EXPUNGE';
    expect(await server.remove(uids(1), 'planned', expunge)).toEqual({ remaining: [], problem: undefined, onlyFlagged: true });
  });
});

test('a refusal after which SEARCH finds nothing is looked into in another way', async () => {
  const server = new FakeServer(2);
  server.canMove = true;
  server.hides = uids(1, 2);
  server.refuses = (command) => command === 'MOVE';
  expect((await server.remove(server.inbox)).remaining).toEqual([1, 2]);
});

describe('MOVE that is announced and not there', () => {
  test.for([
    ['is replaced by COPY and UID EXPUNGE', true, answer('NO', 'MOVE extension not supported')],
    ['is replaced by COPY and UID EXPUNGE', true, answer('BAD', 'Unknown command')],
    ['is replaced by a flag where there is no UIDPLUS', false, answer('NO', 'MOVE not implemented')],
  ] as const)('%s (UIDPLUS: %s, %s)', async ([, canExpungeByUid, reason]) => {
    const server = Object.assign(new FakeServer(3), { canMove: true, canExpungeByUid, reason });
    server.refuses = (command) => command === 'MOVE';
    expect(await server.remove(uids(1, 2))).toEqual({ remaining: [], problem: undefined, onlyFlagged: !canExpungeByUid });
    expect(server.trash).toEqual(canExpungeByUid ? [1, 2] : []);
    expect([...server.flagged]).toEqual(canExpungeByUid ? [] : [1, 2]);
  });

  test.for([answer('NO', 'try again later'), answer('NO', '[OVERQUOTA] not supported for full mailboxes')])(
    'is not taken for that where the server says no for now (%s)',
    async (reason) => {
      const server = Object.assign(new FakeServer(3), { canMove: true, reason });
      server.refuses = (command) => command === 'MOVE';
      expect(await server.remove(uids(1, 2))).toMatchObject({ remaining: [1, 2], onlyFlagged: false });
      expect([server.trash, server.stages]).toEqual([[], []]);
    },
  );
});

function fail(): never {
  throw new Error('no such message');
}

describe('a server that agrees and does nothing', () => {
  const expunge: DeletePolicy = { action: 'expunge', folder: undefined };

  test.for([
    ['after a copy', TO_TRASH],
    ['alone', expunge],
  ] as const)('leaves messages flagged where its UID EXPUNGE has no effect, %s, and is not asked for it again', async ([, policy]) => {
    const server = new FakeServer(3);
    server.idle = ['EXPUNGE'];
    expect(await server.remove(uids(1, 2), 'planned', policy)).toEqual({ remaining: [], problem: undefined, onlyFlagged: true });
    expect([server.inbox.length, [...server.flagged]]).toEqual([3, [1, 2]]);
    expect(server.unknown).toEqual(['UID EXPUNGE']);
  });

  test('and does not flag either leaves copied messages to the journal: they must not be copied again', async () => {
    const server = new FakeServer(3);
    server.idle = ['EXPUNGE', 'FLAG'];
    await expect(server.remove(uids(1, 2))).rejects.toThrow('the messages were copied');
    expect(server.stages).toEqual(['copying', 'copied']);
    expect(server.trash).toEqual([1, 2]);
  });

  test('and does not flag either has not removed what was to be expunged', async () => {
    const server = new FakeServer(3);
    server.idle = ['EXPUNGE', 'FLAG'];
    const { remaining, problem } = await server.remove(uids(1, 2), 'planned', expunge);
    expect(remaining).toEqual([1, 2]);
    expect(problem?.message).toBe('UID EXPUNGE had no effect');
  });

  test('whose MOVE only copies has the originals expunged, and never moves them a second time', async () => {
    const server = new FakeServer(3);
    server.canMove = true;
    server.movesCopy = true;
    expect(await server.remove(uids(1, 2))).toMatchObject({ remaining: [], problem: undefined });
    expect([server.inbox, server.trash]).toEqual([[3], [1, 2]]);
  });

  test('whose MOVE flags the messages and leaves them has flagged them, and that is all', async () => {
    const server = new FakeServer(3);
    server.canMove = true;
    server.idle = ['MOVE'];
    server.flagged.add(1 as Uid).add(2 as Uid);
    expect(await server.remove(uids(1, 2))).toEqual({ remaining: [], problem: undefined, onlyFlagged: true });
  });

  test('whose MOVE does nothing is not asked to move again', async () => {
    const server = new FakeServer(3);
    server.canMove = true;
    server.idle = ['MOVE'];
    expect((await server.remove(uids(1, 2))).remaining).toEqual([1, 2]);
    expect(server.unknown).toEqual(['MOVE']);
    expect(await server.remove(uids(1, 2))).toMatchObject({ remaining: [], problem: undefined });
    expect([server.inbox, server.trash]).toEqual([[3], [1, 2]]);
  });
});
