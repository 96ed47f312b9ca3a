/** Messages that went, as JSON: there are few, and they are read only when others come. Pure. */
import type { GoneMessage } from './store.ts';

export function encodeGone(messages: readonly GoneMessage[]): string {
  return JSON.stringify(messages.map(({ formula, idUid, identity = '', arrival, octets }) => [formula, idUid, identity, arrival, octets]));
}

/** Leaves out what makes no sense: it can't be recognised then. */
export function decodeGone(text: string): GoneMessage[] {
  const rows = parsed(text);
  if (!Array.isArray(rows)) return [];
  return rows.flatMap((row: unknown): GoneMessage[] => {
    if (!Array.isArray(row)) return [];
    const [formula, idUid, identity, arrival, octets] = row.map((value: unknown) => value);
    if (typeof formula !== 'string' || typeof idUid !== 'number' || typeof identity !== 'string') return [];
    return typeof arrival === 'number' && typeof octets === 'number'
      ? [{ formula, idUid, identity: identity || undefined, arrival, octets }]
      : [];
  });
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
