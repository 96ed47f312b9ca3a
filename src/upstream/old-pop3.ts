/**
 * Reads from an old POP3 server which unique-ids it gave to which messages: UIDL, LIST, and the header of each by TOP. Nothing is
 * retrieved, nothing is deleted.
 */
import { connect as connectTcp, type Socket } from 'node:net';
import { connect as connectTls, type SecureContext } from 'node:tls';
import { CredentialsError, UpstreamError } from '../errors.ts';
import { messageIdIn } from '../maildrop/message-id.ts';
import { parseListing, parseStatus, unstuffed, type OldStatus } from '../pop3/old-server.ts';

export interface OldPop3Endpoint {
  readonly host: string;
  readonly port: number;
  /** `starttls`: STLS, or nothing. */
  readonly security: 'tls' | 'starttls' | 'none';
  readonly secureContext: SecureContext | undefined;
  /** Longest time without an octet from the server. */
  readonly timeoutMs: number;
}

export interface OldMessage {
  readonly uniqueId: string;
  readonly octets: number;
  /** Undefined where it has none, or the server has no TOP. */
  readonly messageId: string | undefined;
}

/** Commands sent ahead of their answers, where the server takes that (RFC 2449 section 6.6). */
const PIPELINED = 50;
const MAX_LINE_CHARACTERS = 65_536;
/** The Message-ID is looked for in so much of a header. */
const MAX_HEADER_CHARACTERS = 1_048_576;

/** Rejects with CredentialsError where the server refuses the password, with UpstreamError where anything else goes wrong. */
export async function readOldPop3(
  endpoint: OldPop3Endpoint,
  login: { readonly user: string; readonly password: string },
  progress: (done: number, total: number) => void,
): Promise<OldMessage[]> {
  if (/[\u0000-\u001f\u007f]/.test(login.user + login.password)) {
    throw new CredentialsError('AUTH_REFUSED', 'user name or password of the old server holds control characters');
  }
  const dialogue = await OldDialogue.open(endpoint);
  try {
    await logIn(dialogue, login);
    const canPipeline = (await capabilities(dialogue)).has('PIPELINING');
    const uniqueIds = await listing(dialogue, 'UIDL');
    const octets = await listing(dialogue, 'LIST');
    const numbers = [...uniqueIds.keys()];
    if (numbers.length !== octets.size || !numbers.every((number) => octets.has(number)))
      throw nonsense('UIDL and LIST name other messages');
    if (new Set(uniqueIds.values()).size < uniqueIds.size) throw nonsense('two messages have the same unique-id');
    const messageIds = await readMessageIds(dialogue, numbers, canPipeline ? PIPELINED : 1, progress);
    await dialogue.command('QUIT').catch(() => {});
    return numbers.map((number) => ({
      uniqueId: uniqueIds.get(number) ?? '',
      octets: Number(octets.get(number)),
      messageId: messageIds.get(number),
    }));
  } finally {
    dialogue.destroy();
  }
}

async function logIn(dialogue: OldDialogue, { user, password }: { readonly user: string; readonly password: string }): Promise<void> {
  for (const command of [`USER ${user}`, `PASS ${password}`]) {
    const status = await dialogue.command(command);
    if (status.ok) continue;
    const isBusy = status.code !== undefined && status.code !== 'AUTH';
    if (isBusy) throw new UpstreamError('refused', `the old server refused the login for now [${status.code}]`);
    throw new CredentialsError('AUTH_REFUSED', 'the old server refused user name or password');
  }
}

async function capabilities(dialogue: OldDialogue): Promise<ReadonlySet<string>> {
  const { ok } = await dialogue.command('CAPA');
  return new Set(ok ? (await dialogue.lines()).map((line) => line.toUpperCase()) : []);
}

async function listing(dialogue: OldDialogue, command: 'UIDL' | 'LIST'): Promise<Map<number, string>> {
  const { ok } = await dialogue.command(command);
  if (!ok) throw new UpstreamError('refused', `the old server refused ${command}`);
  const rows = new Map<number, string>();
  for (const line of await dialogue.lines()) {
    const row = parseListing(line);
    if (row === undefined || rows.has(row.number) || (command === 'LIST' && !/^\d{1,15}$/.test(row.rest))) {
      throw nonsense(`${command} gave a line that makes no sense`);
    }
    rows.set(row.number, row.rest);
  }
  return rows;
}

