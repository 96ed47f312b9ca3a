/**
 * Replays golden dialogues (test/transcripts/*.pop3): through `step` with fakes, and over TCP through Connection.
 *
 * A transcript is header lines `key: value`, an empty line, then lines of the dialogue:
 *   C: text    a line the client sends, CRLF added          C> text   octets the client sends, nothing added
 *   S: text    a line the server must send, CRLF added      TLS       the handshake, after the answer to STLS
 *   EOF        the client closes its side                   CLOSED    the server must have closed
 * "#" starts a comment line. In C, S and `message` \r \n \0 \\ \xHH are octets; all else is Latin-1. `x*300` in \{x*300} repeats.
 */
import { once } from 'node:events';
import { connect, createServer, type Socket } from 'node:net';
import { connect as connectTls, createSecureContext } from 'node:tls';
import { FakeClock } from './fake-clock.ts';
import { openFakeMaildrop, type FakeMaildropOptions, type FakeMessage, type FakeTraces } from './fake-maildrop.ts';
import { Connection } from '../../src/daemon/connection.ts';
import type { LoggedIn } from '../../src/daemon/connection-parts.ts';
import { sendMessage } from '../../src/daemon/send-message.ts';
import { BusyError, CredentialsError, toBridgeError, UpstreamError, type BridgeError } from '../../src/errors.ts';
import { LineSplitter } from '../../src/pop3/line-splitter.ts';
import { encodeStatus, TERMINATOR, type Reply } from '../../src/pop3/reply.ts';
import type { Credentials } from '../../src/pop3/sasl.ts';
import { isAwaitingLine, step } from '../../src/pop3/session.ts';
import { initialState, type Effect, type SessionInput, type SessionPolicy, type SessionState } from '../../src/pop3/session-state.ts';

type Turn = { readonly by: 'client' | 'server'; readonly octets: Buffer } | { readonly by: 'tls' | 'eof' | 'closed' };

export interface Transcript {
  readonly header: ReadonlyMap<string, readonly string[]>;
  readonly turns: readonly Turn[];
}

export interface Replay {
  /** Everything the server sent. */
  readonly sent: string;
  /** What was done upstream; undefined where nobody logged in. */
  readonly traces: FakeTraces | undefined;
}

/** How the client's octets are cut; given to each piece that is sent in one go. */
export type Cut = (octets: Buffer) => Buffer[];

const ESCAPE = /\\(?:x([0-9a-f]{2})|\{(.)\*(\d+)\}|(.))/gi;
const ESCAPED: Readonly<Record<string, string>> = { r: '\r', n: '\n', 0: '\0', '\\': '\\' };

function unescape(text: string): Buffer {
  const plain = text.replace(ESCAPE, (whole, hex?: string, repeated?: string, times?: string, letter?: string) => {
    if (hex !== undefined) return String.fromCodePoint(Number.parseInt(hex, 16));
    if (repeated !== undefined) return repeated.repeat(Number(times));
    const octet = ESCAPED[letter ?? ''];
    if (octet === undefined) throw new Error(`unknown escape ${whole}`);
    return octet;
  });
  return Buffer.from(plain, 'latin1');
}

export function parseTranscript(source: string): Transcript {
  const header = new Map<string, string[]>();
  const turns: Turn[] = [];
  let inHeader = true;
  for (const line of source.split('\n')) {
    if (line.startsWith('#')) continue;
    if (line === '') {
      if (header.size > 0) inHeader = false;
    } else if (inHeader) {
      const { key = '', value = '' } = /^(?<key>[a-z-]+): (?<value>.*)$/.exec(line)?.groups ?? {};
      if (!HEADER_KEYS.has(key)) throw new Error(`not a header line: ${line}`);
      header.set(key, [...(header.get(key) ?? []), value]);
    } else turns.push(parseTurn(line));
  }
  return { header, turns };
}

const HEADER_KEYS = new Set([
  'title',
  'message',
  'messages',
  'user',
  'password',
  'login-fails',
  'tls',
  'cleartext',
  'read-only',
  'update',
  'limit',
  'removed',
  'seen',
  'mark-seen',
  'login-delay',
  'as-written',
  'may-be-cut',
]);

function parseTurn(line: string): Turn {
  if (line === 'TLS') return { by: 'tls' };
  if (line === 'EOF') return { by: 'eof' };
  if (line === 'CLOSED') return { by: 'closed' };
  const crlf = Buffer.from('\r\n');
  const text = unescape(line.slice(3));
  if (/^C: |^C:$/.test(line)) return { by: 'client', octets: Buffer.concat([text, crlf]) };
  if (line.startsWith('C> ')) return { by: 'client', octets: text };
  if (/^S: |^S:$/.test(line)) return { by: 'server', octets: Buffer.concat([text, crlf]) };
  throw new Error(`not a line of a dialogue: ${line}`);
}

