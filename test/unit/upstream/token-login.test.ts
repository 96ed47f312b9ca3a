import { expect, test } from 'vitest';
import { systemClock } from '../../../src/clock.ts';
import { BodyCache } from '../../../src/upstream/body-cache.ts';
import { ImapflowUpstream } from '../../../src/upstream/imapflow-upstream.ts';
import { ImapServer } from '../../support/imap-server.ts';
import { plainEndpoint } from '../../support/plain-endpoint.ts';

test('a server that takes no tokens is not sent one, and is said to take none', async () => {
  await using imap = await ImapServer.start({ users: { alice: 'secret' } });
  const budget = { sessionOctets: 1_000, totalOctets: 1_000, used: 0 };
  const upstream = new ImapflowUpstream(plainEndpoint(imap.port, 5_000), systemClock, { budget, bodies: new BodyCache(1_000) });
  const login = upstream.login({ user: 'alice', password: 'a token', isToken: true }, new AbortController().signal);
  await expect(login).rejects.toEqual(
    expect.objectContaining({ code: 'UPSTREAM_FORBIDDEN', message: 'the server takes neither OAUTHBEARER nor XOAUTH2' }),
  );
  expect(imap.commands.filter((command) => /AUTH|LOGIN/.test(command))).toEqual([]);
});
