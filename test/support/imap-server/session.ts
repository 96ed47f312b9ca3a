/** One connection: greets, then reads, judges and answers one command after the other, in the order they came. */
import { setTimeout as delay } from 'node:timers/promises';
import type { Account } from './account.ts';
import type { CommandContext, Completion, FetchFault, SessionState } from './command-context.ts';
import { type Command, describeCommand, MAX_LINE_OCTETS, parseCommand, readSegments } from './command-reader.ts';
import { findCommand, runCommand } from './command-table.ts';
import { LineTooLongFault } from './octet-reader.ts';
import type { ResponseWriter } from './response-writer.ts';
import type { Fault, SessionView } from './script.ts';
import type { SessionSocket } from './session-socket.ts';
import type { SessionHost } from './settings.ts';
import { Arguments, parseArguments, SyntaxFault } from './syntax.ts';

/** What becomes of the session after a command. */
type Outcome = 'go-on' | 'close' | 'hang' | 'start-tls';

/** How the answer of a command is bent. */
interface Bend {
  readonly reply?: string;
  readonly fetch?: FetchFault;
}

export class Session implements CommandContext {
  readonly #host: SessionHost;
  readonly #socket: SessionSocket;
  readonly #connection: number;
  #state: SessionState = { phase: 'not-authenticated' };
  #tag = '*';
  #fetchFault: FetchFault = {};

  constructor(host: SessionHost, socket: SessionSocket, connection: number) {
    this.#host = host;
    this.#socket = socket;
    this.#connection = connection;
  }

  get tag(): string {
    return this.#tag;
  }

  get out(): ResponseWriter {
    return this.#socket.out;
  }

  get fetchFault(): FetchFault {
    return this.#fetchFault;
  }

  get canStartTls(): boolean {
    return this.#host.tls?.mode === 'starttls' && !this.#socket.isSecured;
  }

  get isLoginDisabled(): boolean {
    return this.canStartTls && this.#host.tls?.requireTls === true;
  }

  get capabilities(): readonly string[] {
    const isBeforeLogin = this.#state.phase === 'not-authenticated';
    const known = this.#host.capabilities.filter((name) => !name.startsWith('AUTH=') || (isBeforeLogin && !this.isLoginDisabled));
    return [...known, ...(isBeforeLogin && this.canStartTls ? ['STARTTLS'] : []), ...(this.isLoginDisabled ? ['LOGINDISABLED'] : [])];
  }

  has(capability: string): boolean {
    return this.#host.capabilities.includes(capability);
  }

  authenticate(user: string, password: Buffer): Account | undefined {
    return this.#host.authenticate(user, password);
  }

  enter(state: SessionState): void {
    if (this.#state.phase === 'selected') this.#state.view.release();
    this.#state = state;
  }

  note(line: string): void {
    this.#host.note(line);
  }

  async ask(prompt: string): Promise<string | undefined> {
    await this.#invite(prompt);
    const line = await this.#socket.reader.line(MAX_LINE_OCTETS);
    return line?.toString('latin1');
  }

  watchMailbox(): () => void {
    const state = this.#state;
    if (state.phase !== 'selected') return () => undefined;
    const { view } = state;
    let isAwaited = false;
    view.onNews = () => {
      if (isAwaited) return;
      isAwaited = true;
      queueMicrotask(() => {
        isAwaited = false;
        if (view.onNews === undefined) return;
        view.tellNews(this.out, { expunge: true });
        void this.out.flush();
      });
    };
    view.onNews();
    return () => {
      view.onNews = undefined;
    };
  }

  /** Serves the connection to its end. */
  async serve(): Promise<void> {
    try {
      if (this.#host.tls?.mode === 'implicit') this.#socket.secure(this.#host.tls);
      let outcome = await this.#greet();
      while (outcome === 'go-on') outcome = await this.#serveCommand();
      if (outcome === 'hang') {
        this.#socket.reader.discardAll((chunk) => this.#host.drop(chunk));
        await this.#socket.abandoned();
      }
    } catch (error) {
      if (!(error instanceof LineTooLongFault)) throw error;
      this.out.line('* BYE Too long command line');
      await this.out.flush();
    } finally {
      this.enter({ phase: 'not-authenticated' });
      this.#socket.close();
    }
  }

  async #greet(): Promise<Outcome> {
    const usual = `* OK [CAPABILITY ${this.capabilities.join(' ')}] ready`;
    const wanted = this.#host.greeting() ?? usual;
    if (typeof wanted !== 'string') {
      this.out.octets(wanted.raw);
      await this.out.flush();
      if (wanted.next === 'close') return 'close';
    }
    const greeting = typeof wanted === 'string' ? wanted : usual;
    if (greeting === 'hang' || greeting === 'close') return greeting;
    const account = this.#host.firstAccount;
    if (/^\* PREAUTH/i.test(greeting) && account !== undefined) this.enter({ phase: 'authenticated', account });
    this.out.line(greeting);
    await this.out.flush();
    return /^\* BYE/i.test(greeting) ? 'close' : 'go-on';
  }

  async #serveCommand(): Promise<Outcome> {
    const segments = await readSegments(this.#socket.reader, {
      allowsNonSync: this.has('LITERAL+'),
      invite: () => this.#invite('OK'),
    });
    if (segments === undefined) return 'close';
    const command = parseCommand(segments);
    if (command === undefined) {
      this.out.line('* BAD Command expected');
      await this.out.flush();
      return 'go-on';
    }
    const outcome = await this.#answer(command);
    if (outcome !== 'start-tls') return outcome;
    if (this.#host.tls !== undefined) this.#socket.secure(this.#host.tls);
    return 'go-on';
  }

