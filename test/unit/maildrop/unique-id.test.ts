import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { holds } from '../../support/holds.ts';
import { uidValidity } from '../../support/fake-maildrop.ts';
import {
  applyTemplate,
  gmailUniqueId,
  parseTemplate,
  tellsFolders,
  uidInId,
  uniqueIdsOf,
  verbatimFormula,
  type UniqueIdTemplate,
} from '../../../src/maildrop/unique-id.ts';

interface Message {
  readonly folder: number;
  readonly validity: number;
  readonly uid: number;
}

const uint32 = fc.oneof(
  fc.integer({ min: 1, max: 30 }),
  fc.constantFrom(0x11, 0x111, 0x1111_1111, 0xffff_ffff),
  fc.integer({ min: 1, max: 0xffff_ffff }),
);
const messages: fc.Arbitrary<Message> = fc.record({ folder: uint32, validity: uint32, uid: uint32 });

function template(text: string): UniqueIdTemplate {
  const parsed = parseTemplate(text);
  if ('problem' in parsed) throw new Error(parsed.problem);
  return parsed;
}

function uniqueId(text: string, { folder, validity, uid }: Message): string {
  return uniqueIdsOf(applyTemplate(template(text), { folderTag: folder, uidValidity: uidValidity(validity) }))(uid);
}

const NAMES = ['popbridge', 'dovecot', 'cyrus', 'courier', 'uw'];
const MESSAGE: Message = { folder: 0x83ecb521, validity: 1_600_000_000, uid: 42 };

describe('a unique-id', () => {
  test.each([
    ['popbridge', '83ecb521.5f5e1000.0000002a'],
    ['dovecot', '0000002a5f5e1000'],
    ['cyrus', '1600000000.42'],
    ['courier', 'UID42-1600000000'],
    ['uw', '5f5e10000000002a'],
    ['{uid:X}-{uidvalidity:08X}', '2A-5F5E1000'],
    ['mail.{folder}.{uidvalidity}.{uid:010d}', 'mail.2213328161.1600000000.0000000042'],
  ])('under "%s" is %s, for ever', (text, id) => {
    expect(uniqueId(text, MESSAGE)).toBe(id);
  });

  /**
   * - dovecot: `pop3_get_uid` of github.com/dovecot/core src/pop3/pop3-commands.c expands `pop3_uidl_format`; its `X` prints small letters.
   *   Compared with the real server in test/integration/unique-ids.test.ts.
   * - cyrus: `uidl_msg` of github.com/cyrusimap/cyrus-imapd imap/pop3d.c prints `%u.%u`, UIDVALIDITY and UID. Compared with the real server in
   *   test/integration/cyrus.test.ts.
   * - courier: `print_uidl` of github.com/svarshavchik/courier-libs imap/pop3dserver.C prints `UID%lu-%lu`, number and UIDVALIDITY. The values
   *   for UIDVALIDITY 200 are those that its own test expects, imap/pop3testsuite.txt.
   * - uw: UIDL in src/ipopd/ipop3d.c (github.com/jonabbey/panda-imap) prints `%08lx%08lx`, UIDVALIDITY and UID.
   */
  test.each([
    ['dovecot', 1, 200, '00000001000000c8'],
    ['dovecot', 0xabcdef, 0xffff_ffff, '00abcdefffffffff'],
    ['cyrus', 1, 200, '200.1'],
    ['cyrus', 0xffff_ffff, 1_795_417_094, '1795417094.4294967295'],
    ['courier', 1, 200, 'UID1-200'],
    ['courier', 2, 200, 'UID2-200'],
    ['courier', 0xffff_ffff, 1_795_417_094, 'UID4294967295-1795417094'],
    ['uw', 1, 200, '000000c800000001'],
    ['uw', 0xabcdef, 0xffff_ffff, 'ffffffff00abcdef'],
  ])('under "%s" is printed as that server prints UID %i of UIDVALIDITY %i: %s', (text, uid, validity, id) => {
    expect(uniqueId(text, { ...MESSAGE, validity, uid })).toBe(id);
  });

  test('of popbridge has 26 characters out of 0-9a-f and "." (CONTRACT section 5.4)', () => {
    holds(fc.property(messages, (message) => /^[0-9a-f]{8}\.[0-9a-f]{8}\.[0-9a-f]{8}$/.test(uniqueId('popbridge', message))));
  });

  test('verbatim is that text, braces and all', () => {
    expect(uniqueIdsOf(verbatimFormula('<{uid}@=x>'))(7)).toBe('<{uid}@=x>');
  });
});

