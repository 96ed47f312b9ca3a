import { expect, test } from 'vitest';
import { noteSecrets, passwordsIn } from '../../support/secrets-used.ts';

const SECRET = 'Tr0ub"4dor&3 \\ \u00e9';
const base64 = (text: string): string => Buffer.from(text).toString('base64');

noteSecrets(SECRET);

test.for([
  ['as it is', SECRET],
  ['within a line', `{"error":"${SECRET}"}`],
  ['as JSON has it', JSON.stringify({ error: SECRET })],
  ['as IMAP quotes it', `A1 LOGIN alice "${SECRET.replaceAll(/["\\]/g, '\\$&')}"`],
  ['percent-encoded', `password=${encodeURIComponent(SECRET)}&x=1`],
  ['in base64', base64(SECRET)],
  ['as SASL PLAIN of a user who is known', base64(`\0alice\0${SECRET}`)],
  ['as SASL PLAIN of one who is not', base64(`\0somebody@example.com\0${SECRET}`)],
  ['as XOAUTH2 has a token', base64(`user=x\x01auth=Bearer ${SECRET}\x01\x01`)],
  ['as OAUTHBEARER has it', base64(`n,a=xy,\x01auth=Bearer ${SECRET}\x01\x01`)],
  ['in the alphabet of addresses', Buffer.from(`xy${SECRET}z`).toString('base64url')],
] as const)('a secret is found %s', ([, text]) => {
  expect(passwordsIn(text)).not.toEqual([]);
});

test('what only looks like one is none', () => {
  expect(passwordsIn('Tr0ub 4dor 3, VHIwdWI=, Tr0ub%224dor')).toEqual([]);
});
