/** INTERNALDATE as the server writes it (RFC 3501 section 9, date-time: `17-Jul-1996 02:44:25 -0700`), read without making strings. */

const DIGIT_ZERO = 0x30;
const MINUS = 0x2d;
const SPACE = 0x20;
/** Octets of a date-time, without its quotes. */
const LENGTH = 26;
/** Octets of the longest text that is looked at. */
const LONGEST = 64;
const LAST_DAY = 31;
/** With a leap second. */
const LAST_SECOND = 86_400;
/** Of an offset from UTC, in seconds. */
const LARGEST_ZONE = 86_400;
/** A day, a month and a year of four digits, as in a mail's header or in ISO 8601. */
const DATE = /\b\d{1,2}[ -][a-z]{3}[a-z]*[ -]\d{4}\b|\b[a-z]{3} +\d{1,2} .*\b\d{4}\b|^\d{4}-\d{2}-\d{2}/i;
/** A date without one is in UTC wherever popbridge runs. */
const ZONE = /\d ?[+-]\d{2}:?\d{2}$|[a-z]$/i;
const MONTHS = ['jan', 'feb', 'mar', 'apr', 'may', 'jun', 'jul', 'aug', 'sep', 'oct', 'nov', 'dec'];
const MONTH_OF = new Map(MONTHS.map((name, index) => [letters(name.charCodeAt(0), name.charCodeAt(1), name.charCodeAt(2)), index + 1]));

/** Seconds since 1970 of the date-time in [start, end); 0 where it makes no sense. */
export function internalDateSeconds(octets: Buffer, start: number, end: number): number {
  if (end - start > LONGEST) return 0;
  const exact = end - start === LENGTH ? exactSeconds(octets, start) : undefined;
  return exact ?? looseSeconds(octets.toString('latin1', start, end));
}

function exactSeconds(octets: Buffer, at: number): number | undefined {
  const month = MONTH_OF.get(letters(octets[at + 3] ?? 0, octets[at + 4] ?? 0, octets[at + 5] ?? 0));
  const day = two(octets, at);
  const year = 100 * two(octets, at + 7) + two(octets, at + 9);
  const time = 3600 * two(octets, at + 12) + 60 * two(octets, at + 15) + two(octets, at + 18);
  const zone = 3600 * two(octets, at + 22) + 60 * two(octets, at + 24);
  if (month === undefined || !Number.isInteger(day + year + time + zone)) return undefined;
  if (day < 1 || day > LAST_DAY || time > LAST_SECOND || zone > LARGEST_ZONE) return undefined;
  const east = octets[at + 21] === MINUS ? -1 : 1;
  return Math.max(0, 86_400 * daysSince1970(year, month, day) + time - east * zone);
}

/** What is written in another way than the RFC's, as some servers do. Date.parse makes a date of nearly any text with a number in it. */
function looseSeconds(text: string): number {
  const milliseconds = DATE.test(text) ? Date.parse(ZONE.test(text) ? text : `${text}Z`) : Number.NaN;
  return Number.isNaN(milliseconds) ? 0 : Math.max(0, Math.floor(milliseconds / 1000));
}

/** Days of the Gregorian calendar, by counting years from March: the leap day comes last then. */
function daysSince1970(year: number, month: number, day: number): number {
  const shifted = month < 3 ? year - 1 : year;
  const dayOfYear = Math.floor((153 * ((month + 9) % 12) + 2) / 5) + day - 1;
  return 365 * shifted + Math.floor(shifted / 4) - Math.floor(shifted / 100) + Math.floor(shifted / 400) + dayOfYear - 719_468;
}

/** Two digits; the first may be a blank. NaN where they are none. */
function two(octets: Buffer, at: number): number {
  const first = octets[at] === SPACE ? 0 : digit(octets[at]);
  return 10 * first + digit(octets[at + 1]);
}

function digit(octet: number | undefined): number {
  const value = (octet ?? 0) - DIGIT_ZERO;
  return value >= 0 && value <= 9 ? value : Number.NaN;
}

/** Three letters in any case as one number. */
function letters(one: number, two: number, three: number): number {
  return ((one | 0x20) << 16) | ((two | 0x20) << 8) | (three | 0x20);
}
