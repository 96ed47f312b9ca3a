/**
 * What is true of a mailbox, kept by whoever delivers into it and drives the clients; and the promises that hold whatever breaks meanwhile: no mail lost,
 * none twice, none removed that nobody asked for, octets as delivered, unique-ids for ever. Pure; a broken promise is a Violation.
 */

/** A promise was broken; the message says which and of what mail. */
export class Violation extends Error {
  override readonly name = 'Violation';
}

/**
 * `here`: nobody asked for its removal. `asked`: somebody did, and nobody knows whether it was done. `deleted`: QUIT said that it was. `removed`: by
 * another client of the server, which only flagged as deleted what is `flagged`.
 */
type State = 'here' | 'asked' | 'deleted' | 'removed' | 'flagged';

interface Mail {
  readonly octets: Buffer;
  state: State;
}

/** A line of UIDL with its line of LIST. */
export interface Listed {
  readonly id: string;
  readonly octets: number;
}

/** How often a mail is where. */
export interface Found {
  readonly inbox: ReadonlyMap<string, { readonly count: number; readonly isFlaggedDeleted: boolean }>;
  /** Undefined where deleted mail is expunged. */
  readonly trash: ReadonlyMap<string, number> | undefined;
  /** The server can do no more than flag as deleted. */
  readonly onlyFlags?: boolean;
  /** It copies and cannot move: an interrupted copy leaves one behind. */
  readonly copies?: boolean;
}

export class Ledger {
  readonly #mails = new Map<string, Mail>();
  /** Who was ever shown under that unique-id. */
  readonly #owners = new Map<string, string>();
  /** Under what each was shown last. */
  readonly #ids = new Map<string, string>();

  /** `octets`: as RETR must give them. */
  delivered(name: string, octets: Buffer): void {
    this.#mails.set(name, { octets, state: 'here' });
  }

  /** Another client took it away. */
  removed(name: string): void {
    this.#mail(name).state = 'removed';
  }

  /** Another client flagged it as deleted, or took the flag off again. */
  flagged(name: string, isFlagged: boolean): void {
    this.#mail(name).state = isFlagged ? 'flagged' : 'here';
  }

  /** Names of mail that another client has flagged as deleted. */
  get flaggedOnes(): readonly string[] {
    return this.#inState('flagged');
  }

  /** Names of mail that must be in every maildrop. */
  get here(): readonly string[] {
    return this.#inState('here');
  }

  get size(): number {
    return this.#mails.size;
  }

  /** The mail that was shown under an id before. */
  owner(id: string): string | undefined {
    return this.#owners.get(id);
  }

