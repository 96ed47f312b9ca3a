/** What other commands may ask of the UID map, by name: over the control socket, or where no daemon runs directly. */
import { z } from 'zod';
import type { ControlRequests } from './control-socket.ts';
import type { MaildropAdmin } from './maildrop-admin.ts';
import { importIds, type ImportParts } from './maildrop-import.ts';

const target = z.object({ user: z.string(), upstream: z.string().optional() });
const identity = z.object({ given: z.string(), messageId: z.string().optional() });
const moment = z.int().min(0).max(0xffff_ffff);
const imported = z.object({
  uniqueId: z.string().regex(/^[\x21-\x7e]{1,255}$/),
  identity,
  arrival: z.number(),
  octets: z.number(),
  isMeasured: z.boolean(),
  place: z.object({ server: z.string(), path: z.string(), uidValidity: z.number(), uid: z.number() }).optional(),
  state: z.object({ retrievedAt: moment, deletedAt: moment, dueAt: moment }).optional(),
});
const importRequest = target.extend({ password: z.string(), dryRun: z.boolean(), known: z.array(imported) });

/** Requests throw BridgeError, and ZodError where their parameters make no sense. */
export function maildropRequests(admin: MaildropAdmin, parts: ImportParts): ControlRequests {
  return {
    'maildrop-list': () => admin.list(),
    'size-verdict': (params) => parts.store.sizeVerdict(z.object({ upstream: z.string() }).parse(params).upstream),
    'maildrop-contents': (params) => admin.contents(target.parse(params)),
    'maildrop-explain': (params) => {
      const { uniqueId, ...whose } = target.extend({ uniqueId: z.string() }).parse(params);
      return admin.explain(whose, uniqueId);
    },
    'maildrop-undelete': (params) => {
      const { uniqueIds, ...whose } = target.extend({ uniqueIds: z.array(z.string()) }).parse(params);
      return admin.undelete(whose, uniqueIds);
    },
    'maildrop-import': (params, progress) => {
      const { known, ...request } = importRequest.parse(params);
      return importIds(
        parts,
        {
          ...request,
          known: known.map(({ uniqueId, arrival, octets, isMeasured, place, state, identity: { given, messageId } }) => {
            return { uniqueId, arrival, octets, isMeasured, place, state, identity: { given, messageId } };
          }),
        },
        progress,
      );
    },
  };
}
