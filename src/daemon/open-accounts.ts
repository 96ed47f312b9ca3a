/** Opens the local accounts beside the UID maps, with the key for what is sealed in them. */
import { Accounts, secretContext } from '../accounts/accounts.ts';
import { TokenKeeper } from '../accounts/oauth/token-keeper.ts';
import { SecretBox } from '../accounts/secret-box.ts';
import { addKey, dropOldKeys, ownKeyFile, readKeys, type SecretKeys } from '../accounts/secret-key.ts';
import type { Machine } from '../accounts/upstream-password.ts';
import type { Clock } from '../clock.ts';
import type { BridgeConfig, FileConfig } from '../config/schema.ts';
import { ConfigError } from '../errors.ts';
import type { Log } from './logging.ts';
import { databaseFiles, requireOwnFiles } from './own-files.ts';
import type { AccountStore } from '../store/account-store.ts';
import { SqliteAccountStore } from '../store/sqlite-account-store.ts';

export interface AccountPlaces extends Machine {
  readonly stateDirectory: string;
  readonly clock: Clock;
  readonly log: Log;
}

/** What opens and seals secrets. A key is only made when something is sealed for the first time. */
export class Vault {
  readonly #read: () => SecretKeys;
  #keys: SecretKeys;
  #box: SecretBox;

  /** `read` gives the keys as they are now. Throws ConfigError as it does. */
  constructor(read: () => SecretKeys) {
    this.#read = read;
    this.#keys = read();
    this.#box = new SecretBox(this.#keys.keys);
  }

  /** For messages. */
  get source(): string {
    return this.#keys.source;
  }

  get box(): SecretBox {
    return this.#box;
  }

  /** Seals with a key that is on disk. */
  seal(secret: string, context: readonly string[]): Uint8Array {
    if (this.#keys.keys.length === 0) this.#take(addKey(this.#keys));
    return this.#box.seal(secret, context);
  }

  /**
   * A new key for everything: it is on disk before anything is sealed with it, and the old one stays until nothing needs it. Where the key
   * is not ours to write, only what older keys of it sealed is sealed anew. Gives how many secrets that were. Rejects where there is no
   * newer key.
   */
  async rotate(store: AccountStore): Promise<number> {
    this.#take(this.#read());
    const { file, keys, source } = this.#keys;
    if (file !== undefined) this.#take(addKey(this.#keys));
    else if (keys.length < 2)
      throw new Error(`${source} holds no newer key; put one on a line before the other, start the daemon again, then do this`);
    const renewed = await store.resealSecrets(({ upstream, user, purpose, sealed }) => {
      if (this.#box.isCurrent(sealed)) return undefined;
      const context = secretContext({ upstream, user }, purpose);
      return this.#box.seal(this.#box.open(sealed, context), context);
    });
    this.#take(dropOldKeys(this.#keys));
    return renewed;
  }

  #take(keys: SecretKeys): void {
    this.#keys = keys;
    this.#box = new SecretBox(keys.keys);
  }
}

export interface OpenAccounts extends AsyncDisposable {
  /** Rejects with ConfigError where the key is not the one that sealed what is stored. */
  readonly checkKey: () => Promise<void>;
  readonly accounts: Accounts;
  readonly store: AccountStore;
  readonly vault: Vault;
  readonly tokens: TokenKeeper;
}

/** The caller holds the lock of the state directory. Throws ConfigError where the key is none, StoreError where a file is not ours. */
export async function openAccounts(config: () => BridgeConfig, places: AccountPlaces): Promise<OpenAccounts> {
  const { url } = config().process.store;
  const { stateDirectory, variables, killGroup, clock, log } = places;
  const path = accountsPath(url, stateDirectory);
  requireOwnFiles([...(url === 'memory:' ? [] : databaseFiles(path)), ownKeyFile(stateDirectory)], stateDirectory);
  const store = new SqliteAccountStore(path);
  try {
    const { keyFile: configured } = config().process.secrets;
    const vault = new Vault(() => readKeys({ configured, stateDirectory, variables }));
    const fileOf = (upstream: string): FileConfig | undefined => config().upstreams.find((file) => file.upstream.id === upstream);
    const tokens = new TokenKeeper({
      store,
      clock,
      seal: (secret, context) => vault.seal(secret, context),
      open: (sealed, context) => vault.box.open(sealed, context),
      config: (upstream) => fileOf(upstream)?.oauth,
      events: {
        renewed: ({ user, upstream }, expiresAt) =>
          log.info('token-renewed', { user, upstream, ...(expiresAt > 0 && { until: new Date(expiresAt * 1000).toISOString() }) }),
        signInNeeded: ({ user, upstream }, reason) =>
          log.warn('sign-in-needed', { user, upstream, reason, run: `popbridge account signin ${user}` }),
      },
    });
    const accounts = new Accounts({
      store,
      clock,
      box: () => vault.box,
      machine: { variables, killGroup },
      declared: (upstream) => fileOf(upstream)?.accounts ?? [],
      tokens,
    });
    return {
      accounts,
      store,
      vault,
      tokens,
      checkKey: () => checkKey(store, vault),
      [Symbol.asyncDispose]: () => store[Symbol.asyncDispose](),
    };
  } catch (error) {
    await store[Symbol.asyncDispose]();
    throw error;
  }
}

/** Better said at the start than at the first login: a key that was lost or exchanged. */
async function checkKey(store: AccountStore, { box, source }: Vault): Promise<void> {
  const users = new Set<string>();
  for (const secret of await store.secrets()) {
    try {
      box.open(secret.sealed, secretContext(secret, secret.purpose));
    } catch {
      users.add(secret.user);
    }
  }
  if (users.size === 0) return;
  const named = [...users].slice(0, MOST_NAMED).join(', ') + (users.size > MOST_NAMED ? ` and ${users.size - MOST_NAMED} more` : '');
  const problem = `is not the key of the secrets that are stored (of ${named}); put the right one back, or remove those accounts (popbridge account remove)`;
  throw new ConfigError([{ file: source, key: '', problem }]);
}

const MOST_NAMED = 5;

/** Beside the UID maps; nothing where they are kept in memory. */
function accountsPath(url: string, stateDirectory: string): string {
  if (url === 'memory:') return ':memory:';
  const path = url.slice('sqlite:'.length);
  return path === '' ? `${stateDirectory}/accounts.sqlite` : `${path}.accounts`;
}
