/**
 * `kill -9` at every step: at the nth command to the server, and at the nth statement that changes the store. The daemon that starts afterwards looks at what
 * was left, and is the next one to be killed. With `FUZZ_RUNS` at every statement, else at each of UPDATE and wherever something becomes lasting.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { expect, test } from 'vitest';
import { bridgeConfig } from '../support/bridge-config.ts';
import { allowInLog, BridgeProcess } from '../support/bridge-process.ts';
import { BridgeSite } from '../support/bridge-site.ts';
import { moreFuzzRuns } from '../support/holds.ts';
import { ImapServer, type ImapServerOptions } from '../support/imap-server.ts';
import { patience } from '../support/patience.ts';
import { PopDialogue } from '../support/pop-dialogue.ts';
import { StoreFault } from '../support/store-fault.ts';
import { until } from '../support/until.ts';

// The server closes a connection, which \Seen may have been about to use.
allowInLog('delete-failed', 'map-rematched', 'seen-failed');

const LONGEST = { timeout: patience(300_000) };
const TRASH = 'Trash';
const SERVER_FOLDERS = ['INBOX', 'Lists', TRASH];
const FOLDERS = [{ path: 'INBOX' }, { path: 'Lists' }, { path: TRASH, specialUse: '\\Trash' }];
/** COPY, \Deleted and UID EXPUNGE: each is a stage of its own in the journal. */
const WITHOUT_MOVE = ['IMAP4rev1', 'SASL-IR', 'AUTH=PLAIN', 'UIDPLUS', 'SPECIAL-USE'];

interface Setup {
  /** Of the maildrop. */
  readonly folders: readonly string[];
  readonly server?: ImapServerOptions;
  readonly variables?: Readonly<Record<string, string>>;
}

/** One maildrop through many deaths of its daemon, with all that must be true of it. */
class Survivor implements AsyncDisposable {
  readonly #setup: Setup;
  readonly #tables: string;
  readonly #past: BridgeSite[] = [];
  /** As they were shown first, by subject. */
  readonly #ids = new Map<string, string>();
  readonly #delivered: string[] = [];
  /** QUIT was sent with them marked. */
  readonly #asked = new Set<string>();
  #site: BridgeSite;
  /** With the daemon that runs. */
  #sessions = 0;

  private constructor(site: BridgeSite, setup: Setup, tables: string) {
    this.#site = site;
    this.#setup = setup;
    this.#tables = tables;
  }

  static async start(setup: Setup): Promise<Survivor> {
    const tables = `[maildrop]\nfolders = ${JSON.stringify(setup.folders)}\n[delete]\naction = "trash"`;
    const { variables = {} } = setup;
    const site = await BridgeSite.start({ tables, server: { folders: FOLDERS, ...setup.server }, variables });
    const survivor = new Survivor(site, setup, tables);
    survivor.#deliver('first');
    await survivor.#look('first');
    // From now on these unique-ids follow from nothing but what is stored.
    for (const folder of setup.folders) site.imap.mailbox(folder).resetUidValidity();
    await survivor.#look('another UIDVALIDITY');
    return survivor;
  }

  get site(): BridgeSite {
    return this.#site;
  }

