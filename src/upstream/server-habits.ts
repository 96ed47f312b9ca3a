/**
 * What one server does in truth, whatever it announces. Each habit is learnt once, by whoever found it out, and holds for all connections to
 * that server until the daemon ends: nobody has to find it out again.
 */
export class ServerHabits {
  /** It takes one command at a time: one that comes while another is at work is refused or lost. */
  isSerial = false;
  /** It refuses UID EXPUNGE, though it announces UIDPLUS. */
  refusesUidExpunge = false;
  /** It refuses MOVE, though it announces it. */
  refusesMove = false;
  /** It refuses the RETURN options of SEARCH, though it announces ESEARCH. */
  refusesSearchReturn = false;
}
