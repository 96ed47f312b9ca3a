/** Feeds pieces to a splitter and gives the lines as text; `too-long!` stands for a line that was too long. */
import type { LineSplitter } from '../../../src/pop3/line-splitter.ts';
import { textOf } from './octets.ts';

export function splitLines(splitter: LineSplitter, pieces: Iterable<Uint8Array>): string[] {
  const lines: string[] = [];
  for (const piece of pieces) {
    splitter.push(piece);
    for (let line = splitter.next(); line !== undefined; line = splitter.next()) {
      lines.push(line === 'too-long' ? 'too-long!' : textOf([line]));
    }
  }
  return lines;
}
