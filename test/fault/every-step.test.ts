/**
 * One fault at a time, at every step in turn until there is no further step: the nth command to the server goes wrong, or the nth statement of the
 * store. Whatever it was, nothing is lost or shown twice, QUIT told the truth, and the next session succeeds.
 */
import { describe, expect, test } from 'vitest';
import { allowInLog } from '../support/bridge-process.ts';
import { BridgeSite } from '../support/bridge-site.ts';
import type { Fault } from '../support/imap-server/script.ts';
import type { PopDialogue } from '../support/pop-dialogue.ts';
import { StoreFault } from '../support/store-fault.ts';
import { until } from '../support/until.ts';

type Action = 'trash' | 'expunge' | 'flag' | 'hide';
const FOLDERS = [{ path: 'INBOX' }, { path: 'Trash', specialUse: '\\Trash' }];

/** Switches a fault on, for the nth step from now; gives what switches it off and tells whether it came to pass. */
type Arm = (nth: number) => Promise<() => boolean | Promise<boolean>>;

/** What the daemon was asked for in the session with the fault. */
interface Played {
  readonly wanted: string;
  readonly quit: string | undefined;
}

/** Sessions with a fault at step 1, 2, 3 … until it does not come to pass any more; gives how often it did. */
async function sweep(it: BridgeSite, action: Action, arm: Arm): Promise<number> {
  const ids = new Map<string, string>();
  const delivered: string[] = [];
  const asked = new Set<string>();
  for (let nth = 1; ; nth += 1) {
    const fresh = [`keep ${nth}`, `read ${nth}`, `delete ${nth}`];
    it.deliver('INBOX', ...fresh);
    delivered.push(...fresh);
    const disarm = await arm(nth);
    const played = await play(it, nth);
    if (played.quit !== undefined) asked.add(played.wanted);
    await until(() => it.imap.openConnections === 0);
    const hasStruck = await disarm();
    await verify(it, played, { nth, delivered, asked, ids, action });
    if (!hasStruck) return nth - 1;
  }
}

/** A session that looks at all, reads one message and deletes one. */
async function play(it: BridgeSite, nth: number): Promise<Played> {
  const wanted = `delete ${nth}`;
  let client: PopDialogue | undefined;
  let quit: string | undefined;
  try {
    client = await it.open();
    const numbers = new Map<string, string>();
    for (const line of await client.multi('UIDL')) {
      const [number = ''] = line.split(' ');
      const header = await client.multi(`TOP ${number} 0`);
      numbers.set(header.find((one) => one.startsWith('Subject: '))?.slice('Subject: '.length) ?? '', number);
    }
    await client.retrieve(Number(numbers.get(`read ${nth}`)));
    expect(await client.command(`DELE ${numbers.get(wanted)}`)).toMatch(/^\+OK/);
    quit = 'not answered';
    quit = await client.command('QUIT');
  } catch (error) {
    if (error instanceof Error && error.name === 'AssertionError') throw error;
  } finally {
    client?.close();
  }
  return { wanted, quit };
}

interface Truth {
  readonly nth: number;
  readonly delivered: readonly string[];
  /** As they were shown first, by subject. */
  readonly ids: Map<string, string>;
  /** QUIT was sent with them marked. */
  readonly asked: ReadonlySet<string>;
  readonly action: Action;
}

async function verify(it: BridgeSite, { wanted, quit }: Played, { nth, delivered, asked, ids, action }: Truth): Promise<void> {
  const [isHiding, keepsAll] = [action === 'hide', action === 'hide' || action === 'trash'];
  const where = `step ${nth}, QUIT: ${quit}`;
  const shown = await it.glance().catch((error: unknown) => Promise.reject(new Error(where, { cause: error })));
  const everywhere = ['INBOX', 'Trash'].flatMap((path) => it.upstream(path));
  expect(new Set(everywhere).size, where).toBe(everywhere.length);
  // Where nothing goes to the trash, what QUIT asked for may be gone.
  const missing = delivered.filter((subject) => !everywhere.includes(subject));
  expect(
    missing.filter((subject) => keepsAll || !asked.has(subject)),
    where,
  ).toEqual([]);
  // What was only hidden is on the server all the same.
  const isThere = isHiding ? shown.subjects.includes(wanted) : it.upstream('INBOX').includes(wanted);
  if (quit === undefined) expect(isThere, where).toBe(true);
  if (quit?.startsWith('+OK') === true) expect(isThere, where).toBe(false);
  if (!isHiding) expect(shown.subjects.toSorted(), where).toEqual(it.upstream('INBOX').toSorted());
  for (const [subject, id] of Object.entries(shown.ids)) {
    expect(id, `${where}: ${subject}`).toBe(ids.get(subject) ?? id);
    ids.set(subject, id);
  }
  expect(new Set(ids.values()).size, where).toBe(ids.size);
  await until(() => it.imap.openConnections === 0);
}

