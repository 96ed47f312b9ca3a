/** The account that the name of one of getmail's oldmail files tells. Pure. */

const NAME = /^oldmail-(.+)$/;
const PORT = /-(\d{1,5})-/g;
const POP3_PORTS = new Set([110, 995]);
const IMAP_PORTS = new Set([143, 993]);
const MAX_PORT = 65_535;

interface NamedAccount {
  readonly server: string;
  readonly port: number;
  readonly user: string;
}

/**
 * Server and user out of `oldmail-SERVER-PORT-USER`, without folders, as `initialize` of getmailcore/_retrieverbases.py (getmail6 6.18)
 * makes it: runs of the characters /:;<>| stand there as one "-". Undefined for any other name, for a file of an IMAP mailbox
 * (port 143 or 993: its ids are none of POP3), and where server and user could be cut apart in several ways and no port of POP3 tells which.
 */
export function oldmailName(fileName: string): { readonly server: string; readonly user: string } | undefined {
  const rest = NAME.exec(fileName)?.[1] ?? '';
  const cuts = waysToCut(rest);
  const likely = cuts.filter(({ port }) => POP3_PORTS.has(port));
  const [cut, other] = likely.length > 0 ? likely : cuts;
  if (cut === undefined || other !== undefined || IMAP_PORTS.has(cut.port)) return undefined;
  return { server: cut.server, user: cut.user };
}

function waysToCut(text: string): NamedAccount[] {
  const cuts: NamedAccount[] = [];
  PORT.lastIndex = 0;
  for (let found = PORT.exec(text); found !== null; found = PORT.exec(text)) {
    const [between, digits = ''] = found;
    const cut = { server: text.slice(0, found.index), port: Number(digits), user: text.slice(found.index + between.length) };
    const isPossible = !digits.startsWith('0') && cut.port <= MAX_PORT && cut.server !== '' && cut.user !== '';
    if (isPossible) cuts.push(cut);
    // The "-" at the end may be the one before the next number.
    PORT.lastIndex = found.index + between.length - 1;
  }
  return cuts;
}
