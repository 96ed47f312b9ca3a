/** Tells the server who we are (ID, RFC 2971). */
import type { Pipeline } from './pipeline.ts';

const TAKES_ID = { untagged: (line: Buffer): boolean => /^\* +ID\b/i.test(line.toString('latin1', 0, 8)) };

/** Tells who we are. Servers may refuse that; rejects only where the connection is lost. */
export async function tellId(pipeline: Pipeline, { name, version }: { readonly name: string; readonly version: string }): Promise<void> {
  await pipeline.ask(`ID ("name" ${quoted(name)} "version" ${quoted(version)})`, TAKES_ID);
}

function quoted(text: string): string {
  return `"${text.replace(/[^\x20-\x7e]/g, '').replace(/["\\]/g, '\\$&')}"`;
}
