/** Sends replies and messages to the client: from the upstream's octets to POP3's, with backpressure all the way. */
import type { MaildropEntry } from '../maildrop/maildrop.ts';
import { DotStuffer } from '../pop3/dot-stuffer.ts';
import { LineEndNormaliser } from '../pop3/line-ends.ts';
import { encodeStatus, TERMINATOR, type Reply } from '../pop3/reply.ts';
import type { RetrieveReply } from '../pop3/session-state.ts';
import { TopCutter } from '../pop3/top-cutter.ts';
import type { MessagePart } from '../upstream/upstream.ts';

/** Where the octets go; rejects when the client is gone. */
export interface OctetSink {
  write(octets: Uint8Array | string): Promise<void>;
  flush(): Promise<void>;
}

export interface SendRequest {
  readonly entry: MaildropEntry;
  /** Body lines for TOP; undefined sends the whole message. */
  readonly lines: number | undefined;
  readonly reply: RetrieveReply;
  readonly source: (part: MessagePart) => AsyncIterable<Uint8Array>;
  readonly sink: OctetSink;
  /** Called once, just before the first octet of the positive reply leaves. */
  readonly onBegin: () => void;
}

/** A message up to this size is complete before its first octet is sent, so its status line can tell the true size. */
const HELD_BACK_OCTETS = 64 * 1024;

/** Writes a reply, and its lines where it has some; it is not flushed. */
export async function sendReply(sink: OctetSink, reply: Reply): Promise<void> {
  await sink.write(encodeStatus(reply));
  if (reply.lines === undefined) return;
  for (const chunk of reply.lines) await sink.write(chunk);
  await sink.write(TERMINATOR);
}

/** Resolves when the last octet is out, with the octets of the message as POP3 counts them: before dot-stuffing, without the end line. */
export async function sendMessage(request: SendRequest): Promise<number> {
  const { lines, sink } = request;
  const normaliser = new LineEndNormaliser();
  const cutter = lines === undefined ? undefined : new TopCutter(lines);
  const outlet = new Outlet(request);
  for await (const chunk of request.source(partFor(lines, request.entry.octets))) {
    const normalised = normaliser.transform(chunk);
    await outlet.pass(cutter === undefined ? normalised : cutter.transform(normalised));
    if (cutter?.isDone === true) break;
  }
  if (cutter?.isDone !== true) await outlet.pass(cutter === undefined ? normaliser.end() : cutter.transform(normaliser.end()));
  await outlet.finish();
  await sink.write(TERMINATOR);
  await sink.flush();
  return outlet.octets;
}

/** Holds back the beginning, then lets everything through, stuffed. */
class Outlet {
  readonly #request: SendRequest;
  readonly #stuffer = new DotStuffer();
  #held: Uint8Array[] | undefined = [];
  #octets = 0;

  constructor(request: SendRequest) {
    this.#request = request;
  }

  get octets(): number {
    return this.#octets;
  }

  async pass(octets: Uint8Array): Promise<void> {
    this.#octets += octets.length;
    if (this.#held === undefined) {
      await this.#send(octets);
      return;
    }
    this.#held.push(octets);
    if (this.#octets > HELD_BACK_OCTETS) await this.#begin(undefined);
  }

  async finish(): Promise<void> {
    await this.#begin(this.#octets);
  }

  async #begin(total: number | undefined): Promise<void> {
    const held = this.#held;
    if (held === undefined) return;
    this.#held = undefined;
    this.#request.onBegin();
    await this.#request.sink.write(encodeStatus(this.#request.reply(total)));
    for (const octets of held) await this.#send(octets);
  }

  async #send(octets: Uint8Array): Promise<void> {
    for (const piece of this.#stuffer.transform(octets)) await this.#request.sink.write(piece);
  }
}

/** More lines than the message has octets are all of it: fetchmail asks so, to read without RETR. */
function partFor(lines: number | undefined, octets: number): MessagePart {
  if (lines === undefined || lines >= octets) return 'whole';
  return lines === 0 ? 'header' : 'beginning';
}
