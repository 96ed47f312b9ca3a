/** What the daemon tells of itself on its control socket. */
import type { Accounts } from '../accounts/accounts.ts';
import type { BridgeConfig } from '../config/schema.ts';
import type { Store } from '../store/store.ts';

export interface StatusParts {
  readonly version: string;
  readonly pid: number;
  readonly config: BridgeConfig;
  readonly store: Store;
  readonly accounts: Accounts;
  /** By address. */
  readonly listeners: ReadonlyMap<string, { readonly port: number }>;
  /** Connections of clients, whether logged in or not. */
  readonly sessions: number;
}

/** The daemon's status now. Rejects with StoreError where the state can't be read. */
export async function statusOf(parts: StatusParts): Promise<Readonly<Record<string, unknown>>> {
  const { config, store, accounts: local } = parts;
  const ids = config.upstreams.map((file) => file.upstream.id);
  const withAccounts = config.upstreams.filter((file) => file.login.mode === 'accounts').map((file) => file.upstream.id);
  const accounts = (await Promise.all(withAccounts.map((id) => local.of(id)))).flat();
  const oauth = accounts.filter(({ source }) => source.kind === 'oauth');
  const signIns = await Promise.all(oauth.map((account) => local.signIn(account)));
  const verdicts = await Promise.all(ids.map((id) => store.sizeVerdict(id)));
  return {
    version: parts.version,
    pid: parts.pid,
    upstreams: ids,
    sizes: Object.fromEntries(ids.map((id, place) => [id, verdicts[place]])),
    listeners: [...parts.listeners].map(([address, listener]) => ({ address, port: listener.port })),
    sessions: parts.sessions,
    accounts: accounts.length,
    signInsNeeded: signIns.filter((signIn) => signIn?.state !== 'ok').length,
  };
}
