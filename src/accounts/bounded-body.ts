/** Answers of other people's servers, as long as they are short. */

const MOST_OCTETS = 256 * 1024;

/** The body, UTF-8. Rejects where it is longer than 256 KiB. */
export async function boundedText({ body }: Response): Promise<string> {
  const chunks: Uint8Array[] = [];
  let octets = 0;
  for await (const chunk of body ?? []) {
    octets += chunk.length;
    if (octets > MOST_OCTETS) throw new Error('the answer is too long');
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString('utf8');
}
