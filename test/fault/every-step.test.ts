/**
 * One fault at a time, at every step in turn until there is no further step: the nth command to the server goes wrong, or the nth statement of the
 * store. Whatever it was, nothing is lost or shown twice, QUIT told the truth, and the next session succeeds.
 */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { allowInLog } from '../support/bridge-process.ts';
import { BridgeSite } from '../support/bridge-site.ts';
import { sharedByTests } from '../support/ends-with-tests.ts';
import type { Fault } from '../support/imap-server/script.ts';
import { patience, patienceText } from '../support/patience.ts';
import type { PopDialogue } from '../support/pop-dialogue.ts';
import type { Bridge } from '../support/shared-bridge.ts';
import { StoreFault } from '../support/store-fault.ts';
import { until } from '../support/until.ts';

const shared = sharedByTests();

type Action = 'trash' | 'expunge' | 'flag' | 'hide';
const FOLDERS = [{ path: 'INBOX' }, { path: 'Lists' }, { path: 'Trash', specialUse: '\\Trash' }];
const ONE = ['INBOX'];
const SEVERAL = ['INBOX', 'Lists'];

/** Switches a fault on, for the nth step from now; gives what switches it off and tells whether it came to pass. */
type Arm = (nth: number) => Promise<() => boolean | Promise<boolean>>;

/** What the daemon was asked for in the session with the fault. */
interface Played {
  readonly wanted: readonly string[];
  readonly quit: string | undefined;
}

/** A maildrop that goes through it, and what is true of it. */
class Sweep {
  readonly #it: BridgeSite<Bridge>;
  readonly #action: Action;
  readonly #folders: readonly string[];
  readonly #ids = new Map<string, string>();
  readonly #delivered: string[] = [];
  readonly #asked = new Set<string>();
  readonly #isKept: boolean;

  constructor(it: BridgeSite<Bridge>, action: Action, folders: readonly string[], isKept = false) {
    this.#isKept = isKept;
    this.#it = it;
    this.#action = action;
    this.#folders = folders;
  }

  /** Sessions with a fault at step 1, 2, 3 … until it does not come to pass any more; gives how often it did. */
  async run(arm: Arm): Promise<number> {
    for (let nth = 1; ; nth += 1) if (!(await this.step(`${nth}`, () => arm(nth)))) return nth - 1;
  }

  /** A session with a fault; gives whether it came to pass. */
  async step(name: string, arm: () => ReturnType<Arm>): Promise<boolean> {
    const it = this.#it;
    const wanted = this.#deliver(name);
    const disarm = await arm();
    const played = await play(it, `read ${name} in INBOX`, wanted);
    // The next login finishes what was not done: too late for who was told that it was.
    const left =
      this.#action === 'hide' || played.quit?.startsWith('+OK') !== true ? [] : wanted.filter((subject) => this.#isListed(subject));
    expect(left, `${name}, QUIT: ${played.quit}`).toEqual([]);
    if (played.quit !== undefined) for (const subject of wanted) this.#asked.add(subject);
    await this.#rest();
    const hasStruck = await disarm();
    const truth = { name, folders: this.#folders, delivered: this.#delivered, asked: this.#asked, ids: this.#ids, action: this.#action };
    await verify(it, played, truth);
    await this.#rest();
    return hasStruck;
  }

  #isListed(subject: string): boolean {
    return this.#folders.some((path) => this.#it.upstream(path).includes(subject));
  }

  /** Gives what is to be deleted. */
  #deliver(name: string): string[] {
    return this.#folders.flatMap((folder) => {
      const fresh = ['keep', ...(folder === 'INBOX' ? ['read'] : []), 'delete'].map((what) => `${what} ${name} in ${folder}`);
      this.#it.deliver(folder, ...fresh);
      this.#delivered.push(...fresh);
      return fresh.slice(-1);
    });
  }

  /** A kept connection stays; a session is over all the same. */
  async #rest(): Promise<void> {
    const { bridge, imap } = this.#it;
    await until(
      () => imap.openConnections === 0 || (this.#isKept && bridge.events('session-end').length === bridge.events('login').length),
    );
  }
}

/** A session that looks at all, reads one message and deletes some. */
async function play(it: BridgeSite<Bridge>, read: string, wanted: readonly string[]): Promise<Played> {
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
    await client.retrieve(Number(numbers.get(read)));
    for (const subject of wanted) expect(await client.command(`DELE ${numbers.get(subject)}`)).toMatch(/^\+OK/);
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
  readonly name: string;
  /** Of the maildrop. */
  readonly folders: readonly string[];
  readonly delivered: readonly string[];
  /** As they were shown first, by subject. */
  readonly ids: Map<string, string>;
  /** QUIT was sent with them marked. */
  readonly asked: ReadonlySet<string>;
  readonly action: Action;
}

