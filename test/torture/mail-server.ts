/** The server that is tortured with the daemon: what the driver does to its mailboxes, and sees of them, behind the daemon's back. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { ImapServer } from '../support/imap-server.ts';
import { Dovecot } from '../support/peers/dovecot.ts';
import type { Found } from './ledger.ts';

/** What DELE and QUIT do upstream. */
export type Action = 'expunge' | 'trash';

export interface MailServer extends AsyncDisposable {
  readonly imapPort: number;
  deliver(user: string, mails: readonly Buffer[]): Promise<void>;
  /** UIDVALIDITY changes, and every UID. */
  renumber(user: string): Promise<void>;
  /** Another client of the server removes a mail, flags it as deleted, or takes the flag off again. */
  actAsAnother(user: string, name: string, what: 'remove' | 'flag' | 'unflag'): Promise<void>;
  found(user: string, action: Action): Found;
  /** What it says of itself. */
  log(): Promise<string>;
}

/** The header line that names a mail. */
const NAME = /^X-Torture: (\S+)/m;

/** The name that a mail's header gives it; undefined where there is none. */
export function nameOf(octets: Buffer | string): string | undefined {
  return NAME.exec(octets.toString('latin1'))?.[1];
}

/** A real Dovecot; its mailboxes are looked at as files. */
export class DovecotServer implements MailServer {
  readonly #dovecot: Dovecot;

  private constructor(dovecot: Dovecot) {
    this.#dovecot = dovecot;
  }

  static async start(users: Readonly<Record<string, string>>): Promise<DovecotServer> {
    return new DovecotServer(await Dovecot.start({ users, pop3: false }));
  }

  get imapPort(): number {
    return this.#dovecot.ports.imap;
  }

  deliver(user: string, mails: readonly Buffer[]): Promise<void> {
    return this.#dovecot.deliver(user, mails);
  }

  renumber(user: string): Promise<void> {
    return this.#dovecot.uidValidityReset(user);
  }

  async actAsAnother(user: string, name: string, what: 'remove' | 'flag' | 'unflag'): Promise<void> {
    await using imap = await this.#dovecot.imap(user);
    await imap.command('SELECT INBOX');
    const uid = /^\* SEARCH (\d+)/m.exec(await imap.command(`UID SEARCH HEADER X-Torture ${name}`))?.[1];
    if (uid === undefined) throw new Error(`${name} is not in the mailbox`);
    await imap.command(`UID STORE ${uid} ${what === 'unflag' ? '-' : '+'}FLAGS.SILENT (\\Deleted)`);
    if (what === 'remove') await imap.command(`UID EXPUNGE ${uid}`);
  }

  found(user: string, action: Action): Found {
    const maildir = join(this.#dovecot.folder, 'mail', user, 'Maildir');
    const inbox = mailsIn(maildir).map(({ name, flags }) => ({ name, isFlagged: flags.includes('T') }));
    return foundIn(inbox, action === 'trash' ? mailsIn(join(maildir, '.Trash')).map(({ name }) => name) : undefined, {});
  }

  log(): Promise<string> {
    return this.#dovecot.log();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#dovecot[Symbol.asyncDispose]();
  }
}

/** The scripted server, which can do as little as a test wants. */
export class ScriptedServer implements MailServer {
  readonly #imap: ImapServer;
  readonly #capabilities: readonly string[];

  private constructor(imap: ImapServer, capabilities: readonly string[]) {
    this.#imap = imap;
    this.#capabilities = capabilities;
  }

  static async start(users: Readonly<Record<string, string>>, capabilities: readonly string[]): Promise<ScriptedServer> {
    return new ScriptedServer(await ImapServer.start({ users, capabilities }), capabilities);
  }

  get imapPort(): number {
    return this.#imap.port;
  }

  deliver(user: string, mails: readonly Buffer[]): Promise<void> {
    // It sends what it has as it is; RFC822.SIZE is to be true here.
    for (const mail of mails)
      this.#imap.mailbox('INBOX', user).append(Buffer.from(mail.toString('latin1').replaceAll(/\r?\n/g, '\r\n'), 'latin1'));
    return Promise.resolve();
  }

  renumber(user: string): Promise<void> {
    this.#imap.mailbox('INBOX', user).resetUidValidity();
    return Promise.resolve();
  }

  actAsAnother(user: string, name: string, what: 'remove' | 'flag' | 'unflag'): Promise<void> {
    const mailbox = this.#imap.mailbox('INBOX', user);
    const message = mailbox.messages.find(({ raw }) => nameOf(raw) === name);
    if (message === undefined) throw new Error(`${name} is not in the mailbox`);
    if (what === 'remove') mailbox.expunge(message.uid);
    else
      mailbox.setFlags(message.uid, what === 'flag' ? [...message.flags, '\\Deleted'] : message.flags.filter((one) => one !== '\\Deleted'));
    return Promise.resolve();
  }

  found(user: string, action: Action): Found {
    const { messages } = this.#imap.mailbox('INBOX', user);
    const inbox = messages.map(({ raw, flags }) => ({ name: nameOf(raw) ?? '?', isFlagged: flags.includes('\\Deleted') }));
    const [canMove, canExpunge] = ['MOVE', 'UIDPLUS'].map((one) => this.#capabilities.includes(one));
    const onlyFlags = canExpunge !== true && (canMove !== true || action === 'expunge');
    const trash = this.#imap.mailbox('Trash', user).messages.map(({ raw }) => nameOf(raw) ?? '?');
    return foundIn(inbox, action === 'trash' && !onlyFlags ? trash : undefined, { onlyFlags, copies: canMove !== true });
  }

  log(): Promise<string> {
    return Promise.resolve(this.#imap.commands.join('\n'));
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#imap[Symbol.asyncDispose]();
  }
}

function foundIn(
  mails: readonly { readonly name: string; readonly isFlagged: boolean }[],
  inTrash: readonly string[] | undefined,
  server: Pick<Found, 'onlyFlags' | 'copies'>,
): Found {
  const inbox = new Map<string, { count: number; isFlaggedDeleted: boolean }>();
  for (const { name, isFlagged } of mails) {
    const before = inbox.get(name);
    inbox.set(name, { count: (before?.count ?? 0) + 1, isFlaggedDeleted: before?.isFlaggedDeleted === true || isFlagged });
  }
  if (inTrash === undefined) return { inbox, trash: undefined, ...server };
  const trash = new Map<string, number>();
  for (const name of inTrash) trash.set(name, (trash.get(name) ?? 0) + 1);
  return { inbox, trash, ...server };
}

function mailsIn(maildir: string): { readonly name: string; readonly flags: string }[] {
  const files = ['cur', 'new'].flatMap((part) => filesIn(join(maildir, part)));
  return files.flatMap(({ path, flags }) => {
    const name = nameOf(readFileSync(path));
    return name === undefined ? [] : [{ name, flags }];
  });
}

function filesIn(folder: string): { readonly path: string; readonly flags: string }[] {
  try {
    return readdirSync(folder).map((file) => ({ path: join(folder, file), flags: file.split(':2,')[1] ?? '' }));
  } catch {
    return [];
  }
}
