import fc from 'fast-check';
import { expect, test } from 'vitest';
import { holds } from '../../support/holds.ts';
import { parseClientFile, type ClientFileFormat } from '../../../src/maildrop/client-files.ts';
import { oldmailName } from '../../../src/maildrop/oldmail-name.ts';

const FORMATS: readonly ClientFileFormat[] = ['popstate', 'fetchids', 'oldmail', 'mpop'];

const format = fc.constantFrom<ClientFileFormat | undefined>(...FORMATS, undefined);
const visible = fc.integer({ min: 0x21, max: 0x7e }).map((code) => String.fromCharCode(code));
const uniqueId = fc.string({ unit: visible, minLength: 1, maxLength: 128 });
const uniqueIds = fc.uniqueArray(uniqueId, { minLength: 1, maxLength: 6 });
const host = fc.stringMatching(/^[a-z0-9][a-z0-9.-]{0,20}$/);
const user = fc.stringMatching(/^[A-Za-z0-9_.+-]{1,10}(@[a-z0-9.-]{1,10})?$/);
const accounts = fc.uniqueArray(fc.record({ server: host, user, uniqueIds }), {
  minLength: 1,
  maxLength: 3,
  selector: (account) => JSON.stringify([account.server, account.user]),
});
const lineEnd = fc.constantFrom('\n', '\r\n');

type Accounts = typeof accounts extends fc.Arbitrary<infer T> ? T : never;

/** As the programs write; see the docstrings of the readers. */
const WRITERS: Readonly<Record<Exclude<ClientFileFormat, 'oldmail'>, (written: Accounts, end: string) => string>> = {
  popstate: (written, end) =>
    [
      '# POP3 State File',
      '',
      ...written.flatMap(({ server, user, uniqueIds }) => [`*${server} ${user}`, ...uniqueIds.map((id) => `k ${id} 17`)]),
    ].join(end),
  fetchids: (written, end) =>
    written.flatMap(({ server, user, uniqueIds }) => uniqueIds.map((id) => `${user}@${server} ${id}${end}`)).join(''),
  mpop: (written, end) =>
    written.map(({ server, user, uniqueIds }) => [` ${uniqueIds.length} ${server} ${user}`, ...uniqueIds, ''].join(end)).join(''),
};

test('what a client writes is read as it was, the format told by the content', () => {
  holds(
    fc.property(fc.constantFrom('popstate', 'fetchids', 'mpop'), accounts, lineEnd, (format, written, end) => {
      const octets = Buffer.from(WRITERS[format](written, end), 'latin1');
      expect(parseClientFile(octets)).toEqual({ format, accounts: written });
    }),
  );
});

test("what getmail writes is read as it was, and so is its file's name", () => {
  holds(
    fc.property(uniqueIds, lineEnd, (written, end) => {
      const octets = Buffer.from(written.map((id) => `${id}\x001795423243${end}`).join(''), 'latin1');
      expect(parseClientFile(octets)).toEqual({
        format: 'oldmail',
        accounts: [{ server: undefined, user: undefined, uniqueIds: written }],
      });
    }),
  );
  const plain = fc.stringMatching(/^[a-z][a-z.]{0,20}$/);
  holds(
    fc.property(plain, fc.constantFrom(110, 995, 1, 65_535), fc.stringMatching(/^[a-z][a-z0-9@.-]{0,20}[a-z]$/), (server, port, user) => {
      fc.pre(!/-\d+-/.test(user));
      expect(oldmailName(`oldmail-${server}-${port}-${user}`)).toEqual({ server, user });
    }),
  );
});

/** An emptied file, a line end in the wrong place, counts that lie. */
const BROKEN = [
  '',
  '\n',
  '\r',
  '# POP3 State File\n',
  '*h a\nk \n',
  ' 2 h a\nid\n',
  ' 99999999999 h a\n',
  'a@h \r\nid\r\n',
  'id\0\r\n',
  '__proto__@h id\n',
];

test('no octets make it throw, and what is refused is told by its line', () => {
  const bits = fc.constantFrom('*', 'k ', ' ', '@', '\0', '\n', '\r\n', '#', '1', 'a@h ', ' 2 h a\n', '\xff', '*h a\n', 'id');
  const texts = fc.oneof(
    fc.array(bits, { maxLength: 20 }).map((parts) => Buffer.from(parts.join(''), 'latin1')),
    fc.uint8Array().map((octets) => Buffer.from(octets)),
  );
  holds(
    fc.property(texts, format, (octets, named) => {
      const parsed = parseClientFile(octets, named);
      if ('problem' in parsed) expect(parsed.problem).toMatch(/^line \d+: [\x20-\x7e…]+$|^the file names no message; /);
      else for (const { uniqueIds } of parsed.accounts) expect(uniqueIds.every((id) => /^[\x21-\x7e]{1,128}$/.test(id))).toBe(true);
    }),
    { usual: 1000, examples: BROKEN.map((file): [Buffer<ArrayBuffer>, undefined] => [Buffer.from(file, 'latin1'), undefined]) },
  );
});

test('no file name makes it throw', () => {
  holds(
    fc.property(fc.string(), (name) => void oldmailName(`oldmail-${name}`)),
    { examples: [[''], ['-'], ['h-110'], ['h-110-'], ['h-0-a'], ['h-99999-a'], ['__proto__-110-a'], ['h-110-a-110-b']] },
  );
});
