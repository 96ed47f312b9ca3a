/** What one session knows of its selected mailbox: the numbering it was told, and the news it wasn't told yet. */
import type { FakeMailbox, FakeMessage, MailboxObserver } from './mailbox.ts';
import type { ResponseWriter } from './response-writer.ts';
import { resolveSequenceSet } from './sequence-set.ts';
import { SyntaxFault } from './syntax.ts';

/** A message with the sequence number this session knows it by. */
export interface NumberedMessage {
  readonly sequence: number;
  readonly message: FakeMessage;
}

export class MailboxView implements MailboxObserver {
  readonly mailbox: FakeMailbox;
  /** Called when there is news; set while the session idles. */
  onNews: (() => void) | undefined;
  readonly #isExamined: boolean;
  #messages: FakeMessage[];
  #lastUid: number;
  #isStale = false;
  #isInvalid = false;
  readonly #reflagged = new Set<FakeMessage>();

  constructor(mailbox: FakeMailbox, isExamined: boolean) {
    this.mailbox = mailbox;
    this.#isExamined = isExamined;
    this.#messages = [...mailbox.messages];
    this.#lastUid = mailbox.uidNext - 1;
    mailbox.observe(this);
  }

  get isReadOnly(): boolean {
    return this.#isExamined || this.mailbox.readOnly;
  }

  get isInvalid(): boolean {
    return this.#isInvalid;
  }

  get messages(): readonly FakeMessage[] {
    return this.#messages;
  }

  release(): void {
    if (this.mailbox.keepsViews && !this.#isExamined) this.mailbox.overwrite(this.#messages);
    this.mailbox.unobserve(this);
  }

  messagesChanged(): void {
    if (this.mailbox.keepsViews) return;
    this.#isStale = true;
    this.onNews?.();
  }

  flagsChanged(message: FakeMessage): void {
    this.#reflagged.add(message);
    this.onNews?.();
  }

  invalidated(): void {
    this.#isInvalid = true;
  }

  /** Messages of a set in ascending order, those gone meanwhile included. A sequence number beyond the mailbox is a fault, a UID isn't. */
  select(set: string, by: 'uid' | 'sequence'): NumberedMessage[] {
    if (this.#messages.length === 0 && set.includes('*')) return [];
    const largest = by === 'uid' ? (this.#messages.at(-1)?.uid ?? 0) : this.#messages.length;
    const chosen: NumberedMessage[] = [];
    for (const [first, last] of resolveSequenceSet(set, largest)) {
      if (by === 'sequence' && (first < 1 || last > this.#messages.length)) throw new SyntaxFault('Invalid message sequence number');
      const from = by === 'uid' ? this.#firstAtLeast(first) : first - 1;
      for (let index = from; index < this.#messages.length; index += 1) {
        const message = this.#messages[index];
        if (message === undefined || (by === 'uid' ? message.uid : index + 1) > last) break;
        chosen.push({ sequence: index + 1, message });
      }
    }
    return chosen;
  }

  all(): NumberedMessage[] {
    return this.#messages.map((message, index) => ({ sequence: index + 1, message }));
  }

  /** Tells what happened since the last time; EXPUNGE only where it is legal (RFC 3501 section 7.4.1), else it stays news. */
  tellNews(out: ResponseWriter, allows: { readonly expunge: boolean }): void {
    if (this.#isStale) this.#tellMessages(out, allows.expunge);
    this.#tellFlags(out);
  }

  #tellMessages(out: ResponseWriter, allowsExpunge: boolean): void {
    if (allowsExpunge) this.#tellExpunges(out);
    const arrived = this.mailbox.messages.filter((message) => message.uid > this.#lastUid);
    if (arrived.length > 0) {
      this.#messages.push(...arrived);
      out.text(`* ${this.#messages.length} EXISTS\r\n* 0 RECENT\r\n`);
    }
    this.#lastUid = this.mailbox.uidNext - 1;
    this.#isStale = !allowsExpunge;
  }

  /** From the end on, so that no announced number shifts another. */
  #tellExpunges(out: ResponseWriter): void {
    for (let index = this.#messages.length - 1; index >= 0; index -= 1) {
      if (this.#messages[index]?.isExpunged === true) out.text(`* ${index + 1} EXPUNGE\r\n`);
    }
    this.#messages = this.#messages.filter((message) => !message.isExpunged);
  }

  #tellFlags(out: ResponseWriter): void {
    if (this.#reflagged.size === 0) return;
    for (const { sequence, message } of this.all()) {
      if (!this.#reflagged.has(message) || message.isExpunged) continue;
      out.text(`* ${sequence} FETCH (UID ${message.uid} FLAGS (${message.flags.join(' ')}))\r\n`);
    }
    this.#reflagged.clear();
  }

  #firstAtLeast(uid: number): number {
    let low = 0;
    let high = this.#messages.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((this.#messages[middle]?.uid ?? 0) < uid) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}
