/** How the unique-ids of a mailbox are made, and whether a map could be made again from that alone. */
import { createHash } from 'node:crypto';
import type { UidMap } from '../maildrop/uid-map.ts';
import type { UidValidity } from '../maildrop/numbers.ts';
import { applyTemplate, tellsFolders, type MailboxNames, type UniqueIdTemplate } from '../maildrop/unique-id.ts';

/** What a mailbox puts into the unique-ids of its messages. */
export function namesOf(path: string, uidValidity: UidValidity): MailboxNames {
  return { folderTag: folderTag(path), uidValidity };
}

/** The octets that name a mailbox in unique-ids: the first 32 bits of the SHA-256 of its path. */
export function folderTag(path: string): number {
  return createHash('sha256').update(path).digest().readUInt32BE(0);
}

/** All that a mailbox's unique-ids follow from. Where the folder does not stand in them, another folder could get the same ones. */
export function derivationText(template: UniqueIdTemplate, path: string): string {
  return tellsFolders(template) ? template.text : `${template.text} in ${path}`;
}

/** What `derivationText` says where a map made anew from it would show the same as this one; undefined where something would be lost. */
export function templateFor(map: UidMap, path: string, template: UniqueIdTemplate): string | undefined {
  const formula = applyTemplate(template, namesOf(path, map.uidValidity));
  for (const { uids, idUids, formulas, states } of map.segments.values()) {
    if (idUids !== uids || formulas[0] !== formula || states?.deletedAt.some((at) => at > 0) === true) return undefined;
  }
  return derivationText(template, path);
}