const COMMAND_FAULTS: readonly (readonly [string, Fault, actions: readonly Action[]])[] = [
  ['is refused', { reply: 'NO [UNAVAILABLE] not now' }, ['trash', 'expunge', 'flag']],
  ['is not understood', { reply: 'BAD what?' }, ['trash']],
  ['ends the connection', { close: true }, ['trash', 'expunge']],
  ['is done, and its answer lost', { runThen: 'close' }, ['trash', 'expunge', 'flag']],
  ['is done, and said to have failed', { runThen: 'reply', reply: 'NO [SERVERBUG] who knows' }, ['trash', 'expunge']],
  ['is the last before BYE', { bye: 'restarting' }, ['trash']],
  ['is answered in half', { cutAfter: 9 }, ['trash']],
  ['is never answered', { hang: true }, ['trash']],
];
/** Warnings and errors that the faults bring about; any other is a fault of ours. */
const EXPECTED: ReadonlySet<string> = new Set(
  ['delete-failed', 'login-failed', 'only-flagged', 'seen-failed', 'session-error', 'upstream-failed'].map((event) => `warn ${event}`),
);
const EXPECTED_OF_STORE: ReadonlySet<string> = new Set(['warn login-failed', 'warn delete-failed', 'error save-failed']);

allowInLog('delete-failed', 'login-failed', 'only-flagged', 'save-failed', 'seen-failed', 'session-error', 'upstream-failed');

function complaints(it: BridgeSite): string[] {
  const lines = it.bridge.log.filter(({ level }) => level === 'warn' || level === 'error');
  return [...new Set(lines.map(({ level, event }) => `${String(level)} ${event}`))];
}

/** A session of theirs has at least so many. */
const LEAST_COMMANDS = 8;
const LEAST_STATEMENTS = 20;

describe.concurrent('the nth command to the server', () => {
  const cases = COMMAND_FAULTS.flatMap(([name, fault, actions]) => actions.map((action) => [name, action, fault] as const));

  test.for(cases)('%s (delete.action = "%s")', { timeout: 180_000 }, async ([, action, fault], { expect: expected }) => {
    const commandTimeout = 'hang' in fault ? '1s' : '5s';
    await using it = await BridgeSite.start({ tables: `[delete]\naction = "${action}"`, server: { folders: FOLDERS }, commandTimeout });
    const steps = await sweep(it, action, (nth) => {
      let seen = 0;
      it.imap.setScript(() => ((seen += 1) === nth ? fault : undefined));
      return Promise.resolve(() => {
        it.imap.setScript(undefined);
        return seen >= nth;
      });
    });
    expected(steps).toBeGreaterThan(LEAST_COMMANDS);
    expected(complaints(it).filter((event) => !EXPECTED.has(event))).toEqual([]);
  });
});

describe.concurrent('the nth statement of the store fails', () => {
  test.for(['trash', 'expunge', 'hide'] as const)('delete.action = "%s"', { timeout: 180_000 }, async (action, { expect: expected }) => {
    using fault = new StoreFault();
    const { variables } = fault;
    await using it = await BridgeSite.start({ tables: `[delete]\naction = "${action}"`, server: { folders: FOLDERS }, variables });
    const steps = await sweep(it, action, async (nth) => {
      await fault.arm(it.bridge, nth);
      return async () => {
        const hasStruck = fault.takeStruck();
        await fault.arm(it.bridge, 0);
        return hasStruck;
      };
    });
    expected(steps).toBeGreaterThan(LEAST_STATEMENTS);
    expected(complaints(it).filter((event) => !EXPECTED_OF_STORE.has(event))).toEqual([]);
  });
});
