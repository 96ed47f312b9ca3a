/** One line of LIST (RFC 3501 section 7.2.2): `* LIST (\HasNoChildren) "/" "Sent"`, whose name may be an atom, a string or a literal. Pure. */

export interface ListedName {
  readonly attributes: readonly string[];
  /** Between the levels of the hierarchy; '' where there are none. */
  readonly delimiter: string;
  /** The name as the server has it, as latin1. */
  readonly octets: string;
}

const START = /^\* +X?LIST +\(([^()]*)\) +(?:"((?:[^"\\]|\\.)?)"|NIL) +/is;
const QUOTED = /^"((?:[^"\\]|\\[^])*)"(?=[ \r\n]|$)/;
const LITERAL = /^~?\{(\d{1,8})\+?\}\r?\n/;

/** Undefined where the response is none of LIST, or cannot be read. */
export function listedName(response: Buffer): ListedName | undefined {
  const text = response.toString('latin1');
  const start = START.exec(text);
  if (start === null) return undefined;
  const [all, attributes = '', delimiter = ''] = start;
  const octets = nameIn(text.slice(all.length));
  if (octets === '') return undefined;
  return { attributes: attributes.split(/ +/).filter((one) => one !== ''), delimiter: unescaped(delimiter), octets };
}

function nameIn(rest: string): string {
  const literal = LITERAL.exec(rest);
  if (literal !== null) return rest.slice(literal[0].length, literal[0].length + Number(literal[1]));
  const quoted = QUOTED.exec(rest)?.[1];
  if (quoted !== undefined) return unescaped(quoted);
  // Quotes within the name that nobody escaped.
  if (rest.startsWith('"')) return rest.trimEnd().replace(/^"(.*)"$/s, '$1');
  return /^[^ \r\n]+/.exec(rest)?.[0] ?? '';
}

function unescaped(text: string): string {
  return text.replace(/\\([^])/g, '$1');
}
