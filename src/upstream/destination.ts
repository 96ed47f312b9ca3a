/** The folder that takes what is deleted, resolved on the server only when something is to be deleted. */
import { UpstreamError } from '../errors.ts';
import { isSameMailbox } from '../maildrop/folder-name.ts';
import { chooseFolder, namedFolder, type ChosenFolder, type ListedFolder } from '../imap/special-use.ts';
import type { DeletePolicy, FolderList } from './upstream.ts';

/** What finds, or makes, the folder that takes what is deleted. */
export interface FolderFinder {
  readonly path: string;
  folders(signal: AbortSignal): Promise<FolderList>;
  /** Creates and subscribes; gives the path as the server has it. */
  createFolder(path: string, signal: AbortSignal): Promise<string>;
}

/** Undefined when the action moves nothing. Throws `missing` where the folder must exist and doesn't. */
export async function destinationFolder(commands: FolderFinder, policy: DeletePolicy, signal: AbortSignal): Promise<string | undefined> {
  if (policy.action === 'expunge' || policy.action === 'flag') return undefined;
  const chosen = await expectedDestination(commands, policy, signal);
  if ([commands.path, ...(policy.shown ?? [])].some((path) => isSameMailbox(chosen.path, path))) {
    throw new UpstreamError('missing', `deleted messages would go to ${chosen.path}, which is a folder that clients see`);
  }
  return chosen.mustBeCreated ? commands.createFolder(chosen.path, signal) : chosen.path;
}

/** Where deleted messages would go; nothing is created. */
export async function expectedDestination(commands: FolderFinder, policy: DeletePolicy, signal: AbortSignal): Promise<ChosenFolder> {
  const { folders, prefix } = await commands.folders(signal);
  return choose(folders, policy, prefix);
}

function choose(folders: readonly ListedFolder[], policy: DeletePolicy, prefix: string): ChosenFolder {
  if (policy.action === 'trash' || policy.action === 'archive') return chooseFolder(folders, policy.action, policy.folder, prefix);
  const given = namedFolder(folders, policy.folder ?? '');
  const chosen = given.mustBeCreated && prefix !== '' ? namedFolder(folders, prefix + given.path) : given;
  if (chosen.mustBeCreated) throw new UpstreamError('missing', `delete.folder ${policy.folder} does not exist on the server`);
  return chosen;
}
