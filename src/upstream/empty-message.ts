/** Whether a message is truly empty: hardly any server has such messages, and many give nothing of a message that they cannot read. */
import { isRefusal } from '../errors.ts';
import type { FetchRow } from '../imap/fetch-row.ts';
import type { Uid } from '../maildrop/numbers.ts';
import type { MailboxRunner } from './imap-session.ts';

/** True only where size, body and header each say so, when they are asked for one by one. */
export async function isReallyEmptyMessage(runner: MailboxRunner, uid: Uid, signal: AbortSignal): Promise<boolean> {
  let size: number | undefined;
  const row = (told: FetchRow): boolean => {
    if (told.uid !== uid || told.octets === undefined) return false;
    size = told.octets;
    return true;
  };
  await runner.command(`UID FETCH ${uid} (UID RFC822.SIZE)`, signal, { row });
  if (size !== 0) return false;
  for (const section of ['', 'HEADER']) if ((await octetsOf(runner, uid, section, signal)) !== 0) return false;
  return true;
}

/** Undefined where the server gives no such section. */
async function octetsOf(runner: MailboxRunner, uid: Uid, section: string, signal: AbortSignal): Promise<number | undefined> {
  let octets: number | undefined;
  const collector = {
    body: (row: FetchRow, { name }: { readonly name: string }, length: number | undefined) => {
      if (row.uid === uid && name === section) octets = length;
      return undefined;
    },
    row: (row: FetchRow) => row.uid === uid,
  };
  try {
    await runner.command(`UID FETCH ${uid} (UID BODY.PEEK[${section}])`, signal, collector);
  } catch (error) {
    if (!isRefusal(error)) throw error;
    return undefined;
  }
  return octets;
}