  async #answer(command: Command): Promise<Outcome> {
    this.#tag = command.tag;
    const text = describeCommand(command);
    this.note(text);
    const fault = this.#host.fault({
      connection: this.#connection,
      session: this.#view(),
      tag: command.tag,
      verb: command.verb,
      command: text,
    });
    const outcome = fault === undefined ? await this.#run(command) : await this.#misbehave(command, fault);
    return this.out.isCut ? 'close' : outcome;
  }

  async #misbehave(command: Command, fault: Fault): Promise<Outcome> {
    if ('reply' in fault && !('runThen' in fault))
      return this.#say([fault.untagged ?? [], `${command.tag} ${fault.reply}`].flat(), 'go-on');
    if ('raw' in fault) return this.#sendRaw(command, fault);
    if ('pieces' in fault) return this.#sendPieces(fault.pieces);
    if ('close' in fault) return 'close';
    if ('hang' in fault) return 'hang';
    if ('bye' in fault) return this.#say([`* BYE ${fault.bye}`], 'close');
    if ('runThen' in fault)
      return fault.runThen === 'reply' ? this.#run(command, { reply: fault.reply }) : this.#runUnheard(command, fault.runThen);
    if ('rewrite' in fault) return this.#runRewritten(command, fault.rewrite);
    if ('cutAfter' in fault) return this.#runCut(command, fault.cutAfter);
    if ('delayMs' in fault) return this.#runLate(command, delay(fault.delayMs, undefined, { ref: false }));
    if ('after' in fault) return this.#runLate(command, fault.after);
    return this.#run(command, { fetch: fault });
  }

  async #say(lines: readonly string[], outcome: Outcome): Promise<Outcome> {
    for (const line of lines) this.out.line(line);
    await this.out.flush();
    return outcome;
  }

  async #sendRaw(command: Command, fault: Extract<Fault, { raw: unknown }>): Promise<Outcome> {
    const raw = typeof fault.raw === 'string' ? Buffer.from(fault.raw) : fault.raw;
    this.out.octets(Buffer.from(raw.toString('latin1').replaceAll('$TAG', command.tag), 'latin1'));
    await this.out.flush();
    if (fault.next === 'continue') return this.#run(command);
    return fault.next ?? 'go-on';
  }

  async #sendPieces(pieces: Iterable<Buffer>): Promise<Outcome> {
    for (const piece of pieces) {
      this.out.octets(piece);
      await this.out.flush();
    }
    return 'go-on';
  }

  async #runUnheard(command: Command, outcome: Outcome): Promise<Outcome> {
    this.out.mute(true);
    await this.#run(command);
    this.out.mute(false);
    return outcome;
  }

  async #runRewritten(command: Command, rewrite: (text: string) => string): Promise<Outcome> {
    this.out.rewriteBy(rewrite);
    const outcome = await this.#run(command);
    this.out.rewriteBy(undefined);
    return outcome;
  }

  async #runCut(command: Command, octets: number): Promise<Outcome> {
    this.out.cutAfter(octets);
    const outcome = await this.#run(command);
    this.out.cutAfter(undefined);
    return outcome;
  }

  async #runLate(command: Command, time: Promise<unknown>): Promise<Outcome> {
    await Promise.race([time, this.#socket.reader.ended]);
    return this.#run(command);
  }

  async #run(command: Command, bend: Bend = {}): Promise<Outcome> {
    const before = this.#state;
    if (before.phase === 'selected' && before.view.isInvalid && command.verb !== 'LOGOUT') {
      return this.#say(['* BYE The selected mailbox is no longer valid'], 'close');
    }
    this.#fetchFault = bend.fetch ?? {};
    const row = findCommand(command.verb, (capability) => this.has(capability));
    const completion = await this.#complete(command, row);
    if (this.#state === before && before.phase === 'selected') {
      before.view.tellNews(this.out, { expunge: row?.forbidsExpunge !== true });
    }
    const { text, next } = typeof completion === 'string' ? { text: completion, next: 'go-on' as const } : completion;
    this.out.line(`${command.tag} ${bend.reply ?? text}`);
    const flushed = this.out.flush();
    // TLS must follow in this very turn, or the client's first TLS octets would be read as a command.
    if (next !== 'start-tls') await flushed;
    return next;
  }

  async #complete(command: Command, row: ReturnType<typeof findCommand>): Promise<Completion> {
    if (row === undefined) return 'BAD Unknown command';
    try {
      return await runCommand(row, this.#state, this, new Arguments(parseArguments(command.argumentSegments)));
    } catch (error) {
      if (error instanceof SyntaxFault) return `BAD ${error.message}`;
      throw error;
    }
  }

  async #invite(prompt: string): Promise<void> {
    this.out.continuation(prompt);
    await this.out.flush();
  }

  #view(): SessionView {
    const state = this.#state;
    return {
      phase: state.phase,
      user: state.phase === 'not-authenticated' ? undefined : state.account.user,
      mailbox: state.phase === 'selected' ? state.view.mailbox.path : undefined,
      isSecured: this.#socket.isSecured,
    };
  }
}
