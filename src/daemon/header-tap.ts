/** Looks at the header of a message that passes by on its way to a client: what it is recognised by costs nothing then. */
import { messageIdIn } from '../maildrop/message-id.ts';

/** A longer header is not looked at. */
const MAX_HEADER_OCTETS = 64 * 1024;
const BLANK_LINES = [Buffer.from('\n\r\n'), Buffer.from('\n\n')];
const BLANK_AT_ONCE = /^\r?\n/;

export class HeaderTap {
  #chunks: Uint8Array[] | undefined = [];
  #octets = 0;

  take(chunk: Uint8Array): void {
    if (this.#chunks === undefined || this.#octets >= MAX_HEADER_OCTETS) return;
    this.#chunks.push(chunk);
    this.#octets += chunk.length;
  }

  /** What messageIdIn gives for the header, '' for a header without; undefined where its end did not come by. */
  messageId(): string | undefined {
    const [first, ...others] = this.#chunks ?? [];
    this.#chunks = undefined;
    if (first === undefined) return undefined;
    const all = others.length === 0 ? Buffer.from(first.buffer, first.byteOffset, first.length) : Buffer.concat([first, ...others]);
    const end = headerEnd(all.subarray(0, MAX_HEADER_OCTETS));
    return end === undefined ? undefined : (messageIdIn(all.subarray(0, end)) ?? '');
  }
}

/** Where the header ends, its last line end included; undefined where that is not there. */
function headerEnd(octets: Buffer): number | undefined {
  if (BLANK_AT_ONCE.test(octets.toString('latin1', 0, 2))) return 0;
  const ends = BLANK_LINES.map((blank) => octets.indexOf(blank)).filter((at) => at >= 0);
  return ends.length === 0 ? undefined : Math.min(...ends) + 1;
}
