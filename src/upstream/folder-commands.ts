/**
 * The folders of an account: which there are, whose they are, what they are for, and how each is opened. A folder is opened by the octets under
 * which the server lists it. To be used while nothing else runs on the connection.
 */
import { UpstreamError } from '../errors.ts';
import { listedName, type ListedName } from '../imap/list-response.ts';
import { quotedName } from '../imap/mailbox-name.ts';
import { namespacesIn, type NamespaceResponse } from '../imap/namespace-response.ts';
import { isPersonal, isTopLevel, type Namespaces } from '../imap/namespaces.ts';
import type { SelectAnswer } from '../imap/select-answer.ts';
import { isSameMailbox } from '../maildrop/folder-name.ts';
import type { ListedFolder } from '../imap/special-use.ts';
import type { AccountMemory } from './account-memory.ts';
import { foldersByPath } from './folder-paths.ts';
import { rolesByName } from './imapflow-client.ts';
import { refusal, type Pipeline } from './pipeline.ts';
import type { FolderList } from './upstream.ts';

/** An account with more folders is not listed. */
const MAX_FOLDERS = 100_000;
/** Attributes of RFC 3501 and RFC 5258 that say that a folder cannot be opened. */
const NOT_SELECTABLE: ReadonlySet<string> = new Set(['\\noselect', '\\nonexistent']);
/** What Gmail's old XLIST calls what RFC 6154 calls otherwise. */
const XLIST_NAMES: ReadonlyMap<string, string> = new Map([
  ['\\allmail', '\\All'],
  ['\\spam', '\\Junk'],
]);

/** What the server announces. */
interface Capabilities {
  has(capability: string): boolean;
}

export class FolderCommands {
  readonly #pipeline: Pipeline;
  readonly #server: Capabilities;
  readonly #memory: AccountMemory;
  #namespaces: Promise<NamespaceResponse> | undefined;

  constructor(pipeline: Pipeline, server: Capabilities, memory: AccountMemory) {
    this.#pipeline = pipeline;
    this.#server = server;
    this.#memory = memory;
  }

  /** Sends SELECT; resolves with the text of the answer. Rejects with UpstreamError, `missing` where there is no such folder. */
  async select(path: string, answer: SelectAnswer): Promise<string> {
    const { status, text } = await this.#pipeline.ask(`SELECT ${this.named(path)}`, { untagged: (line) => answer.take(line) });
    if (status === 'OK') return text;
    const failure = refusal(status, text);
    const isGone = status === 'NO' && mayMeanGone(failure, text) && !(await this.#canBeOpened(path));
    throw isGone ? new UpstreamError('missing', failure.message, { cause: failure }) : failure;
  }

  /**
   * Where a folder may be that is not there under its path as given: below the prefix of the user's own folders. Undefined where that is where it
   * was looked for, or the failure was another one.
   */
  async elsewhere(path: string, failure: unknown): Promise<string | undefined> {
    if (!(failure instanceof UpstreamError) || failure.kind !== 'missing' || path === 'INBOX') return undefined;
    const prefixed = prefixedPath(path, await this.#learnNamespaces());
    return prefixed === path ? undefined : prefixed;
  }

  /** Rejects with UpstreamError where the server does not tell. */
  async list(): Promise<FolderList> {
    const namespaces = await this.#learnNamespaces();
    const isOld = this.#server.has('XLIST') && !this.#server.has('SPECIAL-USE');
    const listed = await this.#listed(`${isOld ? 'XLIST' : 'LIST'} "" "*"`);
    const prefixes = { personal: prefixesOf(namespaces.personal), foreign: prefixesOf([...namespaces.other, ...namespaces.shared]) };
    const byPath = foldersByPath(listed, isSelectable);
    for (const [path, { octets }] of byPath) this.#memory.learnName(path, octets);
    const folders = [...byPath].map(([path, name]) => folderOf(path, name, prefixes));
    const given = new Set<string>();
    for (const { isPersonal: isMine, specialUses } of folders) if (isMine) for (const use of specialUses) given.add(use);
    const byName = rolesByName(
      folders.filter((folder) => isTopLevel(folder, prefixes)),
      given,
    );
    const withRoles = folders.map((folder) => inRole(folder, byName.get(folder.path)));
    return { folders: withRoles, prefix: namespaces.personal[0]?.prefix ?? '' };
  }

  /** Creates a folder, and subscribes to it, which other clients need to show it; gives its path. It may be there already. */
  async create(path: string): Promise<string> {
    const prefixed = prefixedPath(path, await this.#learnNamespaces());
    const { status, text } = await this.#pipeline.ask(`CREATE ${this.named(prefixed)}`, {});
    if (status !== 'OK' && !/^\[ALREADYEXISTS\]/i.test(text)) throw refusal(status, text);
    await this.#pipeline.ask(`SUBSCRIBE ${this.named(prefixed)}`, {});
    return prefixed;
  }

  /** The name of a folder as it stands in a command. Throws UpstreamError `missing` where no folder can be called so. */
  named(path: string): string {
    const name = quotedName(this.#memory.octetsOf(path));
    if (name === undefined) throw new UpstreamError('missing', `${JSON.stringify(path)} cannot be the name of a folder`);
    return name;
  }

  async #canBeOpened(path: string): Promise<boolean> {
    const octets = this.#memory.octetsOf(path);
    const listed = await this.#listed(`LIST "" ${this.named(path)}`);
    return listed.some((one) => isSameMailbox(one.octets, octets) && isSelectable(one));
  }

  async #listed(command: string): Promise<ListedName[]> {
    const listed: ListedName[] = [];
    const untagged = (line: Buffer): boolean => {
      const name = listedName(line);
      if (name === undefined) return false;
      if (listed.length >= MAX_FOLDERS) throw new UpstreamError('unsupported', `the server lists more than ${MAX_FOLDERS} folders`);
      listed.push(name);
      return true;
    };
    await this.#pipeline.command(command, { untagged });
    return listed;
  }

  #learnNamespaces(): Promise<NamespaceResponse> {
    this.#namespaces ??= this.#askNamespaces().catch((error: unknown) => {
      this.#namespaces = undefined;
      throw error;
    });
    return this.#namespaces;
  }

  async #askNamespaces(): Promise<NamespaceResponse> {
    let found: NamespaceResponse | undefined;
    const untagged = (line: Buffer): boolean => {
      const namespaces = namespacesIn(line.toString('latin1'));
      found ??= namespaces;
      return namespaces !== undefined;
    };
    if (this.#server.has('NAMESPACE')) await this.#pipeline.ask('NAMESPACE', { untagged });
    return found ?? { personal: [], other: [], shared: [] };
  }
}

