/**
 * Connections that stay when a session ends, so that the next poll costs no login (CONTRACT section 5.7). Who is served by one has to give
 * the very password that opened it, at most an hour after it did; every other password is proven by a login of its own.
 */
import { timingSafeEqual } from 'node:crypto';
import type { Cancel, Clock } from '../clock.ts';
import { KeyedHash } from '../keyed-hash.ts';
import type { ImapConnection } from './imap-connection.ts';
import type { UpstreamLogin } from './upstream.ts';

export interface PoolParts {
  readonly clock: Clock;
  /** Connects and logs in. */
  readonly open: (login: UpstreamLogin, signal: AbortSignal) => Promise<ImapConnection>;
  /** How long a connection stays without a session; 0 for not at all. */
  readonly lingerMs: number;
  /** Sessions beyond it share connections. */
  readonly connectionsPerAccount: number;
}

/** A connection, for one session. */
export interface Lease {
  readonly connection: ImapConnection;
  /** It was there already: whether it still lives is not known. */
  readonly isKept: boolean;
  /** Resolves when the server was told, where the connection does not stay. */
  leave(): Promise<void>;
  /**
   * Ends the connection where no other session uses it; else it is only given to nobody any more, and ends with its last session. After `leave`
   * only one that does not stay.
   */
  destroy(): void;
}

interface Member {
  readonly connection: ImapConnection;
  readonly proof: Buffer;
  readonly openedAt: number;
  sessions: number;
  /** It ends with its last session. */
  isRetired: boolean;
  cancelLinger: Cancel;
}

interface Account {
  readonly members: Set<Member>;
  /** Logins under way. */
  readonly opening: Set<{ readonly proof: Buffer; readonly member: Promise<Member> }>;
}

/** For so long after its login a connection stands for its password. */
const PROVEN_MS = 60 * 60_000;

export class ConnectionPool {
  readonly #parts: PoolParts;
  readonly #hash = new KeyedHash();
  readonly #accounts = new Map<string, Account>();
  #isRetired = false;

  constructor(parts: PoolParts) {
    this.#parts = parts;
  }

  /** Rejects as a login does: CredentialsError or UpstreamError. */
  async take(login: UpstreamLogin, signal: AbortSignal): Promise<Lease> {
    const account = this.#account(login.user);
    const proof = this.#proof(login);
    this.#sweep(account);
    const known = [...account.members].filter((member) => !member.isRetired && timingSafeEqual(member.proof, proof));
    const idle = known.find(({ sessions }) => sessions === 0);
    if (idle !== undefined) return this.#lease(login.user, account, idle, true);
    if (account.members.size + account.opening.size >= this.#parts.connectionsPerAccount) {
      const [shared] = known.sort((one, other) => one.sessions - other.sessions);
      if (shared !== undefined) return this.#lease(login.user, account, shared, true);
      const opening = [...account.opening].find((other) => timingSafeEqual(other.proof, proof));
      if (opening !== undefined) return this.#lease(login.user, account, await opening.member, true);
    }
    return this.#lease(login.user, account, await this.#open(account, login, proof, signal), false);
  }

  /** A connection for this session alone, beyond the limit, that ends with it. Rejects as a login does. */
  async takeApart(login: UpstreamLogin, signal: AbortSignal): Promise<Lease> {
    const connection = await this.#parts.open(login, signal);
    return { connection, isKept: false, leave: () => connection.logout(), destroy: () => connection.destroy() };
  }

  /** Keeps nothing any more. Resolves when the servers of idle connections were told. */
  async retire(): Promise<void> {
    this.#isRetired = true;
    const members = [...this.#accounts.values()].flatMap((account) => [...account.members].map((member) => ({ account, member })));
    await Promise.all(members.map(({ account, member }) => this.#retire(account, member)));
  }

  async #open(account: Account, login: UpstreamLogin, proof: Buffer, signal: AbortSignal): Promise<Member> {
    const opened = this.#parts.open(login, signal).then((connection): Member => {
      const openedAt = this.#parts.clock.monotonic();
      return { connection, proof, openedAt, sessions: 0, isRetired: this.#isRetired, cancelLinger: () => {} };
    });
    const opening = { proof, member: opened };
    account.opening.add(opening);
    try {
      const member = await opened;
      // The password may have changed, and the account has its limit: one that nobody uses makes room.
      for (const other of account.members) {
        const isTooMany = account.members.size >= this.#parts.connectionsPerAccount;
        if (isTooMany || !timingSafeEqual(other.proof, proof)) void this.#retire(account, other);
      }
      account.members.add(member);
      return member;
    } finally {
      account.opening.delete(opening);
      this.#forgetEmpty(login.user, account);
    }
  }

  #lease(user: string, account: Account, member: Member, isKept: boolean): Lease {
    member.cancelLinger();
    const count = (more: number): void => {
      member.sessions += more;
      member.connection.sessions = member.sessions;
    };
    count(1);
    let hasLeft = false;
    return {
      connection: member.connection,
      isKept,
      leave: async () => {
        if (hasLeft) return;
        hasLeft = true;
        count(-1);
        if (member.sessions > 0) return;
        if (this.#parts.lingerMs === 0 || member.isRetired || !isFit(member) || !member.connection.canRest)
          await this.#end(account, member);
        else this.#linger(account, member);
        this.#forgetEmpty(user, account);
      },
      destroy: () => {
        if (!hasLeft) {
          hasLeft = true;
          count(-1);
          member.isRetired = true;
        } else if (account.members.has(member)) return;
        if (member.sessions > 0) return;
        account.members.delete(member);
        member.connection.destroy();
        this.#forgetEmpty(user, account);
      },
    };
  }

  #linger(account: Account, member: Member): void {
    member.cancelLinger = this.#parts.clock.after(this.#parts.lingerMs, () => void this.#retire(account, member));
    void member.connection.rest().then((isAtRest) => {
      if (!isAtRest) void this.#retire(account, member);
    });
  }

  /** Lets go of what is no good any more. */
  #sweep(account: Account): void {
    const oldest = this.#parts.clock.monotonic() - PROVEN_MS;
    for (const member of account.members) if (!isFit(member) || member.openedAt < oldest) void this.#retire(account, member);
  }

  async #retire(account: Account, member: Member): Promise<void> {
    member.isRetired = true;
    if (member.sessions === 0) await this.#end(account, member);
    else if (!isFit(member)) account.members.delete(member);
  }

  async #end(account: Account, member: Member): Promise<void> {
    member.cancelLinger();
    account.members.delete(member);
    await member.connection.logout();
  }

  #account(user: string): Account {
    const known = this.#accounts.get(user) ?? { members: new Set(), opening: new Set() };
    this.#accounts.set(user, known);
    return known;
  }

  #forgetEmpty(user: string, { members, opening }: Account): void {
    if (members.size + opening.size === 0) this.#accounts.delete(user);
  }

  /** Passwords are kept as keyed hashes only, under a key that lives as long as the process. */
  #proof({ user, password, provenAs }: UpstreamLogin): Buffer {
    return this.#hash.of(provenAs === undefined ? [user, password] : [user, 'proven as', provenAs]);
  }
}

function isFit({ connection }: Member): boolean {
  return connection.isUsable;
}
