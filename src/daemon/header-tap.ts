/** Looks at the header of a message that passes by on its way to a client: what it is recognised by costs nothing then. */
import { everyMessageIdIn, plainMessageIdIn } from '../maildrop/message-id.ts';

/** A longer header is not looked at. */
const MAX_HEADER_OCTETS = 64 * 1024;
const BLANK_LINES = [Buffer.from('\n\r\n'), Buffer.from('\n\n')];
const BLANK_AT_ONCE = /^\r?\n/;

export class HeaderTap {
  readonly #chunks: Uint8Array[] = [];
  #octets = 0;

  take(chunk: Uint8Array): void {
    if (this.#octets >= MAX_HEADER_OCTETS) return;
    this.#chunks.push(chunk);
    this.#octets += chunk.length;
  }

  /**
   * What the header tells (see plainMessageIdIn), '' for a header without anything that tells. Undefined where its end did not come by, and
   * where a server could read it in another way: such a message is known by the server's answer to HEADER.FIELDS alone.
   */
  messageId(): string | undefined {
    const all = this.#taken();
    const end = headerEnd(all);
    return end === undefined ? undefined : plainMessageIdIn(all.subarray(0, end));
  }

  /** Everything that this header may be remembered by, also by earlier versions; what came is all header where its end did not come by. */
  everyMessageId(): string[] {
    const all = this.#taken();
    return everyMessageIdIn(all.subarray(0, headerEnd(all)));
  }

  #taken(): Buffer {
    const [first, ...others] = this.#chunks;
    const all =
      first !== undefined && others.length === 0 ? Buffer.from(first.buffer, first.byteOffset, first.length) : Buffer.concat(this.#chunks);
    return all.subarray(0, MAX_HEADER_OCTETS);
  }
}

/** Where the header ends, its last line end included; undefined where that is not there. */
function headerEnd(octets: Buffer): number | undefined {
  if (BLANK_AT_ONCE.test(octets.toString('latin1', 0, 2))) return 0;
  const ends = BLANK_LINES.map((blank) => octets.indexOf(blank)).filter((at) => at >= 0);
  return ends.length === 0 ? undefined : Math.min(...ends) + 1;
}
