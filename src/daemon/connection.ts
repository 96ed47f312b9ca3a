/**
 * One POP3 connection: feeds what arrives into `step` and carries out the effects. One slow effect at a time; pipelined lines
 * wait meanwhile. The rules of the protocol are in pop3/session.ts, not here.
 */
import { InvariantError, toBridgeError } from '../errors.ts';
import type { Cancel } from '../clock.ts';
import type { SplitLine } from '../pop3/line-splitter.ts';
import type { Credentials } from '../pop3/sasl.ts';
import { isAwaitingLine, step } from '../pop3/session.ts';
import { initialState, type Effect, type SessionInput, type SessionState } from '../pop3/session-state.ts';
import { ClientGone, ClientSocket, expectGone } from './client-socket.ts';
import type { ConnectionParts, OpenSession } from './connection-parts.ts';
import type { LockHolder } from './maildrop-lock.ts';
import { sendMessage, sendReply } from './send-message.ts';
import { SessionTally } from './session-tally.ts';

/** A session silent for so long may be taken over by a new login (CONTRACT section 5.9). */
const STALE_MS = 120_000;

/** How soon after its time a client is cut whose password was being tried then, and was refused. */
const AUTHENTICATING_MS = 1_000;

export class Connection implements LockHolder {
  readonly #parts: ConnectionParts;
  readonly #client: ClientSocket;
  readonly #gone = new AbortController();
  readonly #tally: SessionTally;
  #state: SessionState = initialState(false);
  #session: OpenSession | undefined;
  #isPumping = false;
  #hasEnded = false;
  #isWaiting = false;
  #cancelTimer: Cancel = () => {};
  #cancelLoginTimer: Cancel = () => {};
  #lastCommandAt: number;

