/** Sends a message, or its top, to the client: from the upstream's octets to POP3's, with backpressure all the way. */
import type { MaildropEntry } from '../maildrop/maildrop.ts';
import { DotStuffer } from '../pop3/dot-stuffer.ts';
import { LineEndNormaliser } from '../pop3/line-ends.ts';
import { encodeStatus, TERMINATOR, type Reply } from '../pop3/reply.ts';
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
  readonly reply: Reply;
  readonly source: (part: MessagePart) => AsyncIterable<Uint8Array>;
  readonly sink: OctetSink;
  /** Called once, just before the first octet of the positive reply leaves. */
  readonly onBegin: () => void;
}

/** Resolves when the last octet is out, with the octets of the message as POP3 counts them: before dot-stuffing, without the end line. */
export async function sendMessage(request: SendRequest): Promise<number> {
  const { lines, sink } = request;
  const normaliser = new LineEndNormaliser();
  const cutter = lines === undefined ? undefined : new TopCutter(lines);
  const stuffer = new DotStuffer();
  let octets = 0;
  let hasBegun = false;
  const begin = async (): Promise<void> => {
    if (hasBegun) return;
    hasBegun = true;
    request.onBegin();
    await sink.write(encodeStatus(request.reply));
  };
  const pass = async (normalised: Uint8Array): Promise<void> => {
    const kept = cutter === undefined ? normalised : cutter.transform(normalised);
    octets += kept.length;
    await sink.write(stuffer.transform(kept));
  };
  for await (const chunk of request.source(partFor(lines))) {
    await begin();
    await pass(normaliser.transform(chunk));
    if (cutter?.isDone === true) break;
  }
  await begin();
  if (cutter?.isDone !== true) await pass(normaliser.end());
  await sink.write(TERMINATOR);
  await sink.flush();
  return octets;
}

function partFor(lines: number | undefined): MessagePart {
  if (lines === undefined) return 'whole';
  return lines === 0 ? 'header' : 'beginning';
}
