/**
 * What a listing needs of a mailbox, asked for together with SELECT: it costs no round trip of its own then. Nothing depends on it: where
 * the server does not answer so, or the mailbox changed meanwhile, the listing asks anew.
 */
import { isRefusal } from '../errors.ts';
import type { UidRanges } from '../imap/uid-ranges.ts';
import { firstCompared, shortSearch, type Abilities, type Search, type Since } from './finding.ts';
import { RowGatherer } from './mailbox-listing.ts';
import type { Pipeline } from './pipeline.ts';
import type { ListingRows, Purpose } from './upstream.ts';

/** As of one moment, at which the connection had that many news. */
export interface ListingAhead {
  readonly news: number;
  /** Messages that SEARCH calls \Deleted; undefined where the server refused to say. */
  readonly deleted: UidRanges | undefined;
  /** What is there from one of the last known messages on; undefined where it was not asked for or did not come. */
  readonly since: Since | undefined;
  /** Of all messages; undefined where they were not asked for, or did not come. */
  readonly rows: ListingRows | undefined;
}

export class ListingAheadRequest {
  readonly #pipeline: Pipeline;
  readonly #abilities: Abilities;
  readonly #purpose: Purpose;
  /** Sent so far. */
  commands = 0;
  #answer: Promise<ListingAhead | undefined> = Promise.resolve(undefined);

  constructor(pipeline: Pipeline, abilities: Abilities, purpose: Purpose) {
    this.#pipeline = pipeline;
    this.#abilities = abilities;
    this.#purpose = purpose;
  }

  /** Sends the commands; SELECT is on its way. */
  send(): void {
    this.commands += 2;
    this.#answer = this.#ask();
    this.#answer.catch(() => {});
  }

  /** Undefined where it is of no use. Rejects with UpstreamError where the connection is lost, or the server wants a pause. */
  answer(): Promise<ListingAhead | undefined> {
    return this.#answer;
  }

  async #ask(): Promise<ListingAhead | undefined> {
    const deleted = this.#search('DELETED');
    const isFirst = this.#purpose.for === 'first-listing';
    const from = this.#purpose.for === 'listing' ? firstCompared(this.#purpose.known) : 1;
    const since = isFirst ? undefined : this.#search(`UID ${from}:*`);
    const gathered = new RowGatherer(this.#abilities, undefined, () => this.#pipeline.exists ?? 0);
    const rows = isFirst ? this.#unlessRefused(this.#pipeline.command(`UID FETCH 1:* ${gathered.items}`, gathered)) : undefined;
    const [newsOfDeleted, newsOfSince, newsOfRows] = await Promise.all([deleted.news, since?.news, rows]);
    const news = newsOfRows ?? newsOfSince ?? newsOfDeleted;
    if (news === undefined) return undefined;
    const found = newsOfSince === news ? resultOf(since?.search) : undefined;
    return {
      news,
      deleted: newsOfDeleted === news ? resultOf(deleted.search) : undefined,
      since: found && { from, found },
      rows: newsOfRows === news ? gathered.rows() : undefined,
    };
  }

  #search(criterion: string): { readonly search: Search; readonly news: Promise<number | undefined> } {
    const search = shortSearch(this.#abilities, criterion);
    return { search, news: this.#unlessRefused(this.#pipeline.command(search.text, search.collector)) };
  }

  /** The news of the connection when the command was done; undefined where the server does not want to do it. */
  async #unlessRefused(command: Promise<unknown>): Promise<number | undefined> {
    try {
      await command;
      return this.#pipeline.news;
    } catch (error) {
      if (isRefusal(error)) return undefined;
      throw error;
    }
  }
}

function resultOf(search: Search | undefined): UidRanges | undefined {
  return search?.isAnswered() === true ? search.found() : undefined;
}
