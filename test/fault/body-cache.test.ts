/** `limits.body_cache`: what one session has read costs the next one nothing, as far as there is room. */
import { expect, test } from 'vitest';
import { BridgeSite } from '../support/bridge-site.ts';

test('a message is fetched once for all sessions where it has room in body_cache, and once for each where it has none', async () => {
  await using site = await BridgeSite.start({ tables: '[limits]\nbody_cache = "64KiB"\n[retrieve]\nmark_seen = "never"\n' });
  const inbox = site.imap.mailbox('INBOX');
  const small = inbox.append('Subject: small\r\n\r\nbody\r\n');
  const large = inbox.append(`Subject: large\r\n\r\n${`${'x'.repeat(98)}\r\n`.repeat(1_000)}`);
  for (let session = 0; session < 3; session += 1) {
    const client = await site.open();
    expect((await client.retrieve(1)).toString()).toContain('Subject: small');
    expect((await client.retrieve(2)).length).toBeGreaterThan(100_000);
    await client.command('QUIT');
  }
  const fetched = (uid: number): number =>
    site.imap.commands.filter((command) => new RegExp(`^UID FETCH (?:\\d+:)?${uid}(?::\\d+)? .*BODY`).test(command)).length;
  const both = site.imap.commands.filter((command) => /^UID FETCH \d+[:,]\d+ .*BODY/.test(command)).length;
  expect({ small: fetched(small), large: fetched(large), both }).toEqual({ small: 1, large: 3, both: 0 });
});
