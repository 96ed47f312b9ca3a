/** The work as the quickest of IMAP clients would do it: the floor below every bridge. */
import { PASSWORD } from './pop-work.ts';
import { readRaw } from './raw-reader.ts';
import type { Outcome, Work } from './work.ts';

const LIST = 'FETCH 1:* (UID RFC822.SIZE)';
const BODIES = 'UID FETCH 1:* BODY.PEEK[]';
const HEADERS = 'UID FETCH 1:* BODY.PEEK[HEADER]';
const REMOVE = ['UID STORE 1:* +FLAGS.SILENT (\\Deleted)', 'UID EXPUNGE 1:*'];

/** Does it through the IMAP server on this port. */
export async function rawWork(port: number, tls: boolean, work: Work): Promise<Outcome> {
  const read = (user: string, ...commands: string[]): Promise<number> => readRaw({ port, tls, user, password: PASSWORD }, commands);
  switch (work.do) {
    case 'poll':
      await read(work.user, LIST);
      return {};
    case 'storm':
      await Promise.all(
        work.users.map(async (user) => {
          for (let turn = 0; turn < work.turns; turn += 1) await read(user, LIST);
        }),
      );
      return {};
    case 'headers':
      await read(work.user, LIST, HEADERS);
      return {};
    case 'drain':
    case 'drain and delete': {
      const octets = await read(work.user, LIST, BODIES, ...(work.do === 'drain' ? [] : REMOVE));
      if (octets < work.octets) throw new Error(`${octets} of ${work.octets} octets`);
      return {};
    }
  }
}
