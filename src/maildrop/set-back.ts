/** Whether a mailbox was set back in time, as by a restore from backup: then its UIDs stand for other messages. Pure. */

/** `before` and `now`: INTERNALDATE of the last known message in seconds since 1970, 0 where it is not known. */
export function isSetBack(before: number, now: number): boolean {
  return before > 0 && now > 0 && before !== now;
}
