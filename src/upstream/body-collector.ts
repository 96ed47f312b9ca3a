/** Hands each body that comes in answer to one command to the slot of its message. */
import { UpstreamError } from '../errors.ts';
import type { BodySection, FetchRow } from '../imap/fetch-row.ts';
import type { BodySink } from '../imap/response-parser.ts';
import type { BodySlot } from './body-slot.ts';

export interface BodyCollector {
  readonly body: (row: FetchRow, section: BodySection, octets: number | undefined) => BodySink | undefined;
  readonly row: (row: FetchRow) => boolean;
  /** True once a body came of which nobody could say whose it was. Its message may be asked for again, once its number is known. */
  readonly hadUnnamed: () => boolean;
  /** True once a part of a body came instead of the whole: its message has to be read in windows. */
  readonly hadPart: () => boolean;
}

/** A body of which nobody can say beforehand whose it is may be so long; longer ones are asked for once their number is known. */
const MAX_UNNAMED_OCTETS = 4 * 1024 * 1024;

/** For the slots `wanted`, by UID, of that section. Some servers tell only behind a body whose it was, and some never. */
export function collectorFor(wanted: ReadonlyMap<number, BodySlot>, section: string): BodyCollector {
  /** Of the row that is being read: whose body it brings, or where that is not known yet, its octets. */
  let slot: BodySlot | undefined;
  let unnamed: { readonly chunks: Buffer[]; readonly isMarked: boolean } | undefined;
  let hadUnnamed = false;
  let hadPart = false;
  /** `BODY[]<0>` is whole where it has all the octets that the message is said to have. */
  const isPart = (isMarked: boolean, octets: number, { due }: BodySlot): boolean => isMarked && (section !== '' || octets !== due);
  return {
    body: ({ uid }, { name, origin }, octets) => {
      const isWanted = name === section && (origin ?? 0) === 0 && slot === undefined && unnamed === undefined;
      if (!isWanted || octets === undefined) return undefined;
      if (uid === 0) {
        if (octets > MAX_UNNAMED_OCTETS) {
          hadUnnamed = true;
          return undefined;
        }
        const chunks: Buffer[] = [];
        unnamed = { chunks, isMarked: origin !== undefined };
        return { write: (chunk) => void chunks.push(chunk) };
      }
      const named = wanted.get(uid);
      if (named === undefined || named.isOpen) return undefined;
      if (isPart(origin !== undefined, octets, named)) {
        hadPart = true;
        return undefined;
      }
      named.open(octets);
      slot = named;
      return named;
    },
    row: ({ uid }) => {
      const [taken, held, named] = [slot, unnamed, wanted.get(uid)];
      slot = unnamed = undefined;
      if (held !== undefined) {
        hadUnnamed ||= uid === 0;
        const octets = held.chunks.reduce((sum, { length }) => sum + length, 0);
        if (named?.isOpen === false) {
          if (isPart(held.isMarked, octets, named)) hadPart = true;
          else fill(named, held.chunks, octets);
        }
      }
      if (taken === undefined) return held !== undefined;
      if (taken.uid !== uid) throw new UpstreamError('protocol', 'the server gave a body of another message than was asked for');
      taken.complete();
      return true;
    },
    hadUnnamed: () => hadUnnamed,
    hadPart: () => hadPart,
  };
}

function fill(slot: BodySlot, chunks: readonly Buffer[], octets: number): void {
  slot.open(octets);
  for (const chunk of chunks) slot.write(chunk);
  slot.complete();
}