describe("Gmail's unique-id", () => {
  /**
   * Seen in the X-UIDL that Thunderbird wrote for mail from pop.gmail.com, beside Gmail's own Received line. The number's upper 44 bits are the
   * milliseconds of the arrival, as in X-GM-MSGID.
   */
  test.each([
    ['1480608327246830521', 'GmailId148c2d6dd5085bb9', 'Mon, 29 Sep 2014 12:15:34 -0700'],
    ['1761117713399657018', 'GmailId1870bf3ac2d5b23a', 'Wed, 22 Mar 2023 17:52:11 -0700'],
  ])('of %s is %s, received %s', (msgid, id, received) => {
    expect(gmailUniqueId(msgid)).toBe(id);
    const arrival = Number(BigInt(msgid) >> 20n);
    expect(Math.floor(arrival / 1000)).toBe(Date.parse(received) / 1000);
  });

  /** The pair of X-GM-MSGID and the id in Gmail's API that github.com/gmailgem/gmail/issues/241 shows. */
  test('has the digits by which the Gmail API names the message', () => {
    expect(gmailUniqueId('1520524314001511398')).toBe('GmailId1519fcceb86793e6');
  });

  test.each(['', '0', '-1', '1.5', '0x1', '01', ' 1', '18446744073709551616', '99999999999999999999', '1'.repeat(30)])(
    'does not exist for "%s"',
    (msgid) => expect(gmailUniqueId(msgid)).toBeUndefined(),
  );

  test('exists for every other number of 64 bits, and no two share one', () => {
    const uint64 = fc.bigInt({ min: 1n, max: 0xffff_ffff_ffff_ffffn });
    holds(
      fc.property(uint64, (msgid) => {
        const id = gmailUniqueId(msgid.toString());
        expect(id).toMatch(/^GmailId[1-9a-f][0-9a-f]{0,15}$/);
        expect(BigInt(`0x${id?.slice('GmailId'.length)}`)).toBe(msgid);
      }),
    );
  });
});

/** Templates of any shape, good and bad. */
const texts = fc
  .array(
    fc.oneof(
      fc.constantFrom('.', '-', 'a', '7', 'x.', ''),
      fc
        .tuple(fc.constantFrom('folder', 'uidvalidity', 'uid'), fc.constantFrom('', ':d', ':x', ':X', ':08x', ':04x', ':010d', ':08X'))
        .map(([name, format]) => `{${name}${format}}`),
    ),
    { minLength: 1, maxLength: 7 },
  )
  .map((parts) => parts.join(''));

describe('a template that is taken', () => {
  test.each(NAMES)('"%s" is one', (name) => expect(parseTemplate(name)).not.toHaveProperty('problem'));

  test('never gives two messages of a folder the same id, not even ignoring case, nor two folders where it tells them', () => {
    holds(
      fc.property(fc.oneof(texts, fc.constantFrom(...NAMES)), messages, messages, (text, one, other) => {
        const parsed = parseTemplate(text);
        fc.pre(!('problem' in parsed));
        const another = tellsFolders(parsed) ? other : { ...other, folder: one.folder };
        const isSame = one.folder === another.folder && one.validity === another.validity && one.uid === another.uid;
        expect(uniqueId(text, one).toLowerCase() === uniqueId(text, another).toLowerCase()).toBe(isSame);
      }),
      { usual: 2_000 },
    );
  });

  test('gives 1 to 70 characters that every client takes, and its formula finds the UID in them again', () => {
    holds(
      fc.property(fc.oneof(texts, fc.constantFrom(...NAMES)), messages, messages, (text, { folder, validity, uid }, other) => {
        const parsed = parseTemplate(text);
        fc.pre(!('problem' in parsed));
        const formula = applyTemplate(parsed, { folderTag: folder, uidValidity: uidValidity(validity) });
        const id = uniqueIdsOf(formula)(uid);
        expect(id).toMatch(/^[A-Za-z0-9.-]{1,70}$/);
        expect([uidInId(formula, id), uidInId(formula, id.toUpperCase())]).toEqual([uid, uid]);
        const found = uidInId(formula, uniqueId(text, other));
        if (found !== undefined) expect(uniqueIdsOf(formula)(found).toLowerCase()).toBe(uniqueId(text, other).toLowerCase());
      }),
      { usual: 1_000 },
    );
  });
});

describe('a template is refused', () => {
  test.each([
    ['{uid}', '{uidvalidity} is missing'],
    ['{uidvalidity}.x', '{uid} is missing'],
    ['{uidvalidity}{uid}', 'could share an id'],
    ['{uidvalidity}7{uid}', 'could share an id'],
    ['{uidvalidity:x}a{uid}', 'could share an id'],
    ['{uid:04x}{uidvalidity:x}', 'could share an id'],
    ['{uid}.{uidvalidity}.{uid}', 'twice'],
    ['{uid}_{uidvalidity}', '"_" can\'t stand in it'],
    ['{uid} {uidvalidity}', "can't stand in it"],
    ['{mailbox}.{uidvalidity}.{uid}', '"{mailbox}" can\'t stand in it'],
    ['{uid:011d}.{uidvalidity}', "can't stand in it"],
    ['{uid', "can't stand in it"],
    ['', 'is missing'],
    [`${'x'.repeat(50)}{uidvalidity}.{uid}`, '71 characters; at most 70'],
    ['frobnicate', 'is missing'],
  ])('"%s": %s', (text, problem) => {
    expect(parseTemplate(text)).toEqual({ problem: expect.stringContaining(problem) });
  });
});
