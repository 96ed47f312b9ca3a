/** A mailbox as the server stores it. Tests use it directly and then play "another client". */

export interface AppendOptions {
  readonly flags?: readonly string[];
  readonly internalDate?: Date;
  /** What RFC822.SIZE says, for servers that lie. */
  readonly declaredSize?: number;
  /** A UID that no message has, for servers that do not give ascending ones. */
  readonly uid?: number;
}

export interface FakeMessage {
  readonly uid: number;
  /** Exactly as given, whatever its line ends. */
  readonly raw: Buffer;
  readonly flags: readonly string[];
  readonly internalDate: Date;
  readonly declaredSize: number | undefined;
  /** Gone from the mailbox, though a session may not have been told yet. */
  readonly isExpunged: boolean;
}

/** A session that has the mailbox selected. */
export interface MailboxObserver {
  messagesChanged(): void;
  flagsChanged(message: FakeMessage): void;
  /** The mailbox was deleted or renumbered: what the session knows is worthless. */
  invalidated(): void;
}

type StoredMessage = { -readonly [Key in keyof FakeMessage]: FakeMessage[Key] };

const SYSTEM_FLAGS: ReadonlyMap<string, string> = new Map(
  ['\\Seen', '\\Answered', '\\Flagged', '\\Deleted', '\\Draft'].map((flag) => [flag.toUpperCase(), flag]),
);

export class FakeMailbox {
  path: string;
  uidValidity: number;
  uidNext = 1;
  /** SELECT answers READ-ONLY and every change is refused. */
  readOnly = false;
  /** SELECT warns that UIDs won't last (RFC 4315, UIDNOTSTICKY). */
  permitsUidNotSticky = false;
  /**
   * Each session has a view of its own, which it writes over the mailbox when it lets go of it, as GNU imap4d does with an mbox: what
   * others did meanwhile is undone.
   */
  keepsViews = false;
  /** What SELECT tells instead of the real UIDNEXT; `none`: nothing. */
  toldUidNext: number | 'none' | undefined;
  readonly #clock: () => Date;
  #messages: StoredMessage[] = [];
  readonly #observers = new Set<MailboxObserver>();

  constructor(path: string, uidValidity: number, clock: () => Date) {
    this.path = path;
    this.uidValidity = uidValidity;
    this.#clock = clock;
  }

  /** In ascending order of UID. */
  get messages(): readonly FakeMessage[] {
    return this.#messages;
  }

  /** Adds a message and tells its UID; sessions hear of it with their next command. */
  append(raw: Buffer | string, options: AppendOptions = {}): number {
    const message = {
      uid: options.uid ?? this.uidNext,
      raw: typeof raw === 'string' ? Buffer.from(raw) : raw,
      flags: canonicalFlags(options.flags ?? []),
      internalDate: options.internalDate ?? this.#clock(),
      declaredSize: options.declaredSize,
      isExpunged: false,
    };
    this.#messages.push(message);
    if (options.uid === undefined) this.uidNext += 1;
    else this.#messages.sort((one, other) => one.uid - other.uid);
    for (const observer of this.#observers) observer.messagesChanged();
    return message.uid;
  }

  /** Removes a message, as another client would; a UID that isn't there is ignored. */
  expunge(uid: number): void {
    this.remove(this.#messages.filter((message) => message.uid === uid));
  }

  /** Replaces the flags of a message, as another client would. */
  setFlags(uid: number, flags: readonly string[]): void {
    const message = this.#messages.find((each) => each.uid === uid);
    if (message !== undefined) this.changeFlags(message, flags);
  }

  /** A new, greater UIDVALIDITY and UIDs from 1 on. A session that has the mailbox selected is sent away with BYE. */
  resetUidValidity(): void {
    this.uidValidity += 1;
    this.#messages = this.#messages.map((message, index) => ({ ...message, uid: index + 1 }));
    this.uidNext = this.#messages.length + 1;
    this.invalidate();
  }

  remove(messages: readonly FakeMessage[]): void {
    if (messages.length === 0) return;
    const removed = new Set(messages);
    if (this.keepsViews) this.#messages = this.#messages.filter((message) => !removed.has(message));
    else this.#remove(removed);
  }

  /** A session writes its view over what there is. */
  overwrite(view: readonly FakeMessage[]): void {
    this.#messages = view.map((message) => message as StoredMessage);
  }

  #remove(removed: ReadonlySet<FakeMessage>): void {
    for (const message of this.#messages) if (removed.has(message)) message.isExpunged = true;
    this.#messages = this.#messages.filter((message) => !message.isExpunged);
    for (const observer of this.#observers) observer.messagesChanged();
  }

  /** Replaces flags and tells every session but the one that asked for it. */
  changeFlags(message: FakeMessage, flags: readonly string[], author?: MailboxObserver): void {
    const stored = message as StoredMessage;
    stored.flags = canonicalFlags(flags);
    for (const observer of this.#observers) if (observer !== author) observer.flagsChanged(message);
  }

  observe(observer: MailboxObserver): void {
    this.#observers.add(observer);
  }

  unobserve(observer: MailboxObserver): void {
    this.#observers.delete(observer);
  }

  invalidate(): void {
    for (const observer of this.#observers) observer.invalidated();
  }
}

/** Each flag once; system flags in their usual spelling, which IMAP compares ignoring case. */
function canonicalFlags(flags: readonly string[]): string[] {
  return [...new Set(flags.map((flag) => SYSTEM_FLAGS.get(flag.toUpperCase()) ?? flag))];
}
