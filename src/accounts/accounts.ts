/**
 * Local accounts: who may log in here, and with what upstream. Declared in the configuration or added by `popbridge account`; a declared one
 * stands before a stored one of the same name.
 */
import type { Clock } from '../clock.ts';
import type { DeclaredAccount, DeclaredSource, PasswordSource } from '../config/account-config.ts';
import type { ScryptCost } from '../config/scrypt-hash.ts';
import { CredentialsError, StoreError, type BridgeError } from '../errors.ts';
import type { AccountKey, AccountStore, SignIn } from '../store/account-store.ts';
import type { UpstreamLogin } from '../upstream/upstream.ts';
import type { Asker } from './fair-turns.ts';
import { PasswordChecker } from './password-checker.ts';
import { costsOf, mostCosts } from './password-hash.ts';
import type { SecretBox } from './secret-box.ts';
import { describeSource, readPassword, type Machine } from './upstream-password.ts';

/** Where an account's upstream credentials are. */
export type CredentialSource = DeclaredSource | { readonly kind: 'stored' };

/** An account, wherever it comes from. */
export interface Account extends AccountKey {
  readonly upstreamUser: string;
  readonly source: CredentialSource;
  readonly isDeclared: boolean;
}

/** Gives access tokens; see oauth/token-keeper.ts. */
export interface Tokens {
  /** Rejects with AUTH_SIGN_IN_NEEDED, or UpstreamError. */
  current(account: Account, signal: AbortSignal): Promise<string>;
  /** Another one than that, which the server refused; undefined where there is none. */
  after(account: Account, refused: string, signal: AbortSignal): Promise<string | undefined>;
  /** Another text with every sign-in and every account of that name: renewals do not change it. */
  grant(account: Account): string;
  /** The server took the account's token. */
  accepted(account: Account): void;
  /** The server refused every token of the account. Gives what the client is told. */
  refused(account: Account, error: CredentialsError): BridgeError;
  /** How it stands with the account's sign-in; undefined where there was none. */
  signIn(account: Account): Promise<SignInState | undefined>;
}

/** `failing`: nobody has to sign in, and yet there is no token that the server takes. */
export type SignInState = SignIn | (Omit<SignIn, 'state'> & { readonly state: 'failing' });

/** How a session comes by what it logs in upstream with. */
export interface UpstreamCredentials {
  /** The name upstream. */
  readonly user: string;
  current(signal: AbortSignal): Promise<UpstreamLogin>;
  /** The server refused that one: another to try at once, or undefined. */
  after(refused: UpstreamLogin, signal: AbortSignal): Promise<UpstreamLogin | undefined>;
  /** What the client is told where the server refuses them for good. */
  readonly refusal: (error: CredentialsError) => BridgeError;
  /** The server took them. */
  readonly accepted: () => void;
}

export interface AccountsParts {
  readonly store: AccountStore;
  readonly clock: Clock;
  /** Undefined where no key is there; then nothing was ever sealed. */
  readonly box: () => SecretBox | undefined;
  readonly machine: Machine;
  /** Of one upstream. */
  readonly declared: (upstream: string) => readonly DeclaredAccount[];
  readonly tokens: Tokens;
}

/** When a device was last used is told to the hour: no login waits for a disk because of it. */
const USE_NOTED_SECONDS = 60 * 60;

export class Accounts {
  readonly #parts: AccountsParts;
  readonly #checker: PasswordChecker;
  readonly #reading = new Map<string, Promise<string>>();

  constructor(parts: AccountsParts) {
    this.#parts = parts;
    this.#checker = new PasswordChecker(parts.clock);
  }

