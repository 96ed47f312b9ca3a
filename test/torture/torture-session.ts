/** One POP3 session of a client that may leave at any step, checked against the ledger wherever an answer came whole. */
import { lastWords } from '../support/last-words.ts';
import { patience } from '../support/patience.ts';
import { PopDialogue } from '../support/pop-dialogue.ts';
import type { Random } from '../bench/seeded-random.ts';
import { type Ledger, type Listed, Violation } from './ledger.ts';
import { nameOf } from './mail-server.ts';
import type { TortureSite } from './torture-site.ts';

/** Whoever gets no answer for so long is left hanging. */
const HANG_MS = 30_000;

/** How the session is to end, if nothing ends it before. */
export type Ending = 'quit' | 'quit-and-run' | 'leave';

export interface SessionPlan {
  readonly user: string;
  readonly ending: Ending;
  /** The client hangs up before this step; undefined: it does not. */
  readonly hangUpBefore: number | undefined;
  /** The daemon is killed before this step. */
  readonly killBefore: number | undefined;
  /** Something else may go wrong: refusals and cuts are no faults of ours. */
  readonly isTroubled: boolean;
  /** Mails of so many octets are always retrieved, others now and then. */
  readonly retrievesFrom: number;
  /** UIDVALIDITY has changed since the last listing. */
  readonly isRenumbered: boolean;
}

export interface SessionOutcome {
  /** The command that was not answered, or was refused; undefined where all went well. */
  readonly failedAt: string | undefined;
  readonly quit: 'ok' | 'refused' | 'unanswered' | 'not sent';
  readonly deletionsAsked: number;
  readonly retrieved: number;
  /** Mails under other unique-ids than before. */
  readonly changedIds: number;
}

/** The client hung up, as planned. */
class HungUp extends Error {}

class Refused extends Error {}

/** Plays one session; throws a Violation where a promise is broken. */
export async function playSession(site: TortureSite, ledger: Ledger, random: Random, plan: SessionPlan): Promise<SessionOutcome> {
  const session = new TortureSession(site, ledger, random, plan);
  return session.play();
}

class TortureSession {
  readonly #site: TortureSite;
  readonly #ledger: Ledger;
  readonly #random: Random;
  readonly #plan: SessionPlan;
  #client: PopDialogue | undefined;
  #steps = 0;
  #command = 'connect';
  #quit: SessionOutcome['quit'] = 'not sent';
  #marked = new Set<string>();
  #asked = 0;
  #retrieved = 0;
  #changedIds = 0;

  constructor(site: TortureSite, ledger: Ledger, random: Random, plan: SessionPlan) {
    this.#site = site;
    this.#ledger = ledger;
    this.#random = random;
    this.#plan = plan;
  }

  async play(): Promise<SessionOutcome> {
    let failedAt: string | undefined;
    try {
      await this.#run();
    } catch (error) {
      if (error instanceof Violation) throw error;
      const isExpected = error instanceof HungUp || this.#site.isKilled || this.#plan.isTroubled;
      if (!isExpected) throw new Violation(`${this.#command}: ${String(error)}, though nothing was wrong`);
      failedAt = this.#command.split(' ')[0];
    } finally {
      this.#client?.close();
    }
    const { deletionsAsked, retrieved, changedIds } = {
      deletionsAsked: this.#asked,
      retrieved: this.#retrieved,
      changedIds: this.#changedIds,
    };
    return { failedAt, quit: this.#quit, deletionsAsked, retrieved, changedIds };
  }

  async #run(): Promise<void> {
    this.#client = await this.#step('connect', () => PopDialogue.connect(this.#site.port));
    await this.#ok(`USER ${this.#plan.user}`);
    await this.#ok(`PASS ${this.#site.password}`);
    const listing = await this.#list();
    const names = await this.#name(listing);
    for (const [index, name] of names.entries()) {
      const octets = listing[index]?.octets ?? 0;
      if (this.#random() < 0.3 || octets >= this.#plan.retrievesFrom) await this.#retrieve(index + 1, name, octets);
    }
    await this.#mark(names);
    if (this.#random() < 0.15) {
      await this.#ok('RSET');
      this.#marked.clear();
      await this.#mark(names);
    }
    await this.#end();
  }

  async #list(): Promise<Listed[]> {
    const stat = /^\+OK (\d+) (\d+)$/.exec(await this.#ok('STAT'));
    const sizes = await this.#numbered('LIST');
    const ids = await this.#numbered('UIDL');
    if (sizes.length !== ids.length || Number(stat?.[1]) !== ids.length) throw new Violation('STAT, LIST and UIDL differ');
    const listing = ids.map((id, index) => ({ id, octets: Number(sizes[index]) }));
    if (Number(stat?.[2]) !== listing.reduce((sum, { octets }) => sum + octets, 0)) throw new Violation('STAT is not the sum of LIST');
    return listing;
  }

  /** The second words of a listing, whose first words count. */
  async #numbered(command: string): Promise<string[]> {
    const lines = await this.#step(command, (client) => client.multi(command));
    return lines.map((line, index) => {
      const [number, word = ''] = line.split(' ');
      if (Number(number) !== index + 1) throw new Violation(`${command}: line ${index + 1} is ${JSON.stringify(line)}`);
      return word;
    });
  }