/** Many servers do not say why they refuse SELECT; CANNOT (RFC 5530) says that it will never succeed. */
function mayMeanGone({ kind }: UpstreamError, text: string): boolean {
  return /^\[CANNOT\]/i.test(text) || (kind === 'refused' && !text.startsWith('['));
}

function isSelectable({ attributes }: Pick<ListedName, 'attributes'>): boolean {
  return !attributes.some((attribute) => NOT_SELECTABLE.has(attribute.toLowerCase()));
}

function folderOf(path: string, { attributes, delimiter }: ListedName, namespaces: Namespaces): ListedFolder {
  const uses = new Set(attributes.map((attribute) => XLIST_NAMES.get(attribute.toLowerCase()) ?? attribute));
  return {
    path,
    delimiter,
    isSelectable: isSelectable({ attributes }),
    isPersonal: isPersonal(path, namespaces),
    role: undefined,
    namedRole: undefined,
    specialUses: uses,
  };
}

/** `named`: the special use that the folder's name suggests. */
function inRole(folder: ListedFolder, named: string | undefined): ListedFolder {
  return {
    ...folder,
    role: folder.isPersonal ? roleIn(folder.specialUses) : undefined,
    namedRole: named === undefined ? undefined : roleIn(new Set([named])),
    specialUses: named === undefined ? folder.specialUses : new Set([...folder.specialUses, named]),
  };
}

function prefixesOf(namespaces: readonly { readonly prefix: string }[]): string[] {
  return namespaces.map(({ prefix }) => prefix);
}

/** A path outside all namespaces is one within the user's own. */
function prefixedPath(path: string, { personal, other, shared }: NamespaceResponse): string {
  const prefix = personal[0]?.prefix ?? '';
  const isWithin = [...personal, ...other, ...shared].some((one) => one.prefix !== '' && path.startsWith(one.prefix));
  return prefix === '' || isWithin || path.toUpperCase() === 'INBOX' ? path : prefix + path;
}

function roleIn(uses: ReadonlySet<string>): ListedFolder['role'] {
  const lower = new Set([...uses].map((use) => use.toLowerCase()));
  if (lower.has('\\trash')) return 'trash';
  return lower.has('\\archive') ? 'archive' : undefined;
}
