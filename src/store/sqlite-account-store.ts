/**
 * Local accounts in an SQLite file of their own: nothing in it can be made again, so that a damaged one is never set aside as a damaged UID
 * map may be. What is deleted is overwritten.
 */
import type { SQLOutputValue } from 'node:sqlite';
import type { AccountKey, AccountStore, Device, SealedSecret, SecretPurpose, SignIn, StoredAccount } from './account-store.ts';
import { ACCOUNT_MIGRATIONS } from './migrations/account-migrations.ts';
import { guarded, SqliteDatabase } from './sqlite-database.ts';

type Row = Record<string, SQLOutputValue>;

const ALL_SECRETS = 'SELECT * FROM secret ORDER BY upstream, user, purpose';

export class SqliteAccountStore implements AccountStore {
  readonly #database: SqliteDatabase;

  /** Opens or creates the file; ":memory:" keeps nothing. Throws STORE_CORRUPT where it is damaged. */
  constructor(path: string) {
    this.#database = SqliteDatabase.open(path, { migrations: ACCOUNT_MIGRATIONS, pragmas: 'PRAGMA secure_delete = ON;' });
  }

  async accounts(): Promise<StoredAccount[]> {
    return this.#all('SELECT * FROM account ORDER BY upstream, user').map(accountOf);
  }

  async account({ upstream, user }: AccountKey): Promise<StoredAccount | undefined> {
    return this.#all('SELECT * FROM account WHERE upstream = ? AND user = ?', upstream, user).map(accountOf)[0];
  }

  async devices({ upstream, user }: AccountKey): Promise<Device[]> {
    return this.#all('SELECT * FROM device WHERE upstream = ? AND user = ? ORDER BY name', upstream, user).map(deviceOf);
  }

  async addAccount(account: StoredAccount, devices: readonly Device[], secrets: readonly SealedSecret[]): Promise<void> {
    const { upstream, user, upstreamUser, kind, createdAt } = account;
    this.#database.transaction(() => {
      this.#forget(account);
      this.#database.prepare('INSERT INTO account VALUES (?, ?, ?, ?, ?)').run(upstream, user, upstreamUser, kind, createdAt);
      for (const device of devices) this.#putDevice(account, device);
      for (const secret of secrets) this.#putSecret(secret);
    });
  }

  async removeAccount(key: AccountKey): Promise<boolean> {
    return this.#database.transaction(() => this.#forget(key));
  }

  async putDevice(key: AccountKey, device: Device): Promise<void> {
    this.#database.transaction(() => this.#putDevice(key, device));
  }

  async removeDevice({ upstream, user }: AccountKey, name: string): Promise<boolean> {
    return this.#run('DELETE FROM device WHERE upstream = ? AND user = ? AND name = ?', upstream, user, name) > 0;
  }

  async noteUse({ upstream, user }: AccountKey, device: string, at: number): Promise<void> {
    this.#run('UPDATE device SET used_at = ? WHERE upstream = ? AND user = ? AND name = ?', at, upstream, user, device);
  }

  async secret({ upstream, user }: AccountKey, purpose: SecretPurpose): Promise<Uint8Array | undefined> {
    const rows = this.#all('SELECT * FROM secret WHERE upstream = ? AND user = ? AND purpose = ?', upstream, user, purpose);
    return rows.map(secretOf)[0]?.sealed;
  }

  async secrets(): Promise<SealedSecret[]> {
    return this.#all(ALL_SECRETS).map(secretOf);
  }

  async resealSecrets(reseal: (secret: SealedSecret) => Uint8Array | undefined): Promise<number> {
    return this.#database.transaction(() => {
      let count = 0;
      for (const secret of this.#database.prepare(ALL_SECRETS).all().map(secretOf)) {
        const sealed = reseal(secret);
        if (sealed === undefined) continue;
        this.#putSecret({ ...secret, sealed });
        count += 1;
      }
      return count;
    });
  }

  async putSecrets(secrets: readonly SealedSecret[], signIn?: AccountKey & SignIn): Promise<void> {
    this.#database.transaction(() => {
      for (const secret of secrets) this.#putSecret(secret);
      if (signIn !== undefined) this.#putSignIn(signIn, signIn);
    });
  }

  async signIn({ upstream, user }: AccountKey): Promise<SignIn | undefined> {
    return this.#all('SELECT * FROM sign_in WHERE upstream = ? AND user = ?', upstream, user).map(signInOf)[0];
  }

  async putSignIn(key: AccountKey, signIn: SignIn): Promise<void> {
    this.#database.transaction(() => this.#putSignIn(key, signIn));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#database[Symbol.dispose]();
  }

  #forget({ upstream, user }: AccountKey): boolean {
    const changes = ['secret', 'sign_in', 'account'].map(
      (table) => this.#database.prepare(`DELETE FROM ${table} WHERE upstream = ? AND user = ?`).run(upstream, user).changes,
    );
    return changes.some((count) => count > 0);
  }

  #putDevice({ upstream, user }: AccountKey, { name, hash, createdAt, usedAt }: Device): void {
    this.#database.prepare('INSERT OR REPLACE INTO device VALUES (?, ?, ?, ?, ?, ?)').run(upstream, user, name, hash, createdAt, usedAt);
  }

  #putSecret({ upstream, user, purpose, sealed }: SealedSecret): void {
    this.#database.prepare('INSERT OR REPLACE INTO secret VALUES (?, ?, ?, ?)').run(upstream, user, purpose, sealed);
  }

  #putSignIn({ upstream, user }: AccountKey, { state, expiresAt, reason }: SignIn): void {
    this.#database.prepare('INSERT OR REPLACE INTO sign_in VALUES (?, ?, ?, ?, ?)').run(upstream, user, state, expiresAt, reason);
  }

  #all(sql: string, ...values: readonly string[]): Row[] {
    return guarded('the accounts cannot be read', () => this.#database.prepare(sql).all(...values));
  }

  #run(sql: string, ...values: readonly (string | number)[]): number {
    return this.#database.transaction(() => Number(this.#database.prepare(sql).run(...values).changes));
  }
}

function keyOf(row: Row): AccountKey {
  return { upstream: String(row['upstream']), user: String(row['user']) };
}

function accountOf(row: Row): StoredAccount {
  const kind = row['kind'] === 'oauth' ? 'oauth' : 'password';
  return { ...keyOf(row), upstreamUser: String(row['upstream_user']), kind, createdAt: Number(row['created_at']) };
}

function deviceOf(row: Row): Device {
  return { name: String(row['name']), hash: String(row['hash']), createdAt: Number(row['created_at']), usedAt: Number(row['used_at']) };
}

function secretOf(row: Row): SealedSecret {
  const { sealed, purpose } = row;
  return {
    ...keyOf(row),
    purpose: purpose === 'tokens' ? 'tokens' : 'password',
    sealed: sealed instanceof Uint8Array ? sealed : new Uint8Array(),
  };
}

function signInOf(row: Row): SignIn {
  return { state: row['state'] === 'ok' ? 'ok' : 'needed', expiresAt: Number(row['expires_at']), reason: String(row['reason']) };
}