  /** Names in the order of the listing. */
  async #name(listing: readonly Listed[]): Promise<string[]> {
    const fresh = new Set(this.#ledger.listed(listing));
    for (const [index, { id }] of listing.entries()) {
      if (!fresh.has(id)) continue;
      const header = await this.#step(`TOP ${index + 1} 0`, (client) => client.multiOctets(`TOP ${index + 1} 0`));
      const name = nameOf(header);
      if (name === undefined)
        throw new Violation(`TOP ${index + 1} 0 gave no header of ours: ${JSON.stringify(header.toString('latin1').slice(0, 200))}`);
      this.#ledger.named(id, name);
    }
    this.#changedIds = this.#ledger.listedWhole(listing, this.#plan.isRenumbered);
    return listing.map(({ id }) => this.#ledger.owner(id) ?? '');
  }

  async #retrieve(message: number, name: string, octets: number): Promise<void> {
    const body = await this.#step(`RETR ${message}`, (client) => client.retrieve(message));
    this.#ledger.retrieved(name, body, octets);
    this.#retrieved += 1;
  }

  async #mark(names: readonly string[]): Promise<void> {
    const share = this.#random() < 0.5 ? 0 : 0.4 * this.#random();
    for (const [index, name] of names.entries()) {
      if (this.#random() >= share) continue;
      await this.#ok(`DELE ${index + 1}`);
      this.#marked.add(name);
    }
  }

  async #end(): Promise<void> {
    if (this.#plan.ending === 'leave') return;
    this.#before('QUIT');
    const marked = [...this.#marked];
    this.#asked = marked.length;
    this.#ledger.asked(marked);
    this.#quit = 'unanswered';
    this.#client?.send('QUIT\r\n');
    if (this.#plan.ending === 'quit-and-run') {
      // A connection that is closed with unread octets is reset: QUIT may not have arrived.
      this.#client?.socket.end();
      return;
    }
    const answer = (await this.#inTime((client) => client.line())).slice(0, 4);
    if (answer.startsWith('+OK')) {
      this.#quit = 'ok';
      this.#ledger.done(marked);
      return;
    }
    this.#quit = 'refused';
    throw new Refused(answer);
  }

  async #ok(command: string): Promise<string> {
    const answer = await this.#step(command, (client) => client.command(command));
    if (!answer.startsWith('+OK')) throw new Refused(answer);
    return answer;
  }

  async #step<T>(command: string, run: (client: PopDialogue) => Promise<T>): Promise<T> {
    this.#before(command);
    return this.#inTime(run);
  }

  #before(command: string): void {
    this.#command = command.startsWith('PASS') ? 'PASS' : command;
    this.#steps += 1;
    if (this.#steps === this.#plan.killBefore) this.#site.kill();
    if (this.#steps === this.#plan.hangUpBefore) throw new HungUp(command);
  }

  async #inTime<T>(run: (client: PopDialogue) => Promise<T>): Promise<T> {
    const { promise: late, reject } = Promise.withResolvers<never>();
    const limit = patience(HANG_MS);
    const timer = setTimeout(() => reject(new Violation(`${this.#command} was not answered in ${limit} ms: ${lastWords()}`)), limit);
    // Connecting has no client yet, and does not ask for it.
    const client = this.#client as PopDialogue;
    return Promise.race([run(client), late]).finally(() => clearTimeout(timer));
  }
}