function value(transcript: Transcript, key: string): string | undefined {
  return transcript.header.get(key)?.[0];
}

/** True where how the octets are cut matters, so that only the cut as written makes sense. */
export function isAsWritten(transcript: Transcript): boolean {
  return value(transcript, 'as-written') === 'yes';
}

/** True where octets of the last reply that were not sent yet are dropped with the connection. */
export function mayBeCut(transcript: Transcript): boolean {
  return value(transcript, 'may-be-cut') === 'yes';
}

/** What the server must send in all. */
export function expectedOctets(transcript: Transcript): string {
  return Buffer.concat(transcript.turns.map((turn) => (turn.by === 'server' ? turn.octets : Buffer.alloc(0)))).toString('latin1');
}

/** UIDs that must have been removed, and flagged seen. */
export function expectedTraces(transcript: Transcript): { readonly removed: readonly number[]; readonly seen: readonly number[] } {
  const list = (key: string): number[] =>
    (value(transcript, key) ?? '')
      .split(' ')
      .filter((word) => word !== '')
      .map(Number);
  return { removed: list('removed'), seen: list('seen') };
}

/** Replays through `step` alone, with the octets cut like that. */
export async function replayThroughStep(transcript: Transcript, cut: Cut): Promise<Replay> {
  const login = new FakeLogin(transcript, cut);
  const session = new StepSession(policyOf(transcript), login);
  const splitter = new LineSplitter();
  await session.run([{ do: 'reply', reply: { ok: true, text: 'POP3 server ready' } }]);
  for (const turn of transcript.turns) {
    if (turn.by !== 'client') continue;
    for (const piece of cut(turn.octets)) {
      splitter.push(piece);
      for (let line = splitter.next(); line !== undefined; line = splitter.next()) {
        if (!isAwaitingLine(session.state)) break;
        await session.take(line === 'too-long' ? { on: 'line-too-long' } : { on: 'line', line });
        if (session.hasSecured()) splitter.discard();
      }
    }
  }
  await login.close();
  return { sent: session.sent, traces: login.traces };
}

/** What Connection does, without a socket. */
class StepSession {
  state: SessionState = initialState(false);
  readonly #policy: SessionPolicy;
  readonly #login: FakeLogin;
  readonly #out: Buffer[] = [];
  #hasJustSecured = false;

  constructor(policy: SessionPolicy, login: FakeLogin) {
    this.#policy = policy;
    this.#login = login;
  }

  get sent(): string {
    return Buffer.concat(this.#out).toString('latin1');
  }

  hasSecured(): boolean {
    const has = this.#hasJustSecured;
    this.#hasJustSecured = false;
    return has;
  }

  async take(input: SessionInput): Promise<void> {
    const [state, effects] = step(this.state, input, this.#policy);
    this.state = state;
    await this.run(effects);
  }

  async run(effects: readonly Effect[]): Promise<void> {
    for (const effect of effects) {
      const next = await this.#carryOut(effect);
      if (next !== undefined) await this.take(next);
    }
  }

  async #carryOut(effect: Effect): Promise<SessionInput | undefined> {
    switch (effect.do) {
      case 'reply':
        this.#reply(effect.reply);
        return undefined;
      case 'challenge':
        this.#write(`+ ${effect.challenge}\r\n`);
        return undefined;
      case 'authenticate':
        return this.#login.attempt(effect.credentials).then(
          ({ opened }) => ({ on: 'maildrop-opened', opened }) as const,
          (error: unknown) => ({ on: 'failed', error: toBridgeError(error), begun: false }) as const,
        );
      case 'start-tls':
        this.#hasJustSecured = true;
        return { on: 'secured' };
      case 'retrieve':
        return this.#retrieve(effect);
      case 'update':
        return { on: 'updated', outcome: await this.#login.session.commit(effect.plan) };
      case 'close':
        return undefined;
    }
  }

  #write(octets: Uint8Array | string): void {
    this.#out.push(typeof octets === 'string' ? Buffer.from(octets, 'latin1') : Buffer.from(octets));
  }

  #reply(reply: Reply): void {
    this.#write(encodeStatus(reply));
    if (reply.lines === undefined) return;
    for (const line of reply.lines) this.#write(line);
    this.#write(TERMINATOR);
  }

  async #retrieve(effect: Extract<Effect, { do: 'retrieve' }>): Promise<SessionInput> {
    const { session } = this.#login;
    let begun = false;
    try {
      const octets = await sendMessage({
        ...effect,
        sink: { write: (piece) => Promise.resolve(this.#write(piece)), flush: () => Promise.resolve() },
        source: (part) => session.fetch(effect.entry, part, new AbortController().signal),
        onBegin: () => {
          begun = true;
        },
      });
      if (effect.lines === undefined) session.retrieved(effect.entry, octets);
      return { on: 'retrieved' };
    } catch (error) {
      return { on: 'failed', error: toBridgeError(error), begun };
    }
  }
}