async function readMessageIds(
  dialogue: OldDialogue,
  numbers: readonly number[],
  ahead: number,
  progress: (done: number, total: number) => void,
): Promise<Map<number, string>> {
  const messageIds = new Map<number, string>();
  for (let start = 0; start < numbers.length; start += ahead) {
    progress(start, numbers.length);
    const batch = numbers.slice(start, start + ahead);
    dialogue.send(...batch.map((number) => `TOP ${number} 0`));
    let isRefused = false;
    for (const number of batch) {
      const { ok } = await dialogue.status();
      const messageId = ok ? messageIdIn(Buffer.from(await dialogue.header(), 'latin1')) : undefined;
      if (messageId !== undefined) messageIds.set(number, messageId);
      isRefused ||= !ok;
    }
    // A server without TOP would refuse it for every message.
    if (isRefused && messageIds.size === 0 && start === 0) return messageIds;
  }
  return messageIds;
}

/** One connection: commands out, lines in, each read within the time limit. */
class OldDialogue {
  readonly #timeoutMs: number;
  #socket: Socket;
  #received = '';
  #failure: Error | undefined;
  #wake: () => void = () => {};

  private constructor(socket: Socket, timeoutMs: number) {
    this.#socket = socket;
    this.#timeoutMs = timeoutMs;
    this.#listen();
  }

  /** Connects, secures, and takes the greeting. */
  static async open({ host, port, security, secureContext, timeoutMs }: OldPop3Endpoint): Promise<OldDialogue> {
    const options = { host, port, servername: host, ...(secureContext === undefined ? {} : { secureContext }) };
    const dialogue = new OldDialogue(security === 'tls' ? connectTls(options) : connectTcp({ host, port }), timeoutMs);
    try {
      if (!(await dialogue.status()).ok) throw new UpstreamError('refused', 'the old server does not greet');
      if (security !== 'starttls') return dialogue;
      if (!(await dialogue.command('STLS')).ok) throw new UpstreamError('tls', 'the old server has no STLS');
      // What came in clear after the answer was put there by somebody else (RFC 3207 section 6).
      if (dialogue.#received !== '') throw new UpstreamError('tls', 'the old server said more in clear than it may');
      dialogue.#socket.removeAllListeners();
      dialogue.#socket = connectTls({ ...options, socket: dialogue.#socket });
      dialogue.#listen();
      return dialogue;
    } catch (error) {
      dialogue.destroy();
      throw error;
    }
  }

  send(...commands: readonly string[]): void {
    this.#socket.write(commands.map((command) => `${command}\r\n`).join(''));
  }

  command(command: string): Promise<OldStatus> {
    this.send(command);
    return this.status();
  }

  async status(): Promise<OldStatus> {
    const status = parseStatus(await this.#line());
    if (status === undefined) throw nonsense('an answer is neither +OK nor -ERR');
    return status;
  }

  /** The lines of a multi-line answer, unstuffed. */
  async lines(): Promise<string[]> {
    const lines: string[] = [];
    for (let line = await this.#line(); line !== '.'; line = await this.#line()) lines.push(unstuffed(line));
    return lines;
  }

  /** A header, or its beginning. */
  async header(): Promise<string> {
    let header = '';
    for (let line = await this.#line(); line !== '.'; line = await this.#line()) {
      if (header.length < MAX_HEADER_CHARACTERS) header += `${unstuffed(line)}\r\n`;
    }
    return header;
  }

  destroy(): void {
    this.#socket.destroy();
  }

  #listen(): void {
    const fail = (error: Error): void => {
      this.#failure ??= error;
      this.#wake();
    };
    this.#socket.setTimeout(this.#timeoutMs, () => fail(new UpstreamError('timeout', 'the old server did not answer in time')));
    this.#socket.on('data', (chunk: Buffer) => {
      this.#received += chunk.toString('latin1');
      this.#wake();
    });
    this.#socket.on('error', (error) => fail(failureOf(error)));
    this.#socket.on('close', () => fail(new UpstreamError('unreachable', 'the old server closed the connection')));
  }

  async #line(): Promise<string> {
    for (;;) {
      const end = this.#received.indexOf('\n');
      if (end >= 0) {
        const line = this.#received.slice(0, end).replace(/\r$/, '');
        this.#received = this.#received.slice(end + 1);
        return line;
      }
      if (this.#received.length > MAX_LINE_CHARACTERS) throw nonsense('a line has no end');
      if (this.#failure !== undefined) throw this.#failure;
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
  }
}

/** Certificates that can't be trusted come as errors of the socket. */
function failureOf(error: Error): UpstreamError {
  const code = 'code' in error ? String(error.code) : '';
  const isTls = /^(?:ERR_TLS|ERR_SSL|CERT_|DEPTH_ZERO|UNABLE_TO|SELF_SIGNED)/.test(code);
  return new UpstreamError(isTls ? 'tls' : 'unreachable', `the old server: ${error.message}`, { cause: error });
}

function nonsense(problem: string): UpstreamError {
  return new UpstreamError('protocol', `the old server: ${problem}`);
}
