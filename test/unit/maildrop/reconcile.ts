/** Mailboxes with every kind of unique-id, for laws about reconciling; UIDs and ids are few, so that they often collide. */
import fc from 'fast-check';
import { formulaOf, newIds, uid, UIDVALIDITY } from '../../support/fake-maildrop.ts';
import { reconcile, type Inherited, type NewIds } from '../../../src/maildrop/reconcile.ts';
import { idFrom, uidsIn, uniqueIdsIn, UNTOUCHED, verbatimSource, type IdSource, type UidMap } from '../../../src/maildrop/uid-map.ts';
import type { Uid } from '../../../src/maildrop/numbers.ts';
import { listing } from './listing.ts';

const TEMPLATES = ['popbridge', 'cyrus', 'uw', '{uid}-{uidvalidity}', '1{uid}-{uidvalidity}'];
/** Under the templates above some of these are ids of other messages. */
const TEXTS = ['7.3', '7.12', '0000000700000003', '3-7', '13-7', 'A', 'a', '1234ABCD.00000007.0000000C', '1234abcd.00000007.00000003.2'];
/** As Gmail gives them: never an id that a template makes, but the same one to copies. */
const GIVEN = ['GmailId1', 'GmailId2', 'GmailId3', 'GMAILID3'];

export const templates = fc.constantFrom(...TEMPLATES);
const uidNumbers = fc.oneof(fc.integer({ min: 1, max: 15 }), fc.integer({ min: 1022, max: 1026 }));
export const uidLists = fc.uniqueArray(uidNumbers, { maxLength: 12 }).map((list) => list.sort((one, other) => one - other));

const sources: fc.Arbitrary<IdSource> = fc.oneof(
  fc.record({ formula: templates.map((template) => formulaOf(template, UIDVALIDITY)), idUid: uidNumbers }),
  fc.constantFrom(...TEXTS, ...GIVEN).map(verbatimSource),
);

/** How one listing is reconciled: what it holds, and all that bears on the ids of what is new. */
export interface Step {
  readonly uids: readonly number[];
  readonly template: string;
  readonly taken: readonly string[];
  readonly highestUid: number;
  /** Sources for some of the new messages. */
  readonly inherited: readonly (IdSource | undefined)[];
  /** Ids that the server gives to some UIDs. */
  readonly given: ReadonlyMap<number, string>;
}

export const steps: fc.Arbitrary<Step> = fc.record({
  uids: uidLists,
  template: templates,
  taken: fc.array(
    sources.map((source) => idFrom(source).toLowerCase()),
    { maxLength: 4 },
  ),
  highestUid: fc.oneof(fc.constant(0), fc.nat(20)),
  inherited: fc.array(fc.option(sources, { nil: undefined }), { maxLength: 6 }),
  given: fc.array(fc.tuple(uidNumbers, fc.constantFrom(...GIVEN)), { maxLength: 4 }).map((rows) => new Map(rows)),
});

export interface Stepped {
  readonly map: UidMap;
  readonly ids: NewIds;
  readonly inherited: ReadonlyMap<Uid, Inherited>;
}

/** The map after a step, where messages inherit what a caller may give: ids that differ and that nobody else keeps. */
export function stepped(
  stored: UidMap | undefined,
  step: Step,
  elsewhere: readonly UidMap[] = [],
  isNewEpoch = stored === undefined,
): Stepped {
  const before = isNewEpoch ? undefined : stored;
  const kept = new Set([...elsewhere, ...(before === undefined ? [] : [before])].flatMap((map) => idsIn(map).map(lower)));
  const known = new Set<number>(before === undefined ? [] : uidsIn(before));
  const inherited = new Map<Uid, Inherited>();
  const fresh = step.uids.filter((one) => !known.has(one));
  step.inherited.forEach((source, index) => {
    const at = fresh[index];
    if (source === undefined || at === undefined || kept.has(lower(idFrom(source)))) return;
    kept.add(lower(idFrom(source)));
    inherited.set(uid(at), { ...source, trueOctets: undefined, state: UNTOUCHED });
  });
  const { template, taken, highestUid, given } = step;
  const ids = {
    ...newIds(UIDVALIDITY, template),
    taken: new Set(taken),
    used: [{ formula: formulaOf(template, UIDVALIDITY), highestUid }],
    elsewhere,
    given: given.size === 0 ? undefined : (one: Uid): string | undefined => given.get(one),
  };
  return { map: reconcile(stored, listing(UIDVALIDITY, step.uids, fresh), ids, inherited, isNewEpoch), ids, inherited };
}

export function idsIn(map: UidMap): string[] {
  return uidsIn(map).map(uniqueIdsIn(map));
}

export function lower(text: string): string {
  return text.toLowerCase();
}
