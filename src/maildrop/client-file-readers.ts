/** One reader for each format of clients' files. What a line may be was taken from the sources of the programs, named with each. */
import { Accounts, shownText, type ClientFileReader } from './client-file-lines.ts';

interface Account {
  readonly server: string;
  readonly user: string;
}

const noEnd = (): undefined => undefined;

const POPSTATE_LINE = 'a line is STATUS UNIQUE-ID SECONDS, with a status of k, d, b or f';

/**
 * Thunderbird's popstate.dat, as `_writeUidlState` of mailnews/local/src/Pop3Client.sys.mjs and, before 2021, `net_pop3_write_state`
 * of nsPop3Protocol.cpp write it: `*HOST USER`, then `STATUS UNIQUE-ID SECONDS`; the oldest files have no seconds.
 *
 * All four statuses mean that the client knows the message: k (kept), d (to be deleted on the server at the next poll: under another id
 * it would come back), b (it has the header, the message was too big), f (of such a one it wants the body, by this id).
 */
export function popstateReader(): ClientFileReader {
  const accounts = new Accounts();
  let account: Account | undefined;
  return {
    accounts,
    line(text) {
      if (text === '' || text.startsWith('#')) return undefined;
      if (text.startsWith('*')) {
        // A user name may hold blanks, as it may with Thunderbird.
        const [, server, user] = /^\*([^ \t]+)[ \t]+([^\t]*[^ \t])[ \t]*$/.exec(text) ?? [];
        if (server === undefined || user === undefined) return `${shownText(text)} names no account; such a line is *HOST USER`;
        account = { server, user };
        accounts.add(server, user);
        return undefined;
      }
      if (account === undefined) return `${shownText(text)} stands before any account; a line *HOST USER comes first`;
      const [, status, uniqueId = ''] = /^([kdbf])[ \t]+([^ \t]+)(?:[ \t]+-?\d+)?[ \t]*$/.exec(text) ?? [];
      if (status === undefined) return `${shownText(text)} is damaged; ${POPSTATE_LINE}`;
      return accounts.addId(account.server, account.user, uniqueId);
    },
    end: noEnd,
  };
}

/**
 * fetchmail's .fetchids, as `write_saved_lists` of uid.c (6.3, 6.4) writes it: `USER@HOST UNIQUE-ID`. Nothing is escaped; as in
 * `initialize_saved_lists` the name ends at the first blank after the first "@", and its last "@" stands before the host. So a user
 * name may hold "@", and blanks before the first one.
 */
export function fetchidsReader(): ClientFileReader {
  const accounts = new Accounts();
  return {
    accounts,
    line(text) {
      if (/^[ \t]*$/.test(text)) return undefined;
      const [, name = '', uniqueId] = /^[ \t]*([^@]*@[^ ]*?)[ \t]* +([^ \t]+)[ \t]*$/.exec(text) ?? [];
      const at = name.lastIndexOf('@');
      if (uniqueId === undefined || at < 1 || at === name.length - 1) return `${shownText(text)} is damaged; a line is USER@HOST UNIQUE-ID`;
      return accounts.addId(name.slice(at + 1), name.slice(0, at), uniqueId);
    },
    end: noEnd,
  };
}

/**
 * getmail's oldmail files, as `write_oldmailfile` of getmailcore/_retrieverbases.py (getmail6 6.18) writes them: the id, an octet 0,
 * the time in seconds.
 */
export function oldmailReader(): ClientFileReader {
  const accounts = new Accounts();
  return {
    accounts,
    line(text) {
      if (text === '') return undefined;
      const [, uniqueId] = /^([^\0]*)\0-?\d+[ \t]*$/.exec(text.replace(/^[ \t]+/, '')) ?? [];
      if (uniqueId === undefined) return `${shownText(text)} is damaged; a line is UNIQUE-ID, an octet 0 and SECONDS`;
      return accounts.addId(undefined, undefined, uniqueId);
    },
    end: noEnd,
  };
}

/**
 * mpop's uidls_file, as `uidls_write` of src/uidls.c writes it: comments, then for each account ` COUNT HOST USER` and so many
 * lines of one id each. Nothing is escaped: mpop 1.4.18 was seen to write a user name with a blank as it is. After the first line that is no comment none is, for an id may begin with "#".
 */
export function mpopReader(): ClientFileReader {
  const accounts = new Accounts();
  let account: Account | undefined;
  let missing = 0;
  let mayComment = true;
  const tooFew = (): string =>
    `${missing} more unique-ids of ${shownText(account?.user ?? '')} at ${shownText(account?.server ?? '')} should follow; the file was cut or edited`;
  return {
    accounts,
    line(text) {
      if (mayComment && text.startsWith('#')) return undefined;
      mayComment = false;
      if (missing > 0 && account !== undefined) {
        if (text.startsWith(' ')) return `${shownText(text)} comes too early: ${tooFew()}`;
        missing -= 1;
        return accounts.addId(account.server, account.user, text);
      }
      const [, count = '', server, user] = /^ (\d{1,9}) ([^ ]+) ([^ ].*)$/.exec(text) ?? [];
      if (server === undefined || user === undefined || Number(count) === 0) {
        return `${shownText(text)} begins no list; such a line is a blank, then COUNT HOST USER, and so many unique-ids follow`;
      }
      account = { server, user };
      missing = Number(count);
      accounts.add(server, user);
      return undefined;
    },
    end: () => (missing > 0 ? tooFew() : undefined),
  };
}
