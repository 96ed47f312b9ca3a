/** Holds a POP3 dialogue through `openssl s_client`, command by command, as somebody would at a terminal. */
import { peerPath } from './peer.ts';
import { type ProgramResult, runProgram } from './run-program.ts';

/** Where to connect and what to say. */
export interface OpensslDialogue {
  readonly host: string;
  readonly port: number;
  readonly tls: 'stls' | 'implicit';
  /** Commands without line ends; each is sent when the reply to the one before is complete. */
  readonly lines: readonly string[];
  /** PEM file to check the server's certificate against; unchecked without. */
  readonly ca?: string;
  readonly home: string;
  /** More options for s_client, such as `-tls1_2`. */
  readonly options?: readonly string[];
}

/** Runs the dialogue; `stdout` is everything the server said inside TLS (with `implicit` from its greeting on). */
export async function opensslDialogue(dialogue: OpensslDialogue): Promise<ProgramResult> {
  const { host, port, tls, lines, ca, home, options = [] } = dialogue;
  const verify = ca === undefined ? [] : ['-CAfile', ca, '-verify_return_error', '-verify_ip', host];
  const start = tls === 'stls' ? ['-starttls', 'pop3'] : [];
  // Without -quiet a line that starts with R or Q (RETR, QUIT) is a command to s_client itself.
  const args = ['s_client', '-quiet', '-connect', `${host}:${port}`, ...start, ...verify, ...options];
  return runProgram({
    path: peerPath('openssl'),
    args,
    home,
    converse: (stdin) => {
      const waiting = [...lines];
      let answered: string | undefined = tls === 'implicit' ? '(greeting)' : undefined;
      let reply = '';
      const send = (): void => {
        answered = waiting.shift();
        if (answered === undefined) stdin.end();
        else stdin.write(`${answered}\r\n`);
      };
      // After STLS there is no second greeting (RFC 2595 section 4), so the client speaks first.
      if (answered === undefined) send();
      return (chunk) => {
        reply += chunk;
        if (answered === undefined || !isComplete(answered, reply)) return;
        reply = '';
        send();
      };
    },
  });
}

/** RFC 1939 section 3: only a +OK can be multi-line, and the command decides whether it is. */
function isComplete(command: string, reply: string): boolean {
  if (!reply.includes('\r\n')) return false;
  const multiLine = /^(?:RETR|TOP|CAPA|(?:LIST|UIDL)\s*$)/i.test(command) && reply.startsWith('+OK');
  return !multiLine || reply.endsWith('\r\n.\r\n');
}
