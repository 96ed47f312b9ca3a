/** Every secret that the tests of this process have used: no daemon may log one, in whatever form. */

/** Shorter ones are words that a log may hold anyhow. */
const SHORTEST = 6;

const used = new Set<string>();

/** Notes what a client, a server, a file or a command is given as a password, a token or a key. */
export function noteSecrets(...secrets: readonly string[]): void {
  for (const secret of secrets) if (secret.length >= SHORTEST) used.add(secret);
}

/** As they are, percent-encoded, in base64, and as SASL PLAIN has them for those users. */
export function formsOfSecrets(users: readonly string[]): string[] {
  const base64 = (text: string): string => Buffer.from(text).toString('base64');
  const forms = [...used].flatMap((secret) => [
    secret,
    encodeURIComponent(secret),
    base64(secret),
    ...users.map((user) => base64(`\0${user}\0${secret}`)),
  ]);
  return [...new Set(forms)];
}

/** Those of the forms that stand in a text. */
export function passwordsIn(text: string, users: readonly string[] = ['alice']): string[] {
  return formsOfSecrets(users).filter((form) => text.includes(form));
}
