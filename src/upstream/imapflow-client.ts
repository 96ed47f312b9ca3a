/**
 * The one file that imports imapflow: makes clients with the only options that are safe for us, and keeps what imapflow
 * tells nobody but its logger (why a call that merely answered `false` was refused).
 */
import type { SecureContext } from 'node:tls';
import { ImapFlow } from 'imapflow';
import { specialUse } from 'imapflow/lib/special-use.js';
import type { Clock } from '../clock.ts';
import { UpstreamError } from '../errors.ts';
import { throttleHint } from './imapflow-failure.ts';
import { GatedTransport } from './gated-transport.ts';
import { LoginShortcuts } from './imapflow-shortcuts.ts';
import type { LoginWay } from './server-habits.ts';
import type { UpstreamLogin } from './upstream.ts';

export type UpstreamSecurity = 'tls' | 'starttls' | 'none';

export interface UpstreamEndpoint {
  readonly host: string;
  readonly port: number;
  readonly security: UpstreamSecurity;
  /** SHA-256 of the one certificate that is accepted, lower-case hex; replaces authority and name. */
  readonly certificateSha256: string | undefined;
  /** Trusts a private authority too; see `trustingContext`. */
  readonly secureContext: SecureContext | undefined;
  /** Send IMAP ID (RFC 2971) where the server has it. */
  readonly sendsId: boolean;
  readonly commandTimeoutMs: number;
  /** Name and version told with ID. */
  readonly clientInfo: { readonly name: string; readonly version: string };
}

/** A server that is there answers sooner; one that is not must not hold a client as long as a whole login may take. */
const CONNECT_MS = 15_000;
/** A quiet but living connection gets a NOOP this often; a dead one is noticed. Below the 4 minutes of common NAT tables. */
const KEEP_ALIVE_MS = 150_000;

const MIB = 1024 * 1024;
const MAX_LINE_OCTETS = 16 * MIB;
const MAX_LITERAL_OCTETS = 64 * MIB;

/** How a client logs in with a password. */
export interface LoginManner {
  /** The ways, the one to take first. Asked as soon as the server has told its capabilities. */
  readonly waysOf: (announces: (capability: string) => boolean) => readonly LoginWay[];
  /**
   * True where the password may go out together with AUTHENTICATE PLAIN, if the server has SASL-IR. Else the server is told of the mechanism
   * first: if it refuses that, it has judged no password, whatever it says.
   */
  readonly mayAnswerUnasked: () => boolean;
}

const NO_MANNER: LoginManner = { waysOf: () => [], mayAnswerUnasked: () => false };

/** A client not yet connected. */
export class ImapflowClient {
  readonly flow: ImapFlow;
  readonly transport: GatedTransport;
  /** imapflow keeps the very object. */
  readonly #auth: { readonly user: string; pass?: string; accessToken?: string; readonly loginMethod: string };
  readonly #shortcuts: LoginShortcuts;
  readonly #secureWithinMs: number;
  #loginWays: readonly LoginWay[] = [];
  #throttledForMs: number | undefined;

  constructor(endpoint: UpstreamEndpoint, login: UpstreamLogin, manner: LoginManner = NO_MANNER) {
    this.#shortcuts = new LoginShortcuts(() => this.flow.capabilities.has('SASL-IR') && manner.mayAnswerUnasked());
    const chooseWay = (): string => {
      this.#loginWays = manner.waysOf((capability) => this.flow.capabilities.has(capability));
      return this.#loginWays[0] ?? '';
    };
    this.#secureWithinMs = Math.min(CONNECT_MS, endpoint.commandTimeoutMs);
    this.transport = new GatedTransport(endpoint.security !== 'none', endpoint.certificateSha256, endpoint.secureContext, this.#shortcuts);
    this.#auth = {
      user: login.user,
      [login.isToken === true ? 'accessToken' : 'pass']: login.password,
      // imapflow reads it when it logs in, behind STARTTLS.
      get loginMethod() {
        return login.isToken === true ? '' : chooseWay();
      },
    };
    this.flow = new ImapFlow({
      host: endpoint.host,
      port: endpoint.port,
      secure: endpoint.security === 'tls',
      doSTARTTLS: endpoint.security === 'starttls',
      transport: this.transport,
      auth: this.#auth,
      // imapflow would add its own vendor and support address.
      clientInfo: { ...endpoint.clientInfo, vendor: '', 'support-url': '' },
      logger: this.#logger(),
      disableAutoIdle: true,
      disableAutoEnable: true,
      disableBinary: true,
      disableCompression: true,
      disableIMAP4rev2: true,
      connectionTimeout: this.#secureWithinMs,
      greetingTimeout: this.#secureWithinMs,
      socketTimeout: Math.max(KEEP_ALIVE_MS, 2 * endpoint.commandTimeoutMs),
      maxLineLength: MAX_LINE_OCTETS,
      maxLiteralSize: MAX_LITERAL_OCTETS,
      maxResponseSize: MAX_LITERAL_OCTETS + MAX_LINE_OCTETS,
      maxLockHoldTime: false,
    });
    // An 'error' event without a listener would end the process; the failing call reports it.
    this.flow.on('error', (error) => this.#note(error));
  }

  /**
   * Connects, secures and logs in. Rejects with UpstreamError `timeout` where the connection is not secured in time, however much is said
   * meanwhile, else with what imapflow gives.
   */
  async connect(clock: Clock): Promise<void> {
    const late = Promise.withResolvers<never>();
    const cancel = clock.after(this.#secureWithinMs, () => {
      if (this.transport.isSecured) return;
      late.reject(new UpstreamError('timeout', `not secured within ${this.#secureWithinMs} ms`));
      this.destroy();
    });
    const connected = this.flow.connect();
    try {
      await Promise.race([connected, late.promise]);
    } finally {
      cancel();
      connected.catch(() => {});
    }
  }

