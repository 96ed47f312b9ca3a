/** Many sessions, each with its own trouble, all drawn from one seed; after each the server is looked at. */
import type { Random } from '../bench/seeded-random.ts';
import { seededRandom } from '../bench/seeded-random.ts';
import { allowInLog } from '../support/bridge-process.ts';
import type { FaultPlan } from './fault-proxy.ts';
import { Ledger, Violation } from './ledger.ts';
import { DovecotServer, type Action, type MailServer } from './mail-server.ts';
import { type Ending, playSession, type SessionOutcome, type SessionPlan } from './torture-session.ts';
import { TortureSite, USERS } from './torture-site.ts';

export interface TortureOptions {
  readonly seed: number;
  readonly sessions: number;
  /** Starts the server; Dovecot unless given. */
  readonly server?: (users: Readonly<Record<string, string>>) => Promise<MailServer>;
  /** Called with every session. */
  readonly onSession?: (session: number) => void;
}

/** What was exercised. */
export interface TortureReport {
  readonly action: Action;
  readonly sessions: number;
  readonly kills: number;
  /** QUIT was sent with deletions, and nobody heard the answer. */
  readonly unknownQuits: number;
  readonly refusedQuits: number;
  /** Sessions that ended within a command, by that command. */
  readonly cutsByPhase: Readonly<Record<string, number>>;
  readonly strikes: Readonly<Record<string, number>>;
  readonly messages: number;
  readonly retrieved: number;
  readonly deleted: number;
  readonly removedByOthers: number;
  readonly renumberings: number;
  readonly changedIds: number;
  /** Warnings and errors in the log, by event. */
  readonly complaints: Readonly<Record<string, number>>;
}

interface Trouble extends Pick<SessionPlan, 'hangUpBefore' | 'killBefore'> {
  readonly kind: string;
  readonly fault: FaultPlan | undefined;
  readonly pieces: number;
}

const NO_TROUBLE: Trouble = { kind: 'none', fault: undefined, pieces: 0, hangUpBefore: undefined, killBefore: undefined };
/** What the faults bring about. Anything else in the log is a fault of ours. */
const EXPLAINED = ['delete-failed', 'login-failed', 'map-rematched', 'only-flagged', 'seen-failed', 'session-error', 'upstream-failed'];
const EXPECTED: ReadonlySet<string> = new Set(EXPLAINED.map((event) => `warn ${event}`));
allowInLog(...EXPLAINED);
const MOST_MAILS = 25;
const DIARY_LINES = 25;
const LOG_LINES = 40;
/** More than is held back before the first octet of a message goes out, and less than what is kept of those retrieved before. */
const LONG_OCTETS = 120_000;
/** Of trouble. */
export type Kind = 'none' | 'cut' | 'command-cut' | 'command-kill' | 'body' | 'kill' | 'step-kill' | 'stall' | 'hang-up' | 'pieces';
const KINDS: readonly Kind[] = [
  ...(['none', 'none', 'cut', 'cut', 'cut', 'command-cut', 'command-cut', 'command-kill', 'body'] as const),
  ...(['kill', 'step-kill', 'stall', 'hang-up', 'pieces'] as const),
];
const COMMANDS = [
  / LOGIN | AUTHENTICATE /i,
  / SELECT /i,
  / UID FETCH /i,
  / UID STORE /i,
  / UID (?:MOVE|EXPUNGE) /i,
  / UID SEARCH /i,
  / NOOP/i,
];

/** Runs it; a Violation says in which session. */
export async function torture({
  seed,
  sessions,
  server = (users) => DovecotServer.start(users),
  onSession = () => {},
}: TortureOptions): Promise<TortureReport> {
  const random = seededRandom(seed);
  const action = seed % 2 === 0 ? 'trash' : 'expunge';
  await using site = await TortureSite.start(await server(USERS), action);
  const run = new TortureRun(site, random);
  for (let session = 1; session <= sessions; session += 1) {
    onSession(session);
    try {
      await run.session();
    } catch (error) {
      const what = error instanceof Error ? error.message : String(error);
      const told = [`seed ${seed}, session ${session}: ${what}`, 'before it:', ...run.diary, 'popbridge:', ...lastOf(site.log)];
      throw new Violation([...told, 'the server:', ...lastOf(await site.server.log())].join('\n  '), { cause: error });
    }
  }
  await run.finish();
  return run.report(sessions);
}

function lastOf(log: string): string[] {
  return log.trimEnd().split('\n').slice(-LOG_LINES);
}

