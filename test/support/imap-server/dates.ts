/** Dates as IMAP writes them (RFC 3501 section 9, `date` and `date-time`), always in UTC. */

const MONTHS = ['Jan', 'Feb', 'Mar', 'Apr', 'May', 'Jun', 'Jul', 'Aug', 'Sep', 'Oct', 'Nov', 'Dec'];
const DAY_MS = 24 * 60 * 60 * 1000;
const MINUTE_MS = 60 * 1000;

export function formatDateTime(date: Date): string {
  const two = (value: number): string => String(value).padStart(2, '0');
  const day = `${two(date.getUTCDate())}-${MONTHS[date.getUTCMonth()] ?? ''}-${String(date.getUTCFullYear()).padStart(4, '0')}`;
  return `"${day} ${two(date.getUTCHours())}:${two(date.getUTCMinutes())}:${two(date.getUTCSeconds())} +0000"`;
}

/** The moment of `dd-Mon-yyyy hh:mm:ss +zzzz`; nothing when it isn't one. */
export function parseDateTime(text: string): Date | undefined {
  const match = /^ ?(\d{1,2}-[a-z]{3}-\d{4}) (\d\d):(\d\d):(\d\d) ([+-])(\d\d)(\d\d)$/i.exec(text);
  if (match === null) return undefined;
  const [, date = '', hours, minutes, seconds, sign, zoneHours, zoneMinutes] = match;
  const day = parseDay(date);
  if (day === undefined) return undefined;
  const zone = (sign === '-' ? -1 : 1) * (Number(zoneHours) * 60 + Number(zoneMinutes));
  return new Date(day * DAY_MS + (Number(hours) * 60 + Number(minutes) - zone) * MINUTE_MS + Number(seconds) * 1000);
}

/** The day of `dd-Mon-yyyy` as days since 1970; nothing when it isn't one. */
export function parseDay(text: string): number | undefined {
  const match = /^(\d{1,2})-([a-z]{3})-(\d{4})$/i.exec(text);
  const month = MONTHS.findIndex((name) => name.toUpperCase() === match?.[2]?.toUpperCase());
  if (match === null || month < 0) return undefined;
  return Date.UTC(Number(match[3]), month, Number(match[1])) / DAY_MS;
}

export function dayOf(date: Date): number {
  return Math.floor(date.getTime() / DAY_MS);
}