async function verify(
  it: BridgeSite<Bridge>,
  { wanted, quit }: Played,
  { name, folders, delivered, asked, ids, action }: Truth,
): Promise<void> {
  const [isHiding, keepsAll] = [action === 'hide', action === 'hide' || action === 'trash'];
  const where = `step ${name}, QUIT: ${quit}`;
  const shown = await it.glance().catch((error: unknown) => Promise.reject(new Error(where, { cause: error })));
  const listed = folders.flatMap((path) => it.upstream(path));
  const everywhere = [...listed, ...it.upstream('Trash')];
  expect(new Set(everywhere).size, where).toBe(everywhere.length);
  // Where nothing goes to the trash, what QUIT asked for may be gone.
  const isOnlyFlagged = it.bridge.events('only-flagged').length > 0;
  const there = isOnlyFlagged ? [...everywhere, ...folders.flatMap((path) => flaggedIn(it, path))] : everywhere;
  const missing = delivered.filter((subject) => !there.includes(subject));
  expect(
    missing.filter((subject) => keepsAll || !asked.has(subject)),
    where,
  ).toEqual([]);
  // Whatever was begun has come to its end: no message stays hidden by a flag of ours, but where the log says so.
  if (action !== 'flag' && !isOnlyFlagged)
    expect(
      folders.flatMap((path) => flaggedIn(it, path)),
      where,
    ).toEqual([]);
  // What was only hidden is on the server all the same.
  const left = wanted.filter((subject) => (isHiding ? shown.subjects : listed).includes(subject));
  if (quit === undefined) expect(left, where).toEqual(wanted);
  if (quit?.startsWith('+OK') === true) expect(left, where).toEqual([]);
  if (!isHiding) expect(shown.subjects.toSorted(), where).toEqual(listed.toSorted());
  for (const [subject, id] of Object.entries(shown.ids)) {
    expect(id, `${where}: ${subject}`).toBe(ids.get(subject) ?? id);
    ids.set(subject, id);
  }
  expect(new Set(ids.values()).size, where).toBe(ids.size);
}

/** Subjects of the messages that are flagged \Deleted. */
function flaggedIn(it: BridgeSite<Bridge>, path: string): string[] {
  const flagged = it.imap.mailbox(path).messages.filter(({ flags }) => flags.includes('\\Deleted'));
  return flagged.map(({ raw }) => /^Subject: (.*)\r$/m.exec(raw.toString())?.[1] ?? '');
}

/** The first two mostly wait. A command that changes nothing and is never answered is the same, whether it was carried out or not. */
const COMMAND_FAULTS: readonly (readonly [string, Fault, actions: readonly Action[], folders?: readonly string[]])[] = [
  ['is never answered', { hang: true }, ['trash']],
  ['is done, and never answered', { runThen: 'hang' }, ['trash', 'expunge'], SEVERAL],
  ['is done, and its answer lost', { runThen: 'close' }, ['trash'], SEVERAL],
  ['is refused', { reply: 'NO [UNAVAILABLE] not now' }, ['expunge'], SEVERAL],
  ['is refused', { reply: 'NO [UNAVAILABLE] not now' }, ['trash', 'expunge', 'flag']],
  ['is not understood', { reply: 'BAD what?' }, ['trash']],
  ['ends the connection', { close: true }, ['trash', 'expunge']],
  ['is done, and its answer lost', { runThen: 'close' }, ['trash', 'expunge', 'flag']],
  ['is done, and said to have failed', { runThen: 'reply', reply: 'NO [SERVERBUG] who knows' }, ['trash', 'expunge']],
  ['is the last before BYE', { bye: 'restarting' }, ['trash']],
  ['is answered in half', { cutAfter: 9 }, ['trash']],
];
/** Warnings and errors that the faults bring about; any other is a fault of ours. */
const EXPECTED: ReadonlySet<string> = new Set(
  ['delete-failed', 'login-failed', 'only-flagged', 'seen-failed', 'session-error', 'upstream-failed'].map((event) => `warn ${event}`),
);
const EXPECTED_OF_STORE: ReadonlySet<string> = new Set(['warn login-failed', 'warn delete-failed', 'error save-failed']);

allowInLog('delete-failed', 'login-failed', 'only-flagged', 'save-failed', 'seen-failed', 'session-error', 'upstream-failed');

function complaints(it: BridgeSite<Bridge>): string[] {
  const lines = it.bridge.log.filter(({ level }) => level === 'warn' || level === 'error');
  return [...new Set(lines.map(({ level, event }) => `${String(level)} ${event}`))];
}

/** A session of theirs has at least so many. */
const LEAST_COMMANDS = 8;
const LEAST_CHANGES = 2;
const LEAST_STATEMENTS = 20;
const CHANGES = /STORE|MOVE|COPY|EXPUNGE/;

