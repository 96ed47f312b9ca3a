/** What is read from an old POP3 server, against a real one. */
import { readFileSync } from 'node:fs';
import { createSecureContext } from 'node:tls';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { readOldPop3, type OldPop3Endpoint } from '../../src/upstream/old-pop3.ts';
import { PopDialogue } from '../support/pop-dialogue.ts';
import { Dovecot } from '../support/peers/dovecot.ts';
import { describeWithPeers } from '../support/peers/peers.ts';

const LOGIN = { user: 'alice', password: 'secret' };
const COUNT = 120;
const mail = Array.from({ length: COUNT }, (_, index) =>
  Buffer.from(`.dot: x\r\nMessage-ID: <${index}@example.com>\r\n\r\n.body ${index}\r\n`),
);

describeWithPeers(['dovecot', 'openssl'], "from Dovecot's POP3 server", () => {
  let dovecot: Dovecot;

  beforeAll(async () => {
    dovecot = await Dovecot.start({ users: { [LOGIN.user]: LOGIN.password } });
    await dovecot.deliver(LOGIN.user, mail);
  });

  afterAll(async () => {
    await dovecot[Symbol.asyncDispose]();
  });

  const endpoint = (security: OldPop3Endpoint['security'], isTrusted = true): OldPop3Endpoint => ({
    host: 'localhost',
    port: security === 'tls' ? dovecot.ports.pop3s : dovecot.ports.pop3,
    security,
    secureContext: isTrusted ? createSecureContext({ ca: readFileSync(dovecot.ca) }) : undefined,
    timeoutMs: 20_000,
  });

  test.each(['none', 'starttls', 'tls'] as const)(
    'every unique-id is read with its Message-ID and size (%s), and every message stays',
    async (security) => {
      const messages = await readOldPop3(endpoint(security), LOGIN, () => {});
      const client = await PopDialogue.connect(dovecot.ports.pop3);
      await client.login(LOGIN.user, LOGIN.password);
      expect(messages.map(({ uniqueId }, index) => `${index + 1} ${uniqueId}`)).toEqual(await client.multi('UIDL'));
      expect(messages.map(({ octets }, index) => `${index + 1} ${octets}`)).toEqual(await client.multi('LIST'));
      await client.command('QUIT');
      expect(messages.map(({ messageId }) => messageId)).toEqual(mail.map((_, index) => `<${index}@example.com>`));
    },
  );

  test.each(['starttls', 'tls'] as const)('nothing is read where its certificate is not trusted (%s)', async (security) => {
    await expect(readOldPop3(endpoint(security, false), LOGIN, () => {})).rejects.toMatchObject({ kind: 'tls' });
  });

  test('nothing is read with a wrong password', async () => {
    await expect(readOldPop3(endpoint('tls'), { ...LOGIN, password: 'wrong' }, () => {})).rejects.toMatchObject({ code: 'AUTH_REFUSED' });
  });
});
