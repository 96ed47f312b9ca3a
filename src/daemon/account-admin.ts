/** Local accounts as `popbridge account` sees and changes them, in the daemon or without one. */
import { secretContext, type Account, type Accounts, type SignInState, type UpstreamCredentials } from '../accounts/accounts.ts';
import type { TokenKeeper } from '../accounts/oauth/token-keeper.ts';
import type { TokenSet } from '../accounts/oauth/tokens.ts';
import { appPasswordProblem, generateAppPassword } from '../accounts/app-password.ts';
import { hashPassword } from '../accounts/password-hash.ts';
import type { Clock } from '../clock.ts';
import { canonicalUser, imapUserName } from '../config/user-name.ts';
import { CredentialsError } from '../errors.ts';
import type { AccountKey, AccountKind, AccountStore, Device, SealedSecret } from '../store/account-store.ts';
import type { UpstreamLogin, UpstreamSession } from '../upstream/upstream.ts';
import { chooseUpstream, maildropName, viewNamed } from './account.ts';
import { inspectUpstream, type UpstreamReport } from './inspect-upstream.ts';
import type { UpstreamService } from './login.ts';
import type { Vault } from './open-accounts.ts';
import { passedOn } from './upstream-proof.ts';

export interface AccountAdminParts {
  readonly store: AccountStore;
  readonly accounts: Accounts;
  readonly vault: Vault;
  readonly tokens: TokenKeeper;
  /** Rejects with ConfigError where what is stored was sealed with another key. */
  readonly checkKey: () => Promise<void>;
  readonly clock: Clock;
  readonly services: () => readonly UpstreamService[];
  /** Logs in upstream. Rejects as a login does. */
  readonly logIn: (service: UpstreamService, credentials: UpstreamCredentials) => Promise<UpstreamSession>;
}

/** Which account: the user name as a client types it; `upstream` where the domain does not tell. */
export interface AccountTarget {
  readonly user: string;
  readonly upstream?: string | undefined;
}

/** One account, as it may be shown. */
export interface AccountRow extends AccountKey {
  readonly upstreamUser: string;
  /** Where its upstream credentials are: stored, file, command, credential, oauth; leftover where there is no such account any more. */
  readonly source: string;
  readonly isDeclared: boolean;
  readonly devices: readonly Omit<Device, 'hash'>[];
  readonly signIn: SignInState | undefined;
}

export interface NewAccount extends AccountTarget {
  /** Its name upstream; by default as upstream.username makes it. */
  readonly upstreamUser?: string | undefined;
  /** Undefined where it signs in with OAuth 2.0. */
  readonly upstreamPassword: string | undefined;
  /** Of a sign-in; undefined where there was none yet, or is none to be. */
  readonly tokens: TokenSet | undefined;
  readonly device: string;
  /** Made here where none is given. */
  readonly password?: string | undefined;
  /** Not tried upstream before it is stored. */
  readonly isUntried: boolean;
}

/** Who an account is, or would be. */
export interface ResolvedAccount extends AccountKey {
  readonly upstreamUser: string;
  readonly kind: AccountKind;
  readonly exists: boolean;
}

/** An app password that was made here, to be shown once. */
export interface Issued extends AccountKey {
  readonly device: string;
  /** Undefined where the caller chose it. */
  readonly password: string | undefined;
}

export class AccountAdmin {
  readonly #parts: AccountAdminParts;

  constructor(parts: AccountAdminParts) {
    this.#parts = parts;
  }

