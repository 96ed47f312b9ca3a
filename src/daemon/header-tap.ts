/** Looks at the header of a message that passes by on its way to a client: what it is recognised by costs nothing then. */
import { messageIdIn } from '../maildrop/message-id.ts';

/** A longer header is not looked at. */
const MAX_HEADER_OCTETS = 64 * 1024;
const HEADER_END = /(?:^|\n)\r?\n/;

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
    const text = Buffer.concat(this.#chunks ?? []).subarray(0, MAX_HEADER_OCTETS);
    this.#chunks = undefined;
    const end = HEADER_END.exec(text.toString('latin1'));
    return end === null ? undefined : (messageIdIn(text.subarray(0, end.index + end[0].length)) ?? '');
  }
}