  /** A listing that was answered to the end. Tells which ids are new: each is to be looked at and `named`, then `listedWhole` called. */
  listed(listing: readonly Listed[]): readonly string[] {
    const ids = listing.map(({ id }) => id);
    if (new Set(ids).size !== ids.length) throw new Violation(`a unique-id stands twice in one listing: ${ids.join(' ')}`);
    for (const id of ids) {
      if (!/^[\x21-\x7e]{1,70}$/.test(id)) throw new Violation(`not a unique-id: ${JSON.stringify(id)}`);
      const name = this.#owners.get(id);
      if (name !== undefined) this.#mustBeListable(name);
    }
    return ids.filter((id) => !this.#owners.has(id));
  }

  /** The message that is shown under that id turned out to be this one. */
  named(id: string, name: string): void {
    const owner = this.#owners.get(id);
    if (owner !== undefined && owner !== name) throw new Violation(`the unique-id ${id} of ${owner} was given to ${name}`);
    this.#mustBeListable(name);
    this.#owners.set(id, name);
  }

  /**
   * Every id of the listing is named: is all mail there, and each once? `isRenumbered`: UIDVALIDITY changed since the last listing, the only time at which a
   * mail may come under a new id. Gives the number of mails that did.
   */
  listedWhole(listing: readonly Listed[], isRenumbered: boolean): number {
    const names = listing.map(({ id }) => this.#owners.get(id) ?? '?');
    if (new Set(names).size !== names.length) throw new Violation(`a message is shown twice: ${names.toSorted().join(' ')}`);
    const missing = this.here.filter((name) => !names.includes(name));
    if (missing.length > 0) throw new Violation(`not in the maildrop: ${missing.join(' ')}`);
    let changed = 0;
    for (const { id } of listing) {
      const name = this.#owners.get(id) ?? '?';
      const before = this.#ids.get(name);
      if (before !== undefined && before !== id) {
        changed += 1;
        if (!isRenumbered) throw new Violation(`${name} was ${before} and is ${id} now`);
      }
      this.#ids.set(name, id);
      // Shown again: what asked for its removal has failed for good.
      this.#mail(name).state = 'here';
    }
    return changed;
  }

  /** RETR was answered to its final dot. */
  retrieved(name: string, octets: Buffer, listedOctets: number): void {
    const { octets: delivered } = this.#mail(name);
    if (!octets.equals(delivered))
      throw new Violation(`${name}: RETR gave ${octets.length} octets that are not the ${delivered.length} delivered`);
    if (listedOctets !== delivered.length) throw new Violation(`${name}: LIST says ${listedOctets} octets, RETR gives ${delivered.length}`);
  }

  /** QUIT is about to be sent, with these marked. */
  asked(names: readonly string[]): void {
    for (const name of names) if (this.#mail(name).state === 'here') this.#mail(name).state = 'asked';
  }

  /** QUIT was answered +OK. */
  done(names: readonly string[]): void {
    for (const name of names) if (this.#mail(name).state === 'asked') this.#mail(name).state = 'deleted';
  }

  /** What the server has now. */
  found({ inbox, trash, onlyFlags = false, copies = false }: Found): void {
    for (const name of [...inbox.keys(), ...(trash?.keys() ?? [])]) {
      if (!this.#mails.has(name)) throw new Violation(`the server has a mail that nobody delivered: ${name}`);
    }
    for (const [name, { state }] of this.#mails) {
      const { count: there = 0, isFlaggedDeleted = false } = inbox.get(name) ?? {};
      const count = onlyFlags && isFlaggedDeleted && ['asked', 'deleted'].includes(state) ? 0 : there;
      const inTrash = trash?.get(name) ?? 0;
      if (state === 'flagged' && count !== 1)
        throw new Violation(`${name} is ${count} times in the mailbox, and another client's to expunge`);
      if (state === 'here' && count !== 1)
        throw new Violation(`${name} is ${count} times in the mailbox, and nobody asked for its removal`);
      if (state === 'here' && isFlaggedDeleted) throw new Violation(`${name} is flagged as deleted, and nobody asked for it`);
      if (state === 'here' && inTrash > 0 && !copies) throw new Violation(`${name} is in the trash too`);
      if (state === 'deleted' && count > 0) throw new Violation(`${name} is still there, though QUIT said that it was deleted`);
      if (count > 1) throw new Violation(`${name} is ${count} times in the mailbox`);
      if (trash === undefined || state === 'removed') continue;
      if (copies ? count + inTrash < 1 : count + inTrash !== 1)
        throw new Violation(`${name} is ${count} times in the mailbox and ${inTrash} times in the trash`);
    }
  }

  #mustBeListable(name: string): void {
    const { state } = this.#mail(name);
    if (state === 'deleted') throw new Violation(`${name} is shown again, though QUIT said that it was deleted`);
    if (state === 'flagged') throw new Violation(`${name} is shown, though another client has flagged it as deleted`);
    if (state === 'removed') throw new Violation(`${name} is shown, though another client had removed it`);
  }

  #inState(wanted: State): string[] {
    return [...this.#mails].filter(([, { state }]) => state === wanted).map(([name]) => name);
  }

  #mail(name: string): Mail {
    const mail = this.#mails.get(name);
    if (mail === undefined) throw new Violation(`a mail that nobody delivered: ${name}`);
    return mail;
  }
}
