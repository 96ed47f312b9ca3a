/**
 * What a server turned out to do otherwise than it announces. Each thing is found out once and remembered for the server, so that later
 * sessions do not find it out again. Nothing is stored: a restart, or a new configuration, begins afresh.
 */

/** A way to log in with a password: the LOGIN command (RFC 3501 section 6.2.3), or AUTHENTICATE with the mechanism PLAIN or LOGIN. */
export type LoginWay = 'LOGIN' | 'AUTH=PLAIN' | 'AUTH=LOGIN';

/** Base64 carries these as they are. LOGIN has to quote or escape them, and its strings are ASCII (RFC 3501 section 9, `quoted`). */
const NEEDS_CARE = /[^\x20-\x7e]|["\\]/;
const NOT_ASCII = /[^\x20-\x7e]/;

export class ServerHabits {
  #loginWay: LoginWay | undefined;
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
  /** It refuses the RETURN options of SEARCH, or gives no result for them, though it announces ESEARCH. */
  refusesSearchReturn = false;

  /**
   * The ways to log in that the server announces, the best one first. LOGIN comes first, because every server has it and it takes one round
   * trip: some servers announce AUTH=PLAIN and answer every AUTHENTICATE as if the password were wrong, which forbids a second attempt.
   */
  loginWays(
    announces: (capability: string) => boolean,
    { user, password }: { readonly user: string; readonly password: string },
  ): LoginWay[] {
    // A backslash in a user name is Exchange's domain, and LOGIN is what works there.
    const needsCare = NOT_ASCII.test(user) || NEEDS_CARE.test(password);
    const order: readonly LoginWay[] = needsCare ? ['AUTH=PLAIN', 'LOGIN', 'AUTH=LOGIN'] : ['LOGIN', 'AUTH=PLAIN', 'AUTH=LOGIN'];
    const usable = order.filter((way) => (way === 'LOGIN' ? !announces('LOGINDISABLED') : announces(way)));
    const known = this.#loginWay;
    return known !== undefined && usable.includes(known) ? [known, ...usable.filter((way) => way !== known)] : usable;
  }

  /** A login succeeded that way after another way had been refused: later logins go that way at once. */
  noteLoginWay(way: LoginWay): void {
    this.#loginWay = way;
  }
}