  constructor(parts: ConnectionParts) {
    this.#parts = parts;
    this.#tally = new SessionTally(parts.clock, (summary) => parts.log.end({ ...summary, tlsVersion: this.#client.tlsVersion }));
    this.#lastCommandAt = parts.clock.monotonic();
    this.#client = new ClientSocket(parts.socket, parts.clock, parts.timeouts.writeMs, {
      onReadable: () => void this.#pump(),
      onClose: () => this.#onClose(),
    });
  }

  /** Greets the client, after the handshake on a TLS port, and begins. */
  async start(): Promise<void> {
    this.#limitLogin(this.#parts.timeouts.loginMs);
    try {
      if (!(await this.#begin())) return;
      await sendReply(this.#client, { ok: true, text: 'POP3 server ready' });
    } catch (error) {
      this.#fail(error);
      return;
    }
    await this.#pump();
  }

  /** True when the client may be greeted. A shutdown during the handshake of a TLS port ends it there. */
  async #begin(): Promise<boolean> {
    if (!this.#parts.isImplicitTls) {
      this.#client.start();
      return true;
    }
    this.#state = { phase: 'SECURING' };
    if (!(await this.#secure())) return false;
    await this.#take({ on: 'secured' });
    return isAwaitingLine(this.#state);
  }

  // LockHolder

  get isStale(): boolean {
    if (this.#isEnding) return false;
    if (this.#client.isClosed) return true;
    const silentMs = this.#parts.clock.monotonic() - this.#lastCommandAt;
    return this.#state.phase === 'TRANSACTION' && !this.#isPumping && silentMs >= STALE_MS;
  }

  evict(): void {
    if (!this.#isEnding) this.#cut('taken over');
  }

  /** It ends by itself and gives the lock back then: to cut it would only take the answer to QUIT from its client. */
  get #isEnding(): boolean {
    return this.#state.phase === 'UPDATE' || this.#state.phase === 'CLOSED';
  }

  /** SIGTERM (CONTRACT section 5.11): a word to who waits, a cut inside a response. A running UPDATE goes on. */
  shutdown(): void {
    const isInReply = this.#isPumping && isAwaitingLine(this.#state);
    const [state, effects] = step(this.#state, { on: 'shutdown' }, this.#parts.policy);
    this.#state = state;
    if (state.phase !== 'CLOSED') return;
    this.#tally.conclude('shutdown');
    if (isInReply || !effects.some((effect) => effect.do === 'reply')) this.#cut();
    else void this.#sayGoodbye(effects);
  }

  /** Nothing is waited for any longer: the journal has what is left of an UPDATE. */
  giveUp(): void {
    if (this.#state.phase === 'UPDATE') this.#tally.conclude('QUIT, deletions unknown');
    this.#client.destroy();
    this.#tally.end(this.#session?.operations ?? 0);
  }

  /** Nobody has logged in here, and no password is being tried: such a connection makes room for a new one, whatever it is doing. */
  get isBeforeLogin(): boolean {
    const { phase } = this.#state;
    return phase === 'AUTHORIZATION' || phase === 'SECURING' || (phase === 'AUTHENTICATING' && this.#isWaiting);
  }

  /** A login waits for its turn, or does so no longer. */
  noteWaiting(isWaiting: boolean): void {
    this.#isWaiting = isWaiting;
  }

  /** Who waits for nothing is told why, in that line. */
  displace(line: string): void {
    if (this.#state.phase === 'AUTHORIZATION' && !this.#isPumping) this.#client.dismiss(line);
    this.#cut('displaced');
  }

  async #sayGoodbye(effects: readonly Effect[]): Promise<void> {
    try {
      await this.#run(effects);
      this.#gone.abort();
      if (!this.#isPumping) this.#finish();
    } catch (error) {
      this.#fail(error);
    }
  }

  async #pump(): Promise<void> {
    if (this.#isPumping) return;
    this.#isPumping = true;
    let hadCommand = false;
    try {
      while (isAwaitingLine(this.#state)) {
        const line = this.#client.nextLine() ?? (await this.#lineAfterFlush());
        if (line === undefined) break;
        hadCommand = true;
        this.#lastCommandAt = this.#parts.clock.monotonic();
        await this.#take(line === 'too-long' ? { on: 'line-too-long' } : { on: 'line', line });
      }
    } catch (error) {
      this.#fail(error);
    } finally {
      this.#isPumping = false;
    }
    if (hadCommand) this.#lastCommandAt = this.#parts.clock.monotonic();
    if (this.#state.phase === 'CLOSED' || this.#client.hasEnded) this.#finish();
    // Only a whole command ends a silence: octets that never become a line must not hold a maildrop for ever.
    else if (hadCommand) this.#armTimer();
  }

  /** Answers to commands that came together leave together; what came meanwhile is next. */
  async #lineAfterFlush(): Promise<SplitLine | undefined> {
    await this.#client.flush();
    return this.#client.nextLine();
  }

  /** Steps, and runs what follows; a slow effect's end is stepped in turn. */
  async #take(input: SessionInput): Promise<void> {
    if (this.#state.phase === 'CLOSED') return;
    const [state, effects] = step(this.#state, input, this.#parts.policy);
    this.#state = state;
    await this.#run(effects);
  }

  async #run(effects: readonly Effect[]): Promise<void> {
    for (const effect of effects) {
      const next = await this.#carryOut(effect);
      if (next !== undefined) await this.#take(next);
    }
  }

  async #carryOut(effect: Effect): Promise<SessionInput | undefined> {
    switch (effect.do) {
      case 'reply':
        await sendReply(this.#client, effect.reply);
        return undefined;
      case 'challenge':
        await this.#client.write(`+ ${effect.challenge}\r\n`);
        return undefined;
      case 'update':
        return this.#update(effect);
      default:
        // What takes a while does not hold up the answers before it.
        await this.#client.flush();
        return this.#carryOutSlowly(effect);
    }
  }

  async #carryOutSlowly(effect: Exclude<Effect, { do: 'reply' | 'challenge' | 'update' }>): Promise<SessionInput | undefined> {
    switch (effect.do) {
      case 'authenticate':
        return this.#authenticate(effect.credentials);
      case 'start-tls':
        return (await this.#secure()) ? { on: 'secured' } : undefined;
      case 'retrieve':
        return this.#retrieve(effect);
      case 'close':
        if (effect.refused !== undefined) this.#parts.log.refused(effect.refused);
        this.#tally.noteClose();
        this.#client.end();
        return undefined;
    }
  }

  async #authenticate(credentials: Credentials): Promise<SessionInput> {
    this.#cancelTimer();
    try {
      const { session, opened } = await this.#parts.logIn(credentials, this, this.#client.tlsVersion, this.#gone.signal);
      this.#cancelLoginTimer();
      this.#session = session;
      this.#tally.noteLogin();
      return { on: 'maildrop-opened', opened };
    } catch (error) {
      return { on: 'failed', error: toBridgeError(error), begun: false };
    }
  }

  async #secure(): Promise<boolean> {
    const context = this.#parts.secureContext();
    try {
      if (context === undefined) throw new InvariantError('TLS without a certificate');
      await this.#client.secure(context);
      return true;
    } catch (error) {
      // It is we who left.
      if (!this.#tally.isConcluded) this.#parts.log.tlsFailed(error);
      this.#cut();
      return false;
    }
  }

  async #retrieve(effect: Extract<Effect, { do: 'retrieve' }>): Promise<SessionInput> {
    const session = this.#openSession();
    let begun = false;
    try {
      const octets = await sendMessage({
        ...effect,
        sink: this.#client,
        source: (part) => session.fetch(effect.entry, part, this.#gone.signal),
        onBegin: () => {
          begun = true;
        },
      });
      if (effect.lines !== undefined) {
        this.#tally.addTop(octets);
      } else {
        this.#tally.addRetrieved(octets);
        session.retrieved(effect.entry, octets);
      }
      return { on: 'retrieved' };
    } catch (error) {
      if (error instanceof ClientGone) throw error;
      const failure = toBridgeError(error);
      if (!this.#gone.signal.aborted) this.#parts.log.error(failure, effect.lines === undefined ? 'RETR' : 'TOP');
      if (begun) this.#tally.conclude('cut');
      return { on: 'failed', error: failure, begun };
    }
  }

  /** UPDATE goes on to its end even when the client is gone (CONTRACT section 5.2). */
  async #update(effect: Extract<Effect, { do: 'update' }>): Promise<SessionInput> {
    this.#cancelTimer();
    const session = this.#openSession();
    try {
      await this.#client.flush().catch(expectGone);
      const outcome = await session.commit(effect.plan);
      if (outcome.result === 'done') this.#tally.setDeleted({ count: effect.plan.removeCount, octets: effect.plan.removeOctets });
      this.#tally.conclude(outcome.result === 'done' ? 'QUIT' : `QUIT, deletions ${outcome.result}`);
      return { on: 'updated', outcome };
    } catch (error) {
      this.#tally.conclude('QUIT, failed');
      this.#parts.log.error(toBridgeError(error), 'UPDATE');
      return { on: 'failed', error: toBridgeError(error), begun: false };
    } finally {
      // The maildrop is free as soon as UPDATE is done, however slowly the client takes the reply.
      void session.close();
    }
  }

  #openSession(): OpenSession {
    if (this.#session === undefined) throw new InvariantError('no maildrop is open');
    return this.#session;
  }

  #fail(error: unknown): void {
    if (!(error instanceof ClientGone)) this.#parts.log.error(toBridgeError(error), 'session');
    this.#cut();
  }

  /** Closes at once, without another octet. */
  #cut(outcome?: string): void {
    if (outcome !== undefined) this.#tally.conclude(outcome);
    if (this.#state.phase !== 'UPDATE') this.#state = { phase: 'CLOSED' };
    this.#client.destroy();
    this.#gone.abort();
    if (!this.#isPumping) this.#finish();
  }

  #onClose(): void {
    this.#gone.abort();
    if (!this.#isPumping) this.#finish();
  }

  /** The idle limit, then a close without a word (RFC 1939 section 3). */
  #armTimer(): void {
    this.#cancelTimer();
    if (this.#hasEnded || this.#state.phase !== 'TRANSACTION') return;
    this.#cancelTimer = this.#parts.clock.after(this.#parts.timeouts.idleMs, () => {
      if (!this.#isPumping) this.#cut('idle');
    });
  }

  /** From the connection to the login, whatever the client does meanwhile: only a password that is being tried is waited for. */
  #limitLogin(ms: number): void {
    this.#cancelLoginTimer = this.#parts.clock.after(ms, () => {
      if (this.isBeforeLogin) this.#cut('login timeout');
      else if (this.#state.phase === 'AUTHENTICATING') this.#limitLogin(AUTHENTICATING_MS);
    });
  }

  #finish(): void {
    if (this.#hasEnded) return;
    this.#hasEnded = true;
    this.#cancelTimer();
    this.#cancelLoginTimer();
    if (this.#state.phase !== 'CLOSED') {
      this.#state = { phase: 'CLOSED' };
      this.#client.end();
    }
    this.#gone.abort();
    void this.#closeSession();
  }

  async #closeSession(): Promise<void> {
    await this.#session?.close();
    this.#tally.end(this.#session?.operations ?? 0);
    this.#parts.onEnd();
  }
}