  /** A session that looks at what is new, reads one message, deletes one of each folder, and ends with QUIT. Gives the answer to that, if it got so far. */
  async play(name: string, beforeQuit: () => Promise<void> = async () => {}): Promise<string | undefined> {
    const fresh = this.#deliver(name);
    const wanted = fresh.filter((subject) => subject.startsWith('delete'));
    let client: PopDialogue | undefined;
    let quit: string | undefined;
    try {
      client = await this.#site.open();
      const known = new Set(this.#ids.values());
      // What came last stands last, folder by folder. Once it was shown, its unique-id is for ever.
      const rows = (await client.multi('UIDL')).filter((line) => !known.has(line.split(' ')[1] ?? ''));
      expect(rows).toHaveLength(fresh.length);
      for (const [index, line] of rows.entries()) {
        const [number, id = ''] = line.split(' ');
        const subject = fresh[index] ?? '';
        this.#ids.set(subject, id);
        if (subject.startsWith('read')) await client.retrieve(Number(number));
        if (wanted.includes(subject)) expect(await client.command(`DELE ${number}`)).toMatch(/^\+OK/);
      }
      await beforeQuit();
      for (const subject of wanted) this.#asked.add(subject);
      quit = await client.command('QUIT');
    } catch (error) {
      if (error instanceof Error && error.name === 'AssertionError') throw error;
    } finally {
      client?.close();
    }
    const { bridge, imap } = this.#site;
    this.#sessions += 1;
    await until(() => imap.openConnections === 0 && (bridge.hasEnded || bridge.events('session-end').length === this.#sessions));
    if (quit?.startsWith('+OK') === true) for (const subject of wanted) expect(this.#shownUpstream(), name).not.toContain(subject);
    return quit;
  }

  /** Starts the daemon again, and looks. */
  async revive(where: string): Promise<void> {
    this.#past.push(this.#site);
    this.#sessions = 0;
    this.#site = await this.#site.restart('SIGKILL', this.#tables, this.#setup.variables);
    await this.#look(where);
  }

  /** All that there is to do is done, and the file is as good as new. */
  async end(): Promise<void> {
    await this.#site.bridge.stop('SIGKILL');
    expect(this.#ask('PRAGMA integrity_check')).toEqual([{ integrity_check: 'ok' }]);
    expect(this.#ask('PRAGMA foreign_key_check')).toEqual([]);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#site[Symbol.asyncDispose]();
    for (const { bridge } of this.#past.toReversed()) await bridge[Symbol.asyncDispose]();
  }

  #deliver(name: string): string[] {
    const fresh = this.#setup.folders.flatMap((folder, place) => {
      const subjects = ['keep', ...(place === 0 ? ['read'] : []), 'delete'].map((what) => `${what} ${name} in ${folder}`);
      this.#site.deliver(folder, ...subjects);
      return subjects;
    });
    this.#delivered.push(...fresh);
    return fresh;
  }

  async #look(where: string): Promise<void> {
    const shown = await this.#site.glance().catch((error: unknown) => Promise.reject(new Error(where, { cause: error })));
    this.#sessions += 1;
    await until(() => this.#site.imap.openConnections === 0);
    const folders = SERVER_FOLDERS.map((path) => this.#site.upstream(path));
    for (const subjects of folders) expect(new Set(subjects).size, where).toBe(subjects.length);
    // Where COPY was interrupted, both stay: that is no loss.
    expect([...new Set(folders.flat())].sort(), where).toEqual(this.#delivered.toSorted());
    expect(
      this.#delivered.filter((subject) => !this.#asked.has(subject) && !this.#shownUpstream().includes(subject)),
      where,
    ).toEqual([]);
    expect(
      this.#site.upstream(TRASH).filter((subject) => !this.#asked.has(subject)),
      where,
    ).toEqual([]);
    expect(shown.subjects.toSorted(), where).toEqual(this.#shownUpstream().sort());
    for (const [subject, id] of Object.entries(shown.ids)) {
      expect(id, `${where}: ${subject}`).toBe(this.#ids.get(subject) ?? id);
      this.#ids.set(subject, id);
    }
    expect(new Set(this.#ids.values()).size, where).toBe(this.#ids.size);
    // Whatever was begun has come to its end.
    const flagged = this.#setup.folders.flatMap((path) =>
      this.#site.imap.mailbox(path).messages.filter(({ flags }) => flags.includes('\\Deleted')),
    );
    expect(flagged, where).toEqual([]);
    expect(this.#ask('SELECT * FROM journal'), where).toEqual([]);
  }

  #shownUpstream(): string[] {
    return this.#setup.folders.flatMap((path) => this.#site.upstream(path));
  }

  #ask(sql: string): Record<string, unknown>[] {
    const database = new DatabaseSync(join(this.#site.bridge.folder, 'state', 'popbridge.sqlite'), { readOnly: true });
    try {
      return database
        .prepare(sql)
        .all()
        .map((row) => ({ ...row }));
    } finally {
      database.close();
    }
  }
}

test('at the nth command: nothing is lost, shown twice or renamed, and only what a complete QUIT asked for goes', LONGEST, async () => {
  await using survivor = await Survivor.start({ folders: ['INBOX', 'Lists'] });
  let nth = 0;
  for (let wasKilled = true; wasKilled;) {
    nth += 1;
    const { imap, bridge } = survivor.site;
    let seen = 0;
    imap.setScript(() => {
      seen += 1;
      if (seen !== nth) return undefined;
      bridge.kill('SIGKILL');
      // Every second time the server still does what it was told.
      return nth % 2 === 0 ? { delayMs: 50 } : undefined;
    });
    await survivor.play(`${nth}`);
    imap.setScript(undefined);
    wasKilled = seen >= nth;
    if (wasKilled) await survivor.revive(`command ${nth}`);
  }
  expect(nth - 1).toBeGreaterThan(10);
  await survivor.end();
});

/** A statement at which to die: counted from the login, or from QUIT. */
interface Step {
  readonly from: 'login' | 'QUIT';
  readonly nth: number;
  readonly sql: string;
}

/** Where it is worth dying, of what a session changed: within a transaction nothing is lasting before its COMMIT. */
function chosen(from: Step['from'], statements: readonly string[]): Step[] {
  const updateEnds = from === 'QUIT' ? statements.findLastIndex((sql) => sql.includes('journal')) : -1;
  let isWithin = false;
  return statements.flatMap((sql, index) => {
    if (sql.startsWith('BEGIN')) isWithin = true;
    else if (sql === 'COMMIT') isWithin = false;
    const isChosen = IS_LONG || index <= updateEnds || !isWithin || index === statements.length - 1;
    return isChosen ? [{ from, nth: index + 1, sql }] : [];
  });
}

const IS_LONG = moreFuzzRuns(1) > 0;

test('at the nth statement of the store: the same, and a deletion left over is finished', LONGEST, async () => {
  using fault = new StoreFault();
  await using survivor = await Survivor.start({ folders: ['INBOX'], server: { capabilities: WITHOUT_MOVE }, variables: fault.variables });

  /** A session behind one whose deletion was not finished. */
  const session = async (name: string, onLogin: () => Promise<void>, onQuit: () => Promise<void>): Promise<void> => {
    survivor.site.imap.setScript(({ verb }) => (verb === 'UID EXPUNGE' ? { close: true } : undefined));
    expect(await survivor.play(`${name}, left over`)).toMatch('outcome unknown');
    survivor.site.imap.setScript(undefined);
    await onLogin();
    await survivor.play(name, onQuit);
  };
  const nothing = async (): Promise<void> => {};
  const arm = (nth: number, how: 'kill' | 'trace') => (): Promise<void> => fault.arm(survivor.site.bridge, nth, how);

  // As every later session: of a daemon that has just started, and has looked once.
  await survivor.revive('start');
  let loginEnds = 0;
  await session('traced', arm(0, 'trace'), async () => void (loginEnds = fault.trace.length));
  const { trace } = fault;
  const steps = [...chosen('login', trace.slice(0, loginEnds)), ...chosen('QUIT', trace.slice(loginEnds))];
  if (IS_LONG) expect(steps).toHaveLength(trace.length);
  // The end of what was left over, and a new entry with its stages; and two maps.
  expect(steps.filter(({ sql }) => sql.includes('journal')).length).toBeGreaterThan(3);
  expect(trace.filter((sql) => sql.includes('segment')).length).toBeGreaterThan(1);

  for (const { from, nth, sql } of steps) {
    const name = `${from} ${nth}: ${sql.slice(0, 30)}`;
    const kill = arm(nth, 'kill');
    await session(name, from === 'login' ? kill : nothing, from === 'QUIT' ? kill : nothing);
    expect(fault.takeStruck(), name).toBe(true);
    await survivor.revive(name);
  }
  // There is none after the last.
  await session('none left', nothing, arm(trace.length - loginEnds + 1, 'kill'));
  expect(fault.takeStruck()).toBe(false);
  await survivor.revive('none left');
  await survivor.end();
});

test('at the nth statement of a first start: the next start is as good as a first one', LONGEST, async () => {
  using fault = new StoreFault();
  await using imap = await ImapServer.start({ users: { alice: 'secret' } });
  imap.mailbox('INBOX').append('Subject: one\r\n\r\nbody\r\n');
  const config = bridgeConfig({ imapPort: imap.port, upstream: ['linger = "0s"'] });
  fault.armStart(0, 'trace');
  await using first = await BridgeProcess.start({ config, variables: fault.variables });
  const { trace } = fault;
  expect(trace.length).toBeGreaterThan(3);
  const wanted = await uidlOf(first);

  for (const [index, sql] of trace.entries()) {
    const folder = mkdtempSync(join(tmpdir(), 'popbridge-killed-'));
    fault.armStart(index + 1, 'kill');
    await expect(BridgeProcess.start({ config, folder, variables: fault.variables }), sql).rejects.toThrow('SIGKILL');
    expect(fault.takeStruck(), sql).toBe(true);
    await using next = await BridgeProcess.start({ config, folder });
    expect(await uidlOf(next), sql).toEqual(wanted);
    await next.stop();
    rmSync(folder, { recursive: true });
  }
});

async function uidlOf(bridge: BridgeProcess): Promise<string[]> {
  const client = await PopDialogue.connect(bridge.port());
  await client.login('alice', 'secret');
  const rows = await client.multi('UIDL');
  await client.command('QUIT');
  client.close();
  return rows;
}
