/** What a FETCH response tells of a message (RFC 3501 section 7.4.2), as far as popbridge asks for it. */

/** What one response told of one message so far; items come in any order, UID may come last. */
export interface FetchRow {
  /** Message-number (RFC 3501 section 2.3.1.2). */
  readonly number: number;
  /** 0 until told. */
  uid: number;
  /** RFC822.SIZE. Undefined where it was not told, or is no size: NIL, negative, or no number. */
  octets: number | undefined;
  /** INTERNALDATE in seconds since 1970, 0 where it makes no sense. */
  arrival: number | undefined;
  /** EMAILID (RFC 8474), or what Gmail calls the message. */
  emailId: string | undefined;
  gmailId: string | undefined;
  /** The text between the parentheses of FLAGS; see hasFlag. Undefined where the row has no FLAGS. */
  flags: string | undefined;
}

/** The row of the message of that number, of which nothing is told yet. */
export function emptyRow(number: number): FetchRow {
  return { number, uid: 0, octets: undefined, arrival: undefined, emailId: undefined, gmailId: undefined, flags: undefined };
}

/** True where the flags of a row hold that one, such as `\Deleted`, in any case. */
export function hasFlag(flags: string | undefined, name: string): boolean {
  return (
    flags !== undefined &&
    flags
      .toLowerCase()
      .split(/[ \t]+/)
      .includes(name.toLowerCase())
  );
}

/** A section of a message, as its response names it: `BODY[HEADER.FIELDS (DATE)]<0>` is HEADER.FIELDS from 0. */
export interface BodySection {
  /** Upper case, without the list of fields; '' is the whole message. */
  readonly name: string;
  /** Where a part of it begins; undefined where the response says it is whole. */
  readonly origin: number | undefined;
}

/** A literal that follows: so many octets, then the row goes on. */
export interface Literal {
  readonly octets: number;
  /** Undefined for an item that nobody asked for. */
  readonly section: BodySection | undefined;
  /** Takes the octets where they are the value of another item than a section. */
  readonly value: Buffer[] | undefined;
}

/** A section that stands within the line: a quoted string, or undefined for NIL. */
export interface InlineBody {
  readonly section: BodySection;
  readonly octets: Buffer | undefined;
}