const tablesFor = (action: Action, folders: readonly string[]): string =>
  `[maildrop]\nfolders = ${JSON.stringify(folders)}\n[delete]\naction = "${action}"`;

describe.concurrent('the nth command to the server', () => {
  const cases = COMMAND_FAULTS.flatMap(([name, fault, actions, folders = ONE]) =>
    actions.map((action) => [name, action, folders, fault] as const),
  );

  const sites = new Map<(typeof cases)[number], BridgeSite<Bridge>>();
  const isUnheard = (fault: Fault): boolean => 'runThen' in fault && fault.runThen === 'hang';

  // All before the first session: what a reload makes forgotten is asked again, and the nth command would be another one.
  beforeAll(async () => {
    for (const one of cases) {
      const [, action, folders, fault] = one;
      const commandTimeout = patienceText(isUnheard(fault) || 'hang' in fault ? 1_000 : 5_000);
      const setup = { tables: tablesFor(action, folders), server: { folders: FOLDERS }, commandTimeout };
      sites.set(one, await BridgeSite.startIn(shared, setup));
    }
  });

  afterAll(async () => {
    for (const site of sites.values()) await site[Symbol.asyncDispose]();
  });

  test.for(cases)('%s (delete.action = "%s", %j)', { timeout: patience(180_000) }, async (one, { expect: expected }) => {
    const [, action, folders, fault] = one;
    const it = sites.get(one);
    if (it === undefined) throw new Error('no site');
    const steps = await new Sweep(it, action, folders).run((nth) => {
      let seen = 0;
      it.imap.setScript(({ verb }) => ((!isUnheard(fault) || CHANGES.test(verb)) && (seen += 1) === nth ? fault : undefined));
      return Promise.resolve(() => {
        it.imap.setScript(undefined);
        return seen >= nth;
      });
    });
    expected(steps).toBeGreaterThan(isUnheard(fault) ? LEAST_CHANGES : LEAST_COMMANDS);
    expected(complaints(it).filter((event) => !EXPECTED.has(event))).toEqual([]);
  });
});

/** Commands that a server may refuse and nobody needs: each with what makes us send it, beyond or instead of the usual. */
const COURTESIES: readonly (readonly [verb: string, capabilities: string])[] = [
  ['ID', 'ID CONDSTORE'],
  ['NOOP', 'CONDSTORE'],
  ['UNSELECT', 'UNSELECT'],
  ['CHECK', ''],
];

test('where a courtesy is refused nobody notices', { timeout: patience(60_000) }, async () => {
  const capabilities: string[] = [];
  const server = { folders: FOLDERS, capabilities };
  await using it = await BridgeSite.start({ tables: tablesFor('flag', ONE), server, linger: '5m' });
  const sweep = new Sweep(it, 'flag', ONE, true);
  for (const [verb, more] of COURTESIES) {
    capabilities.splice(0, capabilities.length, ...`IMAP4rev1 SASL-IR ESEARCH AUTH=PLAIN ${more}`.trim().split(' '));
    for (const reply of ['NO not here', 'BAD what?']) {
      const refuse = (): (() => boolean) => {
        let refused = 0;
        it.imap.setScript((event) => (event.verb === verb && (refused += 1) > 0 ? { reply } : undefined));
        return () => refused > 0;
      };
      // On a new connection, and where one was kept.
      const first = await sweep.step(`${verb} ${reply}`, () => Promise.resolve(refuse()));
      const second = await sweep.step(`${verb} ${reply} again`, () => Promise.resolve(refuse()));
      expect(first || second, verb).toBe(true);
      it.imap.setScript(undefined);
      it.imap.dropConnections();
      await until(() => it.imap.openConnections === 0);
    }
  }
  expect(complaints(it)).toEqual([]);
  expect(it.imap.commands.filter((command) => command.startsWith('ENABLE'))).toEqual([]);
});

describe.concurrent('the nth statement of the store fails', () => {
  test.for(['trash', 'expunge', 'hide'] as const)(
    'delete.action = "%s"',
    { timeout: patience(180_000) },
    async (action, { expect: expected }) => {
      using fault = new StoreFault();
      const { variables } = fault;
      await using it = await BridgeSite.start({ tables: tablesFor(action, ONE), server: { folders: FOLDERS }, variables });
      const steps = await new Sweep(it, action, ONE).run(async (nth) => {
        await fault.arm(it.bridge, nth);
        return async () => {
          const hasStruck = fault.takeStruck();
          await fault.arm(it.bridge, 0);
          return hasStruck;
        };
      });
      expected(steps).toBeGreaterThan(LEAST_STATEMENTS);
      expected(complaints(it).filter((event) => !EXPECTED_OF_STORE.has(event))).toEqual([]);
    },
  );
});
