import { expect, test } from 'vitest';
import { uid, uids, uidValidity } from '../../support/fake-maildrop.ts';
import { folderTag, namesOf, templateFor } from '../../../src/daemon/derivation.ts';
import {
  withDeleted,
  withIdSources,
  withoutDeletion,
  withoutMessages,
  withRetrieved,
  withTrueOctets,
} from '../../../src/maildrop/map-changes.ts';
import { reconcile } from '../../../src/maildrop/reconcile.ts';
import { NEVER_DUE, verbatimSource, type UidMap } from '../../../src/maildrop/uid-map.ts';
import { applyTemplate, fallbackFormula, parseTemplate, type UniqueIdTemplate } from '../../../src/maildrop/unique-id.ts';
import { decodeSegment, encodeSegment } from '../../../src/store/segment.ts';
import { listing } from '../maildrop/listing.ts';

function template(text: string): UniqueIdTemplate {
  const parsed = parseTemplate(text);
  if ('problem' in parsed) throw new Error(parsed.problem);
  return parsed;
}

function mapUnder(text: string, path = 'INBOX', stored?: UidMap, list = [1, 2, 3000]): UidMap {
  const names = namesOf(path, uidValidity(7));
  const formula = applyTemplate(template(text), names);
  return reconcile(stored, listing(7, list), {
    formula,
    fallback: (attempt) => fallbackFormula(names, attempt),
    taken: new Set(),
    used: [],
    elsewhere: [],
  });
}

const MAP = mapUnder('popbridge');
const derived = (map: UidMap, text = 'popbridge'): string | undefined => templateFor(map, 'INBOX', template(text));

test('the tag of a folder is the beginning of the SHA-256 of its path', () => {
  expect(folderTag('INBOX').toString(16)).toBe('83ecb521');
  expect(namesOf('INBOX', uidValidity(7))).toEqual({ folderTag: 0x83ecb521, uidValidity: 7 });
});

test('a map can be made again where every id follows from the template, whatever was learned or retrieved', () => {
  const { text } = template('popbridge');
  const learned = withRetrieved(withTrueOctets(MAP, uid(1), 5), uid(2), 9);
  expect(
    [MAP, learned, withoutMessages(MAP, uids(1)), mapUnder('popbridge', 'INBOX', MAP, [1, 2, 3, 3000])].map((map) => derived(map)),
  ).toEqual([text, text, text, text]);
});

test('also after it was on disk', () => {
  const segments = new Map([...MAP.segments].map(([number, segment]) => [number, decodeSegment(encodeSegment(segment))]));
  expect(derived({ ...MAP, segments })).toBe(template('popbridge').text);
});

test.each<readonly [string, UidMap]>([
  ['under another template', mapUnder('cyrus')],
  ['of another folder', mapUnder('popbridge', 'Other')],
  ['under two templates', mapUnder('cyrus', 'INBOX', MAP, [1, 2, 3, 3000])],
  ['with an id that was imported', withIdSources(MAP, new Map([[uid(1), verbatimSource('x')]]))],
  [
    'with an id of another UID',
    withIdSources(MAP, new Map([[uid(1), { formula: applyTemplate(template('popbridge'), namesOf('INBOX', uidValidity(7))), idUid: 9 }]])),
  ],
  ['with a deletion that waits', withDeleted(MAP, uids(1), 5, 6)],
  ['with a message that is hidden for ever', withDeleted(MAP, uids(3000), 5, NEVER_DUE)],
])('a map %s can not', (_, map) => expect(derived(map)).toBeUndefined());

test('a map can be made again once nothing is hidden any more', () => {
  expect(derived(withoutDeletion(withDeleted(MAP, uids(1), 5, 6), uids(1)))).toBe(template('popbridge').text);
});