  /**
   * The account, if that is one of its app passwords. Rejects with AUTH_REFUSED, after the same work whether there is such a user or not, with
   * LOGIN_QUEUE where too many are to be checked, and where the asker leaves.
   */
  async prove(key: AccountKey, password: string, by: Asker): Promise<Account> {
    const declared = this.#declared(key);
    const devices = declared === undefined ? await this.#parts.store.devices(key) : [];
    const hashes = declared?.hashes ?? devices.map(({ hash }) => hash);
    const matched = await this.#checker.matching({ of: key, password, hashes, atLeast: this.#mostWork(key.upstream), by });
    const account = matched < 0 ? undefined : await this.find(key);
    if (account === undefined) throw new CredentialsError('AUTH_REFUSED', 'no such account, or none of its app passwords');
    const device = devices[matched];
    const now = Math.floor(this.#parts.clock.now() / 1000);
    if (device !== undefined && device.usedAt < now - USE_NOTED_SECONDS) {
      // A disk that is full keeps nobody from reading mail.
      await this.#parts.store.noteUse(key, device.name, now).catch(() => {});
    }
    return account;
  }

  async find(key: AccountKey): Promise<Account | undefined> {
    const declared = this.#declared(key);
    if (declared !== undefined) {
      const { upstreamUser, source } = declared;
      return { ...key, upstreamUser, source, isDeclared: true };
    }
    const stored = await this.#parts.store.account(key);
    if (stored === undefined) return undefined;
    return { ...key, upstreamUser: stored.upstreamUser, source: { kind: stored.kind === 'oauth' ? 'oauth' : 'stored' }, isDeclared: false };
  }

  /** Every account of an upstream. */
  async of(upstream: string): Promise<Account[]> {
    const declared = this.#parts.declared(upstream).map(({ user }) => user);
    const stored = (await this.#parts.store.accounts()).filter((one) => one.upstream === upstream).map(({ user }) => user);
    const found = await Promise.all([...new Set([...declared, ...stored])].map((user) => this.find({ upstream, user })));
    return found.flatMap((account) => account ?? []);
  }

  /** Undefined for accounts that sign in nowhere, and where nobody has. */
  async signIn(account: Account): Promise<SignInState | undefined> {
    return account.source.kind === 'oauth' ? this.#parts.tokens.signIn(account) : undefined;
  }

  /** What the account logs in upstream with, each time afresh. */
  credentials(account: Account): UpstreamCredentials {
    const { upstreamUser: user, source } = account;
    if (source.kind !== 'oauth') {
      return {
        user,
        current: async (signal) => ({ user, password: await this.#password(account, source, signal) }),
        after: async () => undefined,
        refusal: (error) =>
          new CredentialsError(
            source.kind === 'stored' ? 'AUTH_STORED_REFUSED' : 'AUTH_DECLARED_REFUSED',
            `the ${source.kind === 'stored' ? 'stored password' : `password of ${describeSource(source)}`} was refused: ${error.message}`,
            { cause: error },
          ),
        accepted: () => {},
      };
    }
    const { tokens } = this.#parts;
    // Whoever has proven to be the account may be served by its connection, whichever token opened it.
    const login = (token: string): UpstreamLogin => ({ user, provenAs: tokens.grant(account), password: token, isToken: true });
    return {
      user,
      current: async (signal) => login(await tokens.current(account, signal)),
      after: async (refused, signal) => {
        const token = await tokens.after(account, refused.password, signal);
        return token === undefined ? undefined : login(token);
      },
      refusal: (error) => tokens.refused(account, error),
      accepted: () => tokens.accepted(account),
    };
  }

  /** Read once for all who want it at the same time: behind a command there is a process. */
  #elsewhere(source: PasswordSource, signal: AbortSignal): Promise<string> {
    const name = JSON.stringify(source);
    const reading = this.#reading.get(name) ?? readPassword(source, this.#parts.machine, signal).finally(() => this.#reading.delete(name));
    this.#reading.set(name, reading);
    return reading;
  }

  /** As much for everybody as for who takes most. */
  #mostWork(upstream: string): ScryptCost[] {
    return mostCosts(this.#parts.declared(upstream).map(({ hashes }) => costsOf(hashes)));
  }

  #declared({ upstream, user }: AccountKey): DeclaredAccount | undefined {
    return this.#parts.declared(upstream).find((one) => one.user === user);
  }

  async #password(key: AccountKey, source: PasswordSource | { readonly kind: 'stored' }, signal: AbortSignal): Promise<string> {
    if (source.kind !== 'stored') return this.#elsewhere(source, signal);
    const sealed = await this.#parts.store.secret(key, 'password');
    const box = this.#parts.box();
    if (sealed === undefined || box === undefined) throw new StoreError('SECRETS_UNREADABLE', 'no upstream password is stored');
    return box.open(sealed, secretContext(key, 'password'));
  }
}

/** What a sealed secret is bound to. */
export function secretContext({ upstream, user }: AccountKey, purpose: string): readonly string[] {
  return ['popbridge', upstream, user, purpose];
}
