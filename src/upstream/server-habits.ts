/**
 * What a server turned out to do otherwise than it announces. Each thing is found out once and remembered for the server, so that later
 * sessions do not find it out again. Nothing is stored: a restart, or a new configuration, begins afresh.
 */

/** A way to log in with a password: the LOGIN command (RFC 3501 section 6.2.3), or AUTHENTICATE with the mechanism PLAIN or LOGIN. */
export type LoginWay = 'LOGIN' | 'AUTH=PLAIN' | 'AUTH=LOGIN';

/**
 * Base64 carries every user name and password as it is. LOGIN has to quote them or send them as literals (RFC 3501 section 9, `astring`), but
 * every server has it.
 */
const USUAL_ORDER: readonly LoginWay[] = ['AUTH=PLAIN', 'LOGIN', 'AUTH=LOGIN'];

export class ServerHabits {
  /** Ways by which a login succeeded, the oldest first. */
  readonly #proven = new Set<LoginWay>();
  /** Ways by which a password was judged wrong while none was proven, the last one at the end. */
  readonly #doubted = new Set<LoginWay>();
  /** It takes one command at a time: one that comes while another is at work is refused or lost. */
  isSerial = false;
  /** It refuses UID EXPUNGE, or agrees and does nothing, though it announces UIDPLUS. */
  refusesUidExpunge = false;
  /** Its SEARCH names messages that have not the property that was searched for. */
  searchesAnyhow = false;
  /** It told with COPY which messages it copied (COPYUID). */
  tellsCopies = false;
  /** It refuses MOVE, or agrees and does nothing, though it announces it. */
  refusesMove = false;
  /** It refuses SEARCH keys that are joined by OR, or takes them for something else. */
  misreadsOr = false;
  /** It refuses the RETURN options of SEARCH, or gives no result for them, though it announces ESEARCH. */
  refusesSearchReturn = false;

  /**
   * Gives the ways to log in that the server announces, in the order in which to try them: the proven ones first, and last those that have only
   * ever found passwords wrong.
   */
  loginWays(announces: (capability: string) => boolean): LoginWay[] {
    const inOrder = new Set([...this.#proven, ...USUAL_ORDER.filter((way) => !this.#doubted.has(way)), ...this.#doubted]);
    return [...inOrder].filter((way) => (way === 'LOGIN' ? !announces('LOGINDISABLED') : announces(way)));
  }

  /** True where a login has succeeded that way, and the server has not refused the way since. */
  isProven(way: LoginWay): boolean {
    return this.#proven.has(way);
  }

  /** A login succeeded that way, after the server had refused the other ones as such. */
  noteSuccess(way: LoginWay, refused: readonly LoginWay[]): void {
    for (const other of refused) this.#proven.delete(other);
    this.#proven.add(way);
  }

  /**
   * The server has seen a password that way, and says that it is wrong. Some servers say so of every password that comes by a way which they
   * announce and do not have: as long as no way is proven, the next login begins with the next one.
   */
  noteWrongPassword(way: LoginWay): void {
    if (this.#proven.size > 0) return;
    this.#doubted.delete(way);
    this.#doubted.add(way);
  }
}