  /** The ways to log in that there were, the one that was taken first; none before the login, nor with a token. */
  get loginWays(): readonly LoginWay[] {
    return this.#loginWays;
  }

  /** False where the server was told of a mechanism alone: whatever it answered, it has not seen the password or token. */
  get hasSentSecret(): boolean {
    return this.#shortcuts.hasSentSecret;
  }

  /** True while commands can be sent. */
  get isUsable(): boolean {
    return this.flow.usable && !this.flow.isClosed;
  }

  /** The server greeted with PREAUTH: imapflow takes the text of no other greeting but OK. */
  get wasPreauthenticated(): boolean {
    return this.flow.greeting === undefined;
  }

  /** The failure of a login after which the server asked for a pause; the connection is then closed. Undefined where it did not. */
  throttled(cause: unknown): UpstreamError | undefined {
    if (this.#throttledForMs === undefined) return undefined;
    return new UpstreamError('throttled', 'the upstream throttles', { cause, retryAfterMs: this.#throttledForMs });
  }

  /** Logged in, nobody needs it any more: a connection may outlive its session. */
  forgetPassword(): void {
    delete this.#auth.pass;
    delete this.#auth.accessToken;
  }

  destroy(): void {
    this.flow.close();
    this.transport.destroy();
  }

  #note(error: unknown): void {
    const hint = throttleHint(error);
    if (hint === undefined || this.#throttledForMs !== undefined) return;
    this.#throttledForMs = hint;
    // imapflow would wait out the pause within the command, and the client with it.
    setImmediate(() => this.destroy());
  }

  #logger(): { readonly isLevelEnabled: (level: string) => boolean } & Record<
    'debug' | 'info' | 'warn' | 'error',
    (entry: unknown) => void
  > {
    const ignore = (): void => {};
    const note = (entry: unknown): void => {
      if (typeof entry !== 'object' || entry === null) return;
      this.#note('err' in entry ? entry.err : entry);
    };
    return { debug: ignore, info: ignore, warn: note, error: note, isLevelEnabled: (level) => level === 'warn' || level === 'error' };
  }
}

/**
 * The special use that the names of folders suggest in one of many languages, by path. Each use goes to one folder: an exact name before a
 * similar one, then the one nearest to the top. `taken` are uses that the server gives to a folder itself.
 */
export function rolesByName(
  folders: readonly { readonly path: string; readonly delimiter: string }[],
  taken: ReadonlySet<string>,
): ReadonlyMap<string, string> {
  const guesses = folders.flatMap(({ path, delimiter }) => {
    const parts = delimiter === '' ? [path] : path.split(delimiter);
    const { flag, source } = specialUse(false, { flags: new Set(), name: parts.at(-1) ?? '' });
    return flag === null || taken.has(flag) ? [] : [{ path, flag, depth: parts.length, isExact: source === 'name' }];
  });
  guesses.sort((one, other) => Number(other.isExact) - Number(one.isExact) || one.depth - other.depth || (one.path < other.path ? -1 : 1));
  const byFlag = new Map<string, string>();
  for (const { path, flag } of guesses) if (!byFlag.has(flag)) byFlag.set(flag, path);
  return new Map([...byFlag].map(([flag, path]) => [path, flag]));
}
