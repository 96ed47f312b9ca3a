/** The items of a FETCH command (RFC 3501 section 6.4.5). */
import { type Arguments, SyntaxFault } from './syntax.ts';

const PLAIN_ITEMS = ['UID', 'FLAGS', 'INTERNALDATE', 'RFC822.SIZE', 'ENVELOPE', 'BODY', 'BODYSTRUCTURE'] as const;
type PlainItem = (typeof PLAIN_ITEMS)[number];

export interface SectionItem {
  readonly kind: 'section';
  /** How the answer names it. */
  readonly label: string;
  readonly section: string;
  readonly partial: { readonly offset: number; readonly count: number } | undefined;
  readonly marksSeen: boolean;
}

export type FetchItem = { readonly kind: PlainItem } | SectionItem;

const FAST = ['FLAGS', 'INTERNALDATE', 'RFC822.SIZE'] as const;
const MACROS: Readonly<Record<string, readonly PlainItem[]>> = {
  FAST,
  ALL: [...FAST, 'ENVELOPE'],
  FULL: [...FAST, 'ENVELOPE', 'BODY'],
};
const OLD_SECTIONS: Readonly<Record<string, { readonly section: string; readonly marksSeen: boolean }>> = {
  RFC822: { section: '', marksSeen: true },
  'RFC822.HEADER': { section: 'HEADER', marksSeen: false },
  'RFC822.TEXT': { section: 'TEXT', marksSeen: true },
};

export function parseFetchItems(args: Arguments): FetchItem[] {
  const next = args.peek();
  const macro = next?.kind === 'atom' ? MACROS[next.text.toUpperCase()] : undefined;
  const words = next?.kind === 'list' ? args.atoms() : [args.atom()];
  if (words.length === 0) throw new SyntaxFault('Empty FETCH list');
  return macro === undefined ? words.map(parseItem) : macro.map((kind) => ({ kind }));
}

function parseItem(word: string): FetchItem {
  const name = word.toUpperCase();
  const plain = PLAIN_ITEMS.find((item) => item === name);
  if (plain !== undefined) return { kind: plain };
  const old = OLD_SECTIONS[name];
  return old === undefined ? parseSection(word) : { kind: 'section', label: name, partial: undefined, ...old };
}

function parseSection(word: string): SectionItem {
  const match = /^BODY(\.PEEK)?\[([^\]]*)\](?:<(\d{1,10})\.(\d{1,10})>)?$/i.exec(word);
  if (match === null) throw new SyntaxFault(`Unknown FETCH item ${word}`);
  const [, peek, section = '', offset, count] = match;
  if (Number(count) === 0) throw new SyntaxFault('Empty partial range');
  const isPartial = offset !== undefined;
  return {
    kind: 'section',
    label: `BODY[${section}]${isPartial ? `<${Number(offset)}>` : ''}`,
    section,
    partial: isPartial ? { offset: Number(offset), count: Number(count) } : undefined,
    marksSeen: peek === undefined,
  };
}
