/** What NAMESPACE answers (RFC 2342 section 5): `* NAMESPACE (("" "/")) NIL (("Public/" "/"))`. Pure. */

/** The prefix of a namespace, its delimiter at the end, and that delimiter; null where the namespace is flat. */
export interface Namespace {
  readonly prefix: string;
  readonly delimiter: string | null;
}

export interface NamespaceResponse {
  readonly personal: readonly Namespace[];
  readonly other: readonly Namespace[];
  readonly shared: readonly Namespace[];
}

const NAMESPACE = /^\* +NAMESPACE +/i;
const TOKEN = /\s*(?:([()])|"((?:[^"\\]|\\.)*)"|([^\s()"]+))/gy;

/** Undefined where the line is no such answer. */
export function namespacesIn(line: string): NamespaceResponse | undefined {
  const start = NAMESPACE.exec(line);
  if (start === null) return undefined;
  const groups: Namespace[][] = [];
  let depth = 0;
  let strings: (string | null)[] = [];
  for (const [, parenthesis, quoted, atom] of line.slice(start[0].length).matchAll(TOKEN)) {
    if (parenthesis === '(') depth += 1;
    if (parenthesis === '(' && depth === 1) groups.push([]);
    if (parenthesis === '(' && depth === 2) strings = [];
    if (parenthesis === ')' && depth === 2) for (const one of namespaceOf(strings)) groups.at(-1)?.push(one);
    if (parenthesis === ')') depth -= 1;
    // Deeper ones are extensions.
    if (depth === 2 && quoted !== undefined) strings.push(quoted.replace(/\\(.)/g, '$1'));
    if (depth === 2 && atom !== undefined) strings.push(null);
    if (depth === 0 && atom !== undefined) groups.push([]);
  }
  const [personal = [], other = [], shared = []] = groups;
  return { personal, other, shared };
}

function namespaceOf([prefix, delimiter = null]: readonly (string | null)[]): Namespace[] {
  if (typeof prefix !== 'string') return [];
  const isOpen = delimiter !== null && prefix !== '' && !prefix.endsWith(delimiter);
  return [{ prefix: isOpen ? prefix + delimiter : prefix, delimiter }];
}
