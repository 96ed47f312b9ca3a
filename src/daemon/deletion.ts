/**
 * What a client's deletion means (CONTRACT sections 4 and 5.2): removed upstream at once, or hidden and removed when it is due, when
 * every view has deleted it, or never.
 */
import type { DeletionConfig, ViewConfig } from '../config/schema.ts';
import { matchesFolder, unescapedName } from '../maildrop/folder-name.ts';
import type { Uid } from '../maildrop/numbers.ts';
import { deletedIn, knownMessage, NEVER_DUE, type KnownMessage, type UidMap } from '../maildrop/uid-map.ts';
import type { MailboxKey, Store } from '../store/store.ts';
import type { DeletePolicy } from '../upstream/upstream.ts';

/** How a message that a client deleted now is hidden first; undefined where it is removed at once. Seconds since 1970. */
export function hiddenUntil({ action, afterSeconds, when }: DeletionConfig, now: number): number | undefined {
  if (action === 'hide') return NEVER_DUE;
  return afterSeconds > 0 || when === 'all-views' ? now + afterSeconds : undefined;
}

/** What is done upstream; undefined where nothing ever is. */
export function upstreamPolicy({ action, folder }: DeletionConfig): DeletePolicy | undefined {
  return action === 'hide' ? undefined : { action, folder };
}

export interface DueRequest {
  readonly store: Store;
  readonly key: MailboxKey;
  readonly map: UidMap;
  readonly deletion: DeletionConfig;
  readonly views: ReadonlyMap<string, ViewConfig>;
  /** Seconds since 1970. */
  readonly now: number;
}

/** Messages of the mailbox that were deleted and are now to be removed upstream, ascending by UID. */
export async function dueMessages({ store, key, map, deletion, views, now }: DueRequest): Promise<Uid[]> {
  if (deletion.action === 'hide') return [];
  const due = deletedIn(map).filter((message) => isDue(message, now));
  if (deletion.when === 'any-view' || due.length === 0) return due.map(({ uid }) => uid);
  const others: UidMap[] = [];
  for (const [view, { maildrop }] of views) {
    if (view === '' || view === key.maildrop.view || !showsFolder(maildrop.folders, key.path)) continue;
    const other = await store.loadMap({ ...key, maildrop: { ...key.maildrop, view } });
    // A view that never saw the mailbox as it is now has deleted nothing in it.
    if (other?.uidValidity !== map.uidValidity || other.server !== map.server) return [];
    others.push(other);
  }
  return due.filter((message) => others.every((other) => isDone(message, knownMessage(other, message.uid), now))).map(({ uid }) => uid);
}

function isDue({ state: { deletedAt, dueAt } }: KnownMessage, now: number): boolean {
  return deletedAt > 0 && dueAt <= now;
}

/** In another view, which may have known another message under the UID: hidden there for ever is deleted too. */
function isDone(own: KnownMessage, message: KnownMessage | undefined, now: number): boolean {
  if (message?.arrival !== own.arrival || message.declaredOctets !== own.declaredOctets) return false;
  return message.state.deletedAt > 0 && (message.state.dueAt === NEVER_DUE || message.state.dueAt <= now);
}

/** In doubt yes: what another view may still show is not removed. A text may be the folder's name as it is written, without escapes, or a pattern. */
function showsFolder(texts: readonly string[], path: string): boolean {
  return texts.some((text) => endsInName(path, text) || endsInName(path, unescapedName(text)) || matchesFolder(text, path, ''));
}

/** Behind a prefix of the server's, perhaps. */
function endsInName(path: string, name: string): boolean {
  return path.toLowerCase().endsWith(name.toLowerCase());
}