/** Replays over TCP: turn by turn, each piece of the client's cut like that; or all that is possible in one go. */
export async function replayOverTcp(transcript: Transcript, cut: Cut, isPipelined = false): Promise<Replay> {
  const login = new FakeLogin(transcript, cut);
  const ended = Promise.withResolvers<void>();
  const server = createServer({ allowHalfOpen: true, pauseOnConnect: true, noDelay: true }, (socket) => {
    socket.on('error', () => socket.destroy());
    const connection = new Connection({
      socket,
      clock: login.clock,
      policy: policyOf(transcript),
      secureContext: () => createSecureContext(ANONYMOUS_TLS),
      isImplicitTls: false,
      timeouts: { loginMs: 60_000, idleMs: 600_000, writeMs: 120_000 },
      logIn: (credentials) => login.attempt(credentials),
      log: { error: () => {}, tlsFailed: () => {}, refused: () => {}, end: () => {} },
      onEnd: ended.resolve,
    });
    void connection.start();
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('no port');
  const client = await TcpClient.connect(address.port);
  try {
    await client.play(transcript, isPipelined ? pipelined(transcript.turns) : transcript.turns, cut);
    await ended.promise;
    return { sent: client.received, traces: login.traces };
  } finally {
    client.destroy();
    server.close();
  }
}

/** Joins all the client sends up to a TLS handshake or the end. */
function pipelined(turns: readonly Turn[]): Turn[] {
  const joined: Turn[] = [];
  let clients: Buffer[] = [];
  let others: Turn[] = [];
  const flush = (): void => {
    if (clients.length > 0) joined.push({ by: 'client', octets: Buffer.concat(clients) });
    joined.push(...others);
    [clients, others] = [[], []];
  };
  for (const turn of turns) {
    if (turn.by === 'client') clients.push(turn.octets);
    else others.push(turn);
    if (turn.by === 'tls') flush();
  }
  flush();
  return joined;
}

/** TLS without a certificate: the tests need the layer, not the trust. */
const ANONYMOUS_TLS = { ciphers: 'AECDH-AES256-SHA:ADH-AES256-GCM-SHA384:@SECLEVEL=0', maxVersion: 'TLSv1.2', ecdhCurve: 'auto' } as const;

class TcpClient {
  received = '';
  #socket: Socket;
  #hasEnded = false;
  #wake: () => void = () => {};

  private constructor(socket: Socket) {
    this.#socket = socket;
    this.#listen();
  }

  static async connect(port: number): Promise<TcpClient> {
    const socket = connect({ host: '127.0.0.1', port, noDelay: true, allowHalfOpen: true });
    await once(socket, 'connect');
    return new TcpClient(socket);
  }

  destroy(): void {
    this.#socket.destroy();
  }

  async play(transcript: Transcript, turns: readonly Turn[], cut: Cut): Promise<void> {
    const whole = expectedOctets(transcript);
    let expected = 0;
    for (const turn of turns) {
      if (turn.by === 'server') {
        expected += turn.octets.length;
        await this.#until(() => this.received.length >= expected || !whole.startsWith(this.received));
      } else if (turn.by === 'client') for (const piece of cut(turn.octets)) await this.#send(piece);
      else if (turn.by === 'tls') await this.#secure();
      else if (turn.by === 'eof') this.#socket.end();
    }
    if (turns.at(-1)?.by !== 'closed') this.#socket.end();
    await this.#until(() => false);
    this.#socket.end();
  }

  /** Waits for that, or for the end of what the server sends. */
  async #until(isTrue: () => boolean): Promise<void> {
    while (!isTrue() && !this.#hasEnded) {
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
  }

  async #send(piece: Buffer): Promise<void> {
    if (this.#hasEnded) return;
    await new Promise<void>((resolve) => {
      this.#socket.write(piece, () => resolve());
    });
  }

  async #secure(): Promise<void> {
    this.#socket.removeAllListeners('data').removeAllListeners('end');
    const secured = connectTls({ socket: this.#socket, ...ANONYMOUS_TLS, rejectUnauthorized: false });
    await once(secured, 'secureConnect');
    this.#socket = secured;
    this.#listen();
  }

  #listen(): void {
    const end = (): void => {
      this.#hasEnded = true;
      this.#wake();
    };
    this.#socket.on('data', (chunk: Buffer) => {
      this.received += chunk.toString('latin1');
      this.#wake();
    });
    this.#socket.on('end', end).on('close', end).on('error', end);
  }
}