export class TortureRun {
  readonly #site: TortureSite;
  readonly #random: Random;
  readonly #kinds: readonly Kind[];
  readonly #ledgers: ReadonlyMap<string, Ledger>;
  readonly #renumbered = new Set<string>();
  readonly #counts = {
    kills: 0,
    unknownQuits: 0,
    refusedQuits: 0,
    retrieved: 0,
    deleted: 0,
    removedByOthers: 0,
    renumberings: 0,
    changedIds: 0,
  };
  readonly #cutsByPhase: Record<string, number> = {};
  readonly #strikes: Record<string, number> = {};
  readonly #diary: string[] = [];
  #mails = 0;

  /** `kinds` of trouble: each as likely as it stands there often. */
  constructor(site: TortureSite, random: Random, kinds: readonly Kind[] = KINDS) {
    this.#kinds = kinds;
    this.#site = site;
    this.#random = random;
    this.#ledgers = new Map(site.users.map((user) => [user, new Ledger()]));
  }

  /** What happened lately. */
  get diary(): readonly string[] {
    return this.#diary.slice(-DIARY_LINES);
  }

  async session(): Promise<void> {
    const user = this.#pick(this.#site.users);
    await this.#happen(user);
    const trouble = this.#trouble();
    await this.#play(user, trouble, this.#pick<Ending>(['quit', 'quit', 'quit', 'quit', 'quit', 'quit-and-run', 'leave']));
  }

  /** Once faults stop, the next session succeeds and delivers all that is missing (I6), and what was held is let go of (I9). */
  async finish(): Promise<void> {
    for (const user of this.#site.users) {
      await this.#play(user, NO_TROUBLE, 'quit');
      this.#ledger(user).found(this.#site.server.found(user, this.#site.action));
    }
    const unexpected = Object.keys(this.#complaints()).filter((complaint) => !EXPECTED.has(complaint));
    if (unexpected.length > 0) throw new Violation(`the log must not hold: ${unexpected.join(', ')}`);
    const secrets = [this.#site.password, Buffer.from(this.#site.password).toString('base64')];
    const leaks = secrets.filter((secret) => this.#site.log.includes(secret));
    if (leaks.length > 0) throw new Violation('the password is in the log');
    const files = this.#site.filesWith(...secrets);
    if (files.length > 0) throw new Violation(`the password is in ${files.join(' ')}`);
  }

  report(sessions: number): TortureReport {
    const { action } = this.#site;
    return {
      action,
      sessions,
      ...this.#counts,
      cutsByPhase: this.#cutsByPhase,
      strikes: this.#strikes,
      messages: this.#mails,
      complaints: this.#complaints(),
    };
  }

  /** Warnings and errors in the log, by event. */
  #complaints(): Record<string, number> {
    const complaints: Record<string, number> = {};
    for (const line of this.#site.log.split('\n')) {
      const { level, event } = JSON.parse(line) as { readonly level: string; readonly event: string };
      if (level === 'warn' || level === 'error') count(complaints, `${level} ${event}`);
    }
    return complaints;
  }

  /** What goes on at the server between two sessions. */
  async #happen(user: string): Promise<void> {
    const ledger = this.#ledger(user);
    const room = MOST_MAILS - ledger.here.length;
    const mails = Array.from({ length: Math.min(room, Math.floor(this.#random() * 5)) }, () => this.#mail());
    await this.#site.server.deliver(
      user,
      mails.map(({ raw }) => raw),
    );
    for (const { name, octets } of mails) ledger.delivered(name, octets);
    this.#diary.push(`${user} gets ${mails.map(({ name }) => name).join(' ')}`);
    if (this.#random() < 0.1 && ledger.here.length > 0) {
      const name = this.#pick(ledger.here);
      await this.#site.server.actAsAnother(user, name, 'remove');
      ledger.removed(name);
      this.#diary.push(`${user}: another client removes ${name}`);
      this.#counts.removedByOthers += 1;
    }
    const isFlagged = ledger.flaggedOnes.length < 2;
    const choices = isFlagged ? ledger.here : ledger.flaggedOnes;
    if (this.#random() < 0.1 && choices.length > 0) {
      const name = this.#pick(choices);
      await this.#site.server.actAsAnother(user, name, isFlagged ? 'flag' : 'unflag');
      ledger.flagged(name, isFlagged);
      this.#diary.push(`${user}: another client ${isFlagged ? 'flags' : 'unflags'} ${name}`);
    }
    if (this.#random() < 0.03) {
      await this.#site.server.renumber(user);
      this.#renumbered.add(user);
      this.#diary.push(`${user}: UIDVALIDITY changes`);
      this.#counts.renumberings += 1;
    }
  }

  async #play(user: string, trouble: Trouble, ending: Ending): Promise<void> {
    const { proxy } = this.#site;
    const before = this.#site.sessionsEnded;
    if (trouble.fault !== undefined) proxy.arm(trouble.fault);
    proxy.split(trouble.pieces);
    const { hangUpBefore, killBefore } = trouble;
    const isTroubled = trouble.fault !== undefined;
    const retrievesFrom = trouble.fault !== undefined && 'bodyOf' in trouble.fault.at ? LONG_OCTETS : Infinity;
    const isRenumbered = this.#renumbered.has(user);
    const plan = { user, ending, hangUpBefore, killBefore, isTroubled, retrievesFrom, isRenumbered };
    const outcome = await playSession(this.#site, this.#ledger(user), this.#random, plan);
    this.#diary.push(`${user}: trouble ${trouble.kind}, to end by ${ending}: ${JSON.stringify(outcome)}`);
    if (outcome.failedAt === undefined) this.#renumbered.delete(user);
    const didEnd = await this.#site.ended(before + 1);
    const hasStruck = proxy.disarm();
    if (!didEnd || this.#site.isKilled) {
      this.#counts.kills += 1;
      await this.#site.restart();
    }
    this.#note(trouble, outcome, hasStruck);
    this.#ledger(user).found(this.#site.server.found(user, this.#site.action));
  }

  #note(trouble: Trouble, outcome: SessionOutcome, hasStruck: boolean): void {
    if (outcome.failedAt !== undefined) count(this.#cutsByPhase, outcome.failedAt);
    if (hasStruck || trouble.hangUpBefore !== undefined) count(this.#strikes, trouble.kind);
    if (outcome.quit === 'unanswered' && outcome.deletionsAsked > 0) this.#counts.unknownQuits += 1;
    if (outcome.quit === 'refused') this.#counts.refusedQuits += 1;
    if (outcome.quit === 'ok') this.#counts.deleted += outcome.deletionsAsked;
    this.#counts.retrieved += outcome.retrieved;
    this.#counts.changedIds += outcome.changedIds;
  }

  #trouble(): Trouble {
    const kind = this.#pick(this.#kinds);
    const octets = Math.floor(this.#random() ** 3 * (this.#random() < 0.3 ? 600_000 : 40_000));
    const direction = this.#pick(['up', 'down', 'down'] as const);
    const at = direction === 'up' ? { direction, octets: octets % 600 } : { direction, octets };
    switch (kind) {
      case 'cut':
      case 'stall':
        return { ...NO_TROUBLE, kind: `${kind} ${direction}`, fault: { at, what: kind } };
      case 'kill':
        return { ...NO_TROUBLE, kind: `kill ${direction}`, fault: { at, what: 'kill' } };
      case 'command-cut':
      case 'command-kill': {
        const command = this.#pick(COMMANDS);
        const reaches = this.#random() < 0.5;
        const what = kind === 'command-kill' ? 'kill' : 'cut';
        return {
          ...NO_TROUBLE,
          kind: `${what} ${reaches ? 'after' : 'before'} ${command.source.trim()}`,
          fault: { at: { command, reaches }, what },
        };
      }
      case 'body': {
        const what = this.#pick(['cut', 'cut', 'kill', 'stall'] as const);
        const within = Math.floor(LONG_OCTETS * (0.6 + 0.4 * this.#random()));
        return { ...NO_TROUBLE, kind: `${what} within a long mail`, fault: { at: { bodyOf: LONG_OCTETS, octets: within }, what } };
      }
      case 'step-kill':
        return { ...NO_TROUBLE, kind: 'kill at a step', killBefore: 1 + Math.floor(this.#random() * 20) };
      case 'hang-up':
        return { ...NO_TROUBLE, kind: 'client hangs up', hangUpBefore: 2 + Math.floor(this.#random() * 20) };
      case 'pieces':
        return { ...NO_TROUBLE, kind, pieces: 1 + Math.floor(this.#random() * 40) };
      default:
        return NO_TROUBLE;
    }
  }

  /** A mail as it is delivered, and as RETR must give it. */
  #mail(): { readonly name: string; readonly raw: Buffer; readonly octets: Buffer } {
    this.#mails += 1;
    const name = `m${this.#mails}`;
    // Some are so long that they are sent before they are there.
    const most = this.#random() < 0.1 ? 30_000 : 300;
    const lines = Array.from({ length: Math.floor(this.#random() ** 4 * most) }, () =>
      this.#pick(['.', '..', '.x', '', 'From here', 'text '.repeat(12)]),
    );
    const text = [`X-Torture: ${name}`, `Message-ID: <${name}@example.com>`, 'Subject: torture', '', ...lines, `end of ${name}`, ''].join(
      '\r\n',
    );
    const octets = Buffer.from(text);
    return { name, raw: this.#random() < 0.3 ? Buffer.from(text.replaceAll('\r\n', '\n')) : octets, octets };
  }

  #ledger(user: string): Ledger {
    const ledger = this.#ledgers.get(user);
    if (ledger === undefined) throw new Error(`no user ${user}`);
    return ledger;
  }

  #pick<T>(choices: readonly T[]): T {
    const choice = choices[Math.floor(this.#random() * choices.length)];
    if (choice === undefined) throw new Error('nothing to choose from');
    return choice;
  }
}

function count(counts: Record<string, number>, key: string): void {
  counts[key] = (counts[key] ?? 0) + 1;
}
