/** Reads back what `popbridge maildrop export` wrote. Pure. */
import { z } from 'zod';
import { NEVER_DUE, UNTOUCHED } from '../maildrop/uid-map.ts';
import type { ImportedId } from '../daemon/maildrop-import.ts';

const time = z.iso.datetime().nullable();
const head = z.object({ popbridge: z.literal('unique-ids'), version: z.literal(1) });
const row = z.object({
  uniqueId: z.string().regex(/^[\x21-\x7e]{1,255}$/),
  server: z.string().default(''),
  folder: z.string(),
  uidValidity: z.int(),
  uid: z.int(),
  octets: z.number(),
  arrived: time,
  serverIdentity: z.string(),
  messageId: z.string().nullable(),
  retrieved: time,
  deleted: time,
  due: z.union([time, z.literal('never')]),
});
const gone = z.object({ gone: z.string() });

/** The ids of an export, or the line that is wrong. Messages that were gone when it was made are passed over. */
export function parseExport(text: string): { readonly ids: readonly ImportedId[] } | { readonly problem: string } {
  const ids: ImportedId[] = [];
  for (const [index, line] of text.split('\n').entries()) {
    if (line === '' && index > 0) continue;
    const value = parsed(line);
    if (index === 0 && !head.safeParse(value).success) return { problem: 'line 1: is no export of popbridge, or one of a newer version' };
    if (index === 0 || gone.safeParse(value).success) continue;
    const found = row.safeParse(value);
    if (!found.success)
      return { problem: `line ${index + 1}: is no message of an export; ${z.prettifyError(found.error).split('\n')[0] ?? ''}` };
    ids.push(importedId(found.data));
  }
  return { ids };
}

function importedId({ uniqueId, server, folder, uidValidity, uid, octets, arrived, ...data }: z.output<typeof row>): ImportedId {
  return {
    uniqueId,
    place: { server, path: folder, uidValidity, uid },
    octets,
    arrival: seconds(arrived),
    identity: { given: data.serverIdentity, messageId: data.messageId ?? undefined },
    isMeasured: true,
    state: {
      ...UNTOUCHED,
      retrievedAt: seconds(data.retrieved),
      deletedAt: seconds(data.deleted),
      dueAt: data.due === 'never' ? NEVER_DUE : seconds(data.due),
    },
  };
}

function parsed(line: string): unknown {
  try {
    return JSON.parse(line);
  } catch {
    return undefined;
  }
}

function seconds(moment: string | null): number {
  return moment === null ? 0 : Math.floor(Date.parse(moment) / 1000);
}
