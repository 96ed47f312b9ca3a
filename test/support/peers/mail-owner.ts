/** Whom the mail of the servers in the tests belongs to. */
import { readFile } from 'node:fs/promises';
import { userInfo } from 'node:os';
import { isRoot } from './locate.ts';

/** A user of this machine with its group. */
export interface Owner {
  readonly user: string;
  readonly group: string;
  readonly uid: number;
  readonly gid: number;
}

/** Under which servers keep mail: they refuse to as root, and Debian's base system has a user `mail`. */
export async function mailOwner(): Promise<Owner> {
  const users = table(await readFile('/etc/passwd', 'utf8'));
  const groups = table(await readFile('/etc/group', 'utf8'));
  const name = isRoot ? 'mail' : userInfo().username;
  const entry = users.find(([user]) => user === name);
  const group = groups.find(([, , gid]) => gid === entry?.[3]);
  if (entry === undefined || group === undefined) throw new Error(`no user ${name} with a group in /etc/passwd and /etc/group`);
  return { user: name, group: group[0] ?? '', uid: Number(entry[2]), gid: Number(entry[3]) };
}

function table(text: string): readonly (readonly string[])[] {
  return text.split('\n').map((line) => line.split(':'));
}
