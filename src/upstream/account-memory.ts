/**
 * What connections of one account learn from one another: how its folders are called on the wire, which messages are truly flagged \Deleted,
 * and which cannot be listed. Nothing that was promised depends on it, so it lives in memory and is bounded.
 */
import { LRUCache } from 'lru-cache';
import { encodedName } from '../imap/mailbox-name.ts';
import type { Uid, UidValidity } from '../maildrop/numbers.ts';
import { Isolation } from './isolation.ts';

const MAX_ACCOUNTS = 10_000;
/** Of one account. */
const MAX_FOLDERS = 1_000;
/** What a server does in an hour of trouble is forgotten in the next. */
const CUTS_MS = 3_600_000;
/** Grows as it is filled. With `max` it would take room for all of them at once: 60 KB for each account, though most need none of it. */
const GROWING = { maxSize: MAX_FOLDERS, sizeCalculation: (): number => 1 };

/** Of one mailbox under one UIDVALIDITY. */
export interface MailboxMemory {
  /** Messages whose FLAGS named \Deleted when they were last looked at. */
  deleted: ReadonlySet<Uid>;
  /** True when a session has flagged messages \Deleted since the last listing, so that `deleted` may be incomplete. */
  wasFlagged: boolean;
  readonly isolation: Isolation;
}

export class AccountMemory {
  /** By path, only where it is not what every server would have for it. */
  readonly #octets = new LRUCache<string, string>(GROWING);
  /** By path as it was asked for. */
  readonly #found = new LRUCache<string, string>(GROWING);
  /** By path. */
  readonly #cuts = new LRUCache<string, number>(GROWING);
  /** By path. */
  readonly #missing = new LRUCache<string, true>(GROWING);
  readonly #mailboxes = new LRUCache<string, MailboxMemory>(GROWING);

  /** A folder was listed under that name, as latin1, and that path stands for it. */
  learnName(path: string, octets: string): void {
    // INBOX has no other name (RFC 3501 section 5.1): it must not become another mailbox because folders were listed.
    if (path === 'INBOX' || encodedName(path) === octets) this.#octets.delete(path);
    else this.#octets.set(path, octets);
  }

  /** The name of a folder on the wire, as latin1. */
  octetsOf(path: string): string {
    return this.#octets.get(path) ?? encodedName(path);
  }

  /** Where a folder was found that is not there under its path as given. */
  foundAt(path: string): string | undefined {
    return this.#found.get(path);
  }

  noteFound(path: string, at: string): void {
    this.#found.set(path, at);
  }

  /** Whether the folder was not there when it was last to be opened. */
  wasMissing(path: string): boolean {
    return this.#missing.has(path);
  }

  noteMissing(path: string, isMissing: boolean): void {
    if (isMissing) this.#missing.set(path, true);
    else this.#missing.delete(path);
  }

  /** How often lately the server ended the connection while the folder was opened or listed. */
  cuts(path: string): number {
    return this.#cuts.get(path) ?? 0;
  }

  noteCut(path: string): void {
    this.#cuts.set(path, this.cuts(path) + 1, { ttl: CUTS_MS });
  }

  mailbox(path: string, uidValidity: UidValidity): MailboxMemory {
    const key = `${uidValidity} ${path}`;
    const known = this.#mailboxes.get(key);
    if (known !== undefined) return known;
    const fresh = { deleted: new Set<Uid>(), wasFlagged: false, isolation: new Isolation() };
    this.#mailboxes.set(key, fresh);
    return fresh;
  }
}

/** Of all accounts of one server. */
export class AccountMemories {
  readonly #byUser = new LRUCache<string, AccountMemory>({ max: MAX_ACCOUNTS });

  of(user: string): AccountMemory {
    const known = this.#byUser.get(user);
    if (known !== undefined) return known;
    const fresh = new AccountMemory();
    this.#byUser.set(user, fresh);
    return fresh;
  }
}
