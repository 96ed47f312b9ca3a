/**
 * What a listing needs of a mailbox, asked for together with SELECT: it costs no round trip of its own then. Nothing depends on it: where
 * the server does not answer so, or the mailbox changed meanwhile, the listing asks anew.
 */
import { UpstreamError } from '../errors.ts';
import type { Uid } from '../maildrop/numbers.ts';
import { RowGatherer, searchFor, type Abilities } from './mailbox-listing.ts';
import type { Pipeline } from './pipeline.ts';
import type { ListingRows } from './upstream.ts';

/** As of one moment, at which the connection had that many news. */
export interface ListingAhead {
  readonly news: number;
  /** Messages flagged \Deleted. */
  readonly deleted: ReadonlySet<Uid>;
  /** Of all messages; undefined where they were not asked for, or did not come. */
  readonly rows: ListingRows | undefined;
}

export class ListingAheadRequest {
  readonly #pipeline: Pipeline;
  readonly #abilities: Abilities;
  readonly #withRows: boolean;
  /** Sent so far. */
  commands = 0;
  #answer: Promise<ListingAhead | undefined> = Promise.resolve(undefined);

  /** `withRows`: all messages are new to us. */
  constructor(pipeline: Pipeline, abilities: Abilities, withRows: boolean) {
    this.#pipeline = pipeline;
    this.#abilities = abilities;
    this.#withRows = withRows;
  }

  /** Sends the commands; SELECT is on its way. */
  send(): void {
    this.commands = this.#withRows ? 2 : 1;
    this.#answer = this.#ask();
    this.#answer.catch(() => {});
  }

  /** Undefined where it is of no use. Rejects with UpstreamError where the connection is lost, or the server wants a pause. */
  answer(): Promise<ListingAhead | undefined> {
    return this.#answer;
  }

  async #ask(): Promise<ListingAhead | undefined> {
    const gathered = new RowGatherer(this.#abilities, undefined, () => this.#pipeline.exists);
    const search = searchFor(this.#abilities, 'DELETED');
    const found = this.#unlessRefused(this.#pipeline.command(search.text, search.collector));
    const rows = this.#withRows ? this.#unlessRefused(this.#pipeline.command(`UID FETCH 1:* ${gathered.items}`, gathered)) : undefined;
    const [newsBefore, newsAfter] = await Promise.all([found, rows]);
    if (newsBefore === undefined) return undefined;
    const isSame = newsAfter === newsBefore;
    return { news: newsBefore, deleted: new Set(search.uids()), rows: isSame ? gathered.rows() : undefined };
  }

  /** The news of the connection when the command was done; undefined where the server does not want to do it. */
  async #unlessRefused(command: Promise<unknown>): Promise<number | undefined> {
    try {
      await command;
      return this.#pipeline.news;
    } catch (error) {
      if (error instanceof UpstreamError && ['refused', 'missing'].includes(error.kind)) return undefined;
      throw error;
    }
  }
}