function policyOf(transcript: Transcript): SessionPolicy {
  const delay = value(transcript, 'login-delay');
  return {
    offersTls: value(transcript, 'tls') === 'offered',
    allowsCleartextLogin: value(transcript, 'cleartext') !== 'refused',
    loginDelaySeconds: delay === undefined ? undefined : Number(delay),
    implementation: 'popbridge-test',
  };
}

/** Who may log in, and to what. */
class FakeLogin {
  readonly clock = new FakeClock();
  traces: FakeTraces | undefined;
  readonly #transcript: Transcript;
  readonly #cut: Cut;
  #loggedIn: LoggedIn | undefined;

  constructor(transcript: Transcript, cut: Cut) {
    this.#transcript = transcript;
    this.#cut = cut;
  }

  get session(): LoggedIn['session'] {
    if (this.#loggedIn === undefined) throw new Error('nobody logged in');
    return this.#loggedIn.session;
  }

  async attempt({ user, password }: Credentials): Promise<LoggedIn> {
    const header = (key: string, other: string): string => unescape(value(this.#transcript, key) ?? other).toString('utf8');
    if (user !== header('user', 'alice') || password !== header('password', 'wonderland'))
      throw new CredentialsError('AUTH_REFUSED', 'SECRET');
    const failure = value(this.#transcript, 'login-fails');
    if (failure !== undefined) throw failureNamed(failure);
    const { loggedIn, traces } = openFakeMaildrop(this.#options());
    this.#loggedIn = loggedIn;
    this.traces = traces;
    return loggedIn;
  }

  async close(): Promise<void> {
    await this.#loggedIn?.session.close();
  }

  #options(): FakeMaildropOptions {
    const delay = value(this.#transcript, 'login-delay');
    const markSeen = value(this.#transcript, 'mark-seen');
    return {
      messages: messagesOf(this.#transcript),
      clock: this.clock,
      cut: (octets) => this.#cut(Buffer.from(octets)),
      isReadOnly: value(this.#transcript, 'read-only') === 'yes',
      maxMessageOctets: Number(value(this.#transcript, 'limit') ?? 0),
      markSeen: markSeen === 'on-retrieve' || markSeen === 'on-quit' ? markSeen : 'never',
      removal: removalNamed(value(this.#transcript, 'update') ?? 'works'),
      ...(delay === undefined ? {} : { loginDelaySeconds: Number(delay) }),
    };
  }
}

function failureNamed(name: string): BridgeError {
  switch (name) {
    case 'in-use':
      return new BusyError('MAILDROP_IN_USE', 'SECRET');
    case 'delay':
      return new BusyError('LOGIN_DELAY', 'SECRET');
    case 'throttled':
      return new UpstreamError('throttled', 'SECRET', { retryAfterMs: 299_961 });
    case 'tls':
    case 'unreachable':
    case 'incomplete':
      return new UpstreamError(name, 'SECRET');
    default:
      throw new Error(`unknown failure ${name}`);
  }
}

function removalNamed(text: string): NonNullable<FakeMaildropOptions['removal']> {
  if (text === 'works' || text === 'lost') return text;
  const [kind, left] = text.split(' ');
  if (kind !== 'refused' && kind !== 'forbidden') throw new Error(`unknown update ${text}`);
  return { kind, left: Number(left) };
}

/** `message: octets`, after `gone`, `unreadable` or `breaks` and "|" where it fails; or `messages: NAME` for a set. */
function messagesOf(transcript: Transcript): FakeMessage[] {
  const inline = (transcript.header.get('message') ?? []).map((text): FakeMessage => {
    const fault = /^(gone|unreadable|breaks)\|/.exec(text)?.[1];
    const octets = unescape(fault === undefined ? text : text.slice(fault.length + 1));
    return fault === 'gone' || fault === 'unreadable' || fault === 'breaks' ? { octets, fault } : { octets };
  });
  return [...inline, ...(transcript.header.get('messages') ?? []).flatMap(generated)];
}

function generated(name: string): FakeMessage[] {
  const of = (...texts: readonly string[]): FakeMessage[] => texts.map((text) => ({ octets: Buffer.from(text, 'latin1') }));
  switch (name) {
    case 'none':
      return [];
    case 'two':
      return of('Subject: one\r\n\r\nFirst.\r\n', 'Subject: two\r\n\r\nSecond.\r\nLast line.\r\n');
    case 'three':
      return of('Subject: one\r\n\r\nFirst.\r\n', 'Subject: two\r\n\r\nSecond.\r\nLast line.\r\n', 'Subject: three\r\n\r\n');
    default:
      throw new Error(`no messages are called ${name}`);
  }
}
