/**
 * Mozilla's autoconfig: the IMAP servers that a mail domain publishes as XML (`<clientConfig><emailProvider><incomingServer type="imap">`). Pure.
 */
import { SaxesParser } from 'saxes';

/** An IMAP server, as somebody says. */
export interface FoundServer {
  readonly host: string;
  readonly port: number;
  readonly security: 'tls' | 'starttls';
  /** A template of {user}, {local} and {domain}. */
  readonly username: string;
}

/** Larger answers are none. */
const MOST_CHARACTERS = 256 * 1024;
const HOST = /^[a-z0-9]([a-z0-9.-]*[a-z0-9])?$/i;

/** What is said about IMAP, in the order of the document; servers without TLS are left out. Empty where the text is no such document. */
export function imapServersIn(xml: string): FoundServer[] {
  if (xml.length > MOST_CHARACTERS) return [];
  const servers: FoundServer[] = [];
  const path: string[] = [];
  let server: Map<string, string> | undefined;
  const parser = new SaxesParser();
  let isBroken = false;
  parser.on('error', () => {
    isBroken = true;
  });
  parser.on('opentag', ({ name, attributes }) => {
    path.push(name);
    if (name === 'incomingServer' && path.includes('emailProvider')) server = new Map([['type', attributes['type'] ?? '']]);
  });
  parser.on('text', (text) => {
    const [parent, name] = path.slice(-2);
    // The first of each counts: several <authentication> are in the order of preference.
    if (parent === 'incomingServer' && name !== undefined && server?.has(name) === false) server.set(name, text.trim());
  });
  parser.on('closetag', ({ name }) => {
    path.pop();
    const found = name === 'incomingServer' ? serverOf(server) : undefined;
    if (found !== undefined) servers.push(found);
  });
  parser.write(xml).close();
  return isBroken ? [] : servers;
}

function serverOf(fields: Map<string, string> | undefined): FoundServer | undefined {
  if (fields?.get('type') !== 'imap') return undefined;
  const host = fields.get('hostname') ?? '';
  const port = Number(fields.get('port'));
  const security = { SSL: 'tls', STARTTLS: 'starttls' }[fields.get('socketType') ?? ''];
  if (!HOST.test(host) || !Number.isInteger(port) || port < 1 || port > 65_535 || (security !== 'tls' && security !== 'starttls'))
    return undefined;
  return { host, port, security, username: templateOf(fields.get('username')) };
}

/** Placeholders as popbridge writes them. What is no placeholder would be one user's name. */
function templateOf(text: string | undefined): string {
  if (text === '%EMAILLOCALPART%') return '{local}';
  return text === '%EMAILDOMAIN%' ? '{domain}' : '{user}';
}
