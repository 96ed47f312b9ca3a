/** The folders of an account over imapflow: which there are, whose they are, and what they are for. */
import { isPersonal, isTopLevel } from '../imap/namespaces.ts';
import type { ListedFolder } from '../imap/special-use.ts';
import type { OperationRunner } from './imap-session.ts';
import type { FolderList } from './upstream.ts';

/** Rejects with UpstreamError where the server doesn't tell. */
export async function listFolders(runner: OperationRunner, signal: AbortSignal): Promise<FolderList> {
  const { flow } = runner.client;
  await runner.namespaces(signal);
  const listed = await runner.run(signal, () => flow.list());
  const { personal, other, shared } = flow.namespaces ?? {};
  const namespaces = { personal: prefixes(personal), foreign: [...prefixes(other), ...prefixes(shared)] };
  const folders = listed.map((folder): ListedFolder => {
    const mine = isPersonal(folder.path, namespaces);
    const named = isTopLevel(folder, namespaces) ? [folder.specialUse ?? ''] : [];
    return {
      path: folder.path,
      delimiter: folder.delimiter ?? '',
      isSelectable: !folder.flags.has('\\Noselect') && !folder.flags.has('\\NonExistent'),
      isPersonal: mine,
      role: mine ? roleIn(folder.flags) : undefined,
      namedRole: roleIn(new Set(named)),
      specialUses: new Set([...folder.flags, ...named]),
    };
  });
  return { folders, prefix: flow.namespace?.prefix ?? '' };
}

function prefixes(namespaces: readonly { readonly prefix: string }[] | false | undefined): string[] {
  return (namespaces || []).map(({ prefix }) => prefix);
}

function roleIn(flags: ReadonlySet<string | undefined>): ListedFolder['role'] {
  if (flags.has('\\Trash')) return 'trash';
  return flags.has('\\Archive') ? 'archive' : undefined;
}
