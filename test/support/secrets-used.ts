/** Every secret that the tests of this process have used: no daemon may log one, in whatever form. */

/** Shorter ones are words that a log may hold anyhow. */
const SHORTEST = 6;

const used = new Set<string>();

/** Notes what a client, a server, a file or a command is given as a password, a token or a key. */
export function noteSecrets(...secrets: readonly string[]): void {
  for (const secret of secrets) if (secret.length >= SHORTEST) used.add(secret);
}

/** As they are, quoted as IMAP and JSON do, percent-encoded, in base64 of either alphabet, alone and behind other octets as SASL has them. */
export function formsOfSecrets(users: readonly string[]): string[] {
  const base64 = (text: string): string => Buffer.from(text).toString('base64');
  const forms = [...used].flatMap((secret) => [
    secret,
    secret.replaceAll(/["\\]/g, '\\$&'),
    JSON.stringify(secret).slice(1, -1),
    encodeURIComponent(secret),
    base64(secret),
    ...users.map((user) => base64(`\0${user}\0${secret}`)),
    ...[0, 1, 2].map((shift) => withinBase64(secret, shift)),
  ]);
  const urlSafe = forms.map((form) => form.replaceAll('+', '-').replaceAll('/', '_'));
  return [...new Set([...forms, ...urlSafe])];
}

/** The characters that hold bits of the secret alone, where so many octets more than a multiple of three stand before it. */
function withinBase64(secret: string, shift: number): string {
  const octets = Buffer.concat([Buffer.alloc(shift), Buffer.from(secret)]);
  return octets.toString('base64').slice(Math.ceil((shift * 8) / 6), Math.floor((octets.length * 8) / 6));
}

/** Those of the forms that stand in a text. */
export function passwordsIn(text: string, users: readonly string[] = ['alice']): string[] {
  return formsOfSecrets(users).filter((form) => text.includes(form));
}