  async list(): Promise<AccountRow[]> {
    const services = this.#parts.services().filter(({ mode }) => mode === 'accounts');
    const configured = (await Promise.all([...new Set(services.map(({ id }) => id))].map((id) => this.#parts.accounts.of(id)))).flat();
    const known = new Set(configured.map(nameOf));
    // Of upstreams that are configured no more: they can still be removed.
    const others = (await this.#parts.store.accounts()).filter((account) => !known.has(nameOf(account)));
    const orphans = (await Promise.all(others.map((account) => this.#parts.accounts.find(account)))).flatMap((one) => one ?? []);
    const rows = await Promise.all([...configured, ...orphans].map((account) => this.#row(account)));
    const shown = new Set(rows.map(nameOf));
    // Of accounts that a file declared once.
    const left = (await this.#parts.store.secrets()).filter((secret) => !shown.has(nameOf(secret)));
    const leftovers = new Map(left.map((secret) => [nameOf(secret), leftover(secret)])).values();
    return [...rows, ...leftovers];
  }

  /** Who the account would be. Throws where no upstream with local accounts takes that user. */
  async target(target: AccountTarget): Promise<ResolvedAccount> {
    const { service, key } = this.#resolve(target);
    const found = await this.#parts.accounts.find(key);
    const kind = found === undefined ? undefined : found.source.kind === 'oauth' ? 'oauth' : 'password';
    const upstreamUser = found?.upstreamUser ?? imapUserName(service.username, key.user);
    return { ...key, upstreamUser, kind: kind ?? (service.hasOAuth ? 'oauth' : 'password'), exists: found !== undefined };
  }

  async add(account: NewAccount): Promise<Issued> {
    await this.#parts.checkKey();
    const { service, key } = this.#resolve(account);
    const name = maildropName(service, key.user);
    if (name.isRecent || name.view !== undefined)
      throw new Error(`${key.user} is how clients ask for a view of ${name.user}; add the account ${name.user}`);
    if ((await this.#parts.accounts.find(key)) !== undefined) {
      throw new Error(`the account ${key.user} exists already; "popbridge account passwd" changes it`);
    }
    const upstreamUser = account.upstreamUser ?? imapUserName(service.username, key.user);
    const { upstreamPassword, tokens, isUntried } = account;
    if (upstreamPassword !== undefined && !isUntried) await this.#try(service, { user: upstreamUser, password: upstreamPassword });
    if (tokens !== undefined && !isUntried) await this.#try(service, { user: upstreamUser, password: tokens.accessToken, isToken: true });
    // Nobody signs in where the client itself is given tokens.
    if (upstreamPassword === undefined && tokens === undefined && !isUntried) {
      const newcomer: Account = { ...key, upstreamUser, source: { kind: 'oauth' }, isDeclared: false };
      await (await this.#parts.logIn(service, this.#parts.accounts.credentials(newcomer))).logout();
    }
    const { device, password } = await this.#device(account.device, account.password, []);
    const kind = upstreamPassword === undefined ? 'oauth' : 'password';
    const secrets = upstreamPassword === undefined ? [] : [this.#sealed(key, upstreamPassword)];
    this.#parts.tokens.forget(key);
    await this.#parts.store.addAccount({ ...key, upstreamUser, kind, createdAt: this.#now() }, [device], secrets);
    if (tokens !== undefined) await this.#parts.tokens.signedIn(key, tokens);
    return { ...key, device: device.name, password };
  }

  /** Gives a device an app password, in place of the one it had. */
  async setPassword(target: AccountTarget, device: string, chosen: string | undefined): Promise<Issued> {
    const account = await this.#stored(target);
    const key = { upstream: account.upstream, user: account.user };
    const issued = await this.#device(device, chosen, await this.#parts.store.devices(key));
    await this.#parts.store.putDevice(key, issued.device);
    return { ...key, device, password: issued.password };
  }

  async removeDevice(target: AccountTarget, device: string): Promise<void> {
    const account = await this.#stored(target);
    if (await this.#parts.store.removeDevice(account, device)) return;
    const names = (await this.#parts.store.devices(account)).map(({ name }) => name);
    throw new Error(`${account.user} has no device ${JSON.stringify(device)}; there are: ${names.join(', ') || 'none'}`);
  }

  async setUpstreamPassword(target: AccountTarget, password: string, isUntried: boolean): Promise<void> {
    await this.#parts.checkKey();
    const account = await this.#stored(target);
    if (account.source.kind !== 'stored') throw new Error(`${account.user} signs in upstream with OAuth 2.0; it has no password there`);
    const { service } = this.#resolve(target);
    if (!isUntried) await this.#try(service, { user: account.upstreamUser, password });
    await this.#parts.store.putSecrets([this.#sealed(account, password)]);
  }

  /** Takes the tokens of a sign-in, once the server takes them for that user. What was there before stays where it does not. */
  async signedIn(target: AccountTarget, tokens: TokenSet): Promise<void> {
    await this.#parts.checkKey();
    const { service, key } = this.#resolve(target);
    const account = await this.#parts.accounts.find(key);
    if (account === undefined) throw new Error(`there is no account ${key.user} of the upstream ${key.upstream}`);
    if (account.source.kind !== 'oauth') throw new Error(`${key.user} logs in upstream with a password, not with OAuth 2.0`);
    await this.#try(service, { user: account.upstreamUser, password: tokens.accessToken, isToken: true });
    await this.#parts.tokens.signedIn(key, tokens);
  }

  /** Also what is left of one that a file declared, or declares besides. */
  async remove(target: AccountTarget): Promise<void> {
    const key = this.#key(target);
    const { store, accounts, tokens } = this.#parts;
    const isDeclared = (await accounts.find(key))?.isDeclared === true;
    if ((isDeclared && (await store.account(key)) === undefined) || !(await store.removeAccount(key))) await this.#stored(target);
    tokens.forget(key);
  }

  /** What `check --online` tells; no password is needed for it. */
  async inspect(target: AccountTarget): Promise<UpstreamReport> {
    const { service } = this.#resolve(target);
    const name = maildropName(service, target.user);
    const key = { upstream: service.id, user: canonicalUser(name.user) };
    const account = await this.#parts.accounts.find(key);
    if (account === undefined) throw new Error(`there is no account ${key.user} of the upstream ${key.upstream}`);
    const { logIn, accounts, clock } = this.#parts;
    return inspectUpstream(service, viewNamed(service.views, name), () => logIn(service, accounts.credentials(account)), clock);
  }

  async rotateKey(): Promise<{ readonly renewed: number }> {
    return { renewed: await this.#parts.vault.rotate(this.#parts.store) };
  }

  async #try(service: UpstreamService, login: UpstreamLogin): Promise<void> {
    try {
      await (await this.#parts.logIn(service, passedOn(login))).logout();
    } catch (error) {
      if (!(error instanceof CredentialsError)) throw error;
      const what = login.isToken === true ? 'the one who signed in, as that user' : `${login.user} with that password`;
      throw new CredentialsError(error.code, `the mail server of ${service.id} refuses ${what}: ${error.message}`);
    }
  }

  #sealed({ upstream, user }: AccountKey, password: string): SealedSecret {
    return { upstream, user, purpose: 'password', sealed: this.#parts.vault.seal(password, secretContext({ upstream, user }, 'password')) };
  }

  async #row(account: Account): Promise<AccountRow> {
    const { upstream, user, upstreamUser, source, isDeclared } = account;
    const devices = (await this.#parts.store.devices(account)).map(({ name, createdAt, usedAt }) => ({ name, createdAt, usedAt }));
    return { upstream, user, upstreamUser, source: source.kind, isDeclared, devices, signIn: await this.#parts.accounts.signIn(account) };
  }

  async #device(
    name: string,
    chosen: string | undefined,
    others: readonly Device[],
  ): Promise<{ device: Device; password: string | undefined }> {
    const problem = chosen === undefined ? undefined : appPasswordProblem(chosen);
    if (problem !== undefined) throw new Error(`the app password ${problem}`);
    const generated = chosen === undefined ? generateAppPassword() : undefined;
    const hash = await hashPassword(chosen ?? generated ?? '', others[0]?.hash);
    return { device: { name, hash, createdAt: this.#now(), usedAt: 0 }, password: generated };
  }

  async #stored(target: AccountTarget): Promise<Account> {
    const key = this.#key(target);
    const account = await this.#parts.accounts.find(key);
    if (account === undefined) throw new Error(`there is no account ${key.user} of the upstream ${key.upstream}`);
    if (account.isDeclared) throw new Error(`the account ${key.user} stands in the configuration file of ${key.upstream}; change it there`);
    return account;
  }

  /** Also of an upstream that is configured no more. */
  #key({ user, upstream }: AccountTarget): AccountKey {
    const isKnown = upstream === undefined || this.#parts.services().some(({ id }) => id === upstream);
    return isKnown ? this.#resolve({ user, upstream }).key : { upstream, user: canonicalUser(user) };
  }

  #resolve({ user, upstream }: AccountTarget): { readonly service: UpstreamService; readonly key: AccountKey } {
    const services = this.#parts.services();
    const named = services.find(({ id }) => id === upstream);
    if (upstream !== undefined && named === undefined)
      throw new Error(`there is no upstream ${JSON.stringify(upstream)}; there are: ${idsOf(services)}`);
    const service = named ?? chooseUpstream(services, user);
    if (service.mode !== 'accounts') {
      throw new Error(
        `users of the upstream ${service.id} log in with their password there; set login.mode = "accounts" in its file for local accounts`,
      );
    }
    return { service, key: { upstream: service.id, user: canonicalUser(user) } };
  }

  #now(): number {
    return Math.floor(this.#parts.clock.now() / 1000);
  }
}

function nameOf({ upstream, user }: AccountKey): string {
  return JSON.stringify([upstream, user]);
}

function leftover({ upstream, user }: AccountKey): AccountRow {
  return { upstream, user, upstreamUser: '', source: 'leftover', isDeclared: false, devices: [], signIn: undefined };
}

function idsOf(services: readonly UpstreamService[]): string {
  return [...new Set(services.map(({ id }) => id))].join(', ');
}
