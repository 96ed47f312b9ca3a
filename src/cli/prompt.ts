/** Asks on the terminal; a password is read without being shown. */
import { createInterface } from 'node:readline/promises';
import { Writable } from 'node:stream';

type Write = (text: string) => void;

export async function ask(stdin: NodeJS.ReadStream, question: string, write: Write): Promise<string> {
  return readLine(stdin, () => write(question));
}

/** The terminal echoes nothing while it is read; the line end that the user typed is shown in its place. */
export async function askHidden(stdin: NodeJS.ReadStream, question: string, write: Write): Promise<string> {
  const silent = new Writable({ write: (_chunk, _encoding, done) => done() });
  try {
    return await readLine(stdin, () => write(question), silent);
  } finally {
    write('\n');
  }
}

export async function readAll(stdin: NodeJS.ReadStream): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of stdin) chunks.push(Buffer.from(chunk));
  return Buffer.concat(chunks).toString('utf8');
}

/** Whoever sees the question may answer: by then the terminal has to be silent. */
async function readLine(stdin: NodeJS.ReadStream, askNow: () => void, output?: Writable): Promise<string> {
  if (stdin.readableEnded) {
    askNow();
    throw new Error('nothing was entered');
  }
  const lines = createInterface(output === undefined ? { input: stdin } : { input: stdin, output, terminal: true });
  try {
    return await new Promise((resolve, reject) => {
      lines.once('line', resolve);
      lines.once('close', () => reject(new Error('nothing was entered')));
      askNow();
    });
  } finally {
    lines.close();
  }
}

/** One password for each question: asked for on a terminal without being shown, else a line each of standard input. */
export async function passwordLines(
  { stdin, write }: { readonly stdin: NodeJS.ReadStream; readonly write: Write },
  questions: readonly string[],
  isFromStdin: boolean,
): Promise<string[]> {
  if (isFromStdin || !stdin.isTTY) return (await readAll(stdin)).split(/\r*\n/).slice(0, questions.length);
  const passwords: string[] = [];
  for (const question of questions) passwords.push(await askHidden(stdin, question, write));
  return passwords;
}
