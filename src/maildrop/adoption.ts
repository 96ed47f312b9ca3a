/** Which messages have the unique-ids that clients know already, from another server or an export. Pure. */
import type { Uid, UidValidity } from './numbers.ts';
import { differ, rematch, type Recognisable } from './rematch.ts';
import { NEVER_DUE, type MessageState } from './uid-map.ts';
import { isKnownToBeTheSame } from './verification.ts';
import { uidInId, uniqueIdsOf, type UniqueIdFormula } from './unique-id.ts';

/** A unique-id that clients know, and what is known of its message; of a file of a client that is nothing else. */
export interface KnownId extends Recognisable {
  readonly uniqueId: string;
  /** Where it was when it was exported. */
  readonly place: Place | undefined;
  /** False where neither arrival nor size was told. */
  readonly isMeasured: boolean;
}

export interface Place {
  /** As in UidMap; '' where it is not known, as in exports of old. */
  readonly server: string;
  readonly path: string;
  readonly uidValidity: number;
  readonly uid: number;
}

/** A message that may have such an id. */
export interface Adopter extends Recognisable {
  readonly server: string;
  readonly path: string;
  readonly uidValidity: UidValidity;
  readonly uid: Uid;
  /** The one it has now. */
  readonly uniqueId: string;
}

export interface Adoption {
  readonly matches: ReadonlyMap<Adopter, KnownId>;
  /** No message like it. */
  readonly unmatched: readonly KnownId[];
  /** More than one message like it, or another message has its id. */
  readonly ambiguous: readonly KnownId[];
}

/**
 * Matches by the id that a message has now, by place, by the formulas in which servers make ids, then by identity. Nothing is matched that
 * an identity speaks against.
 */
export function adopt(
  known: readonly KnownId[],
  adopters: readonly Adopter[],
  formulasOf: (path: string, uidValidity: UidValidity) => readonly UniqueIdFormula[],
): Adoption {
  const work = new AdoptionWork(known, adopters);
  const byId = new Map(adopters.map((one) => [one.uniqueId, one]));
  work.match((id) => [byId.get(id.uniqueId)]);
  const byPlace = new Map(adopters.map((one) => [placeKey(one), one]));
  work.match(({ place }) => [place === undefined ? undefined : byPlace.get(placeKey(place))]);
  const mailboxes = new Map(adopters.map(({ path, uidValidity }) => [path, uidValidity]));
  const formulas = [...mailboxes].flatMap(([path, uidValidity]) =>
    formulasOf(path, uidValidity).map((formula) => ({ path, uidValidity, formula })),
  );
  work.match(({ uniqueId }) => [
    ...new Set(
      formulas.map(({ path, uidValidity, formula }) => {
        const uid = uidInId(formula, uniqueId);
        const isExact = uid !== undefined && uniqueIdsOf(formula)(uid) === uniqueId;
        return isExact ? byPlace.get(placeKey({ path, uidValidity, uid })) : undefined;
      }),
    ),
  ]);
  work.matchIdentities();
  return work.result();
}

/**
 * What clients did to a message, as far as another may take it over. Only what is certain to be the same message stays hidden, and only at the
 * very place where its deletion was promised is it still removed when it is due.
 */
export function adoptedState(state: MessageState, id: KnownId, adopter: Adopter): MessageState {
  const { place } = id;
  const isSameServer = place !== undefined && place.server !== '' && place.server === adopter.server;
  if (state.deletedAt === 0 || (isSameServer && placeKey(place) === placeKey(adopter))) return state;
  return isKnownToBeTheSame(id.identity, adopter.identity) ? { ...state, dueAt: NEVER_DUE } : { ...state, deletedAt: 0, dueAt: 0 };
}

class AdoptionWork {
  readonly #matches = new Map<Adopter, KnownId>();
  readonly #ambiguous = new Set<KnownId>();
  #known: readonly KnownId[];
  #adopters: readonly Adopter[];
  readonly #owners: ReadonlyMap<string, Adopter>;

  constructor(known: readonly KnownId[], adopters: readonly Adopter[]) {
    const byId = new Map(known.map((id) => [id.uniqueId, id]));
    this.#known = [...byId.values()];
    this.#adopters = adopters;
    this.#owners = new Map(adopters.map((one) => [one.uniqueId.toLowerCase(), one]));
  }

  match(candidatesOf: (id: KnownId) => readonly (Adopter | undefined)[]): void {
    const found = new Map<Adopter, KnownId[]>();
    for (const id of this.#known) {
      const candidates = candidatesOf(id).flatMap((one) => (one === undefined || !this.#isFree(one) || isOther(id, one) ? [] : [one]));
      const [only] = candidates;
      if (only === undefined) continue;
      if (candidates.length > 1) this.#ambiguous.add(id);
      else found.set(only, [...(found.get(only) ?? []), id]);
    }
    for (const [adopter, ids] of found) {
      const [only] = ids;
      if (only !== undefined && ids.length === 1) this.#matches.set(adopter, only);
      else for (const id of ids) this.#ambiguous.add(id);
    }
    this.#drop();
  }

  /** Old servers tell no arrival: then only Message-ID and size count. */
  matchIdentities(): void {
    const isDated = this.#known.some(({ isMeasured, arrival }) => isMeasured && arrival > 0);
    const wanted = this.#known.filter(({ isMeasured }) => isMeasured);
    const fresh = this.#adopters.map((adopter) => ({ adopter, ...adopter, arrival: isDated ? adopter.arrival : 0 }));
    const { matches } = rematch(wanted, fresh, isDated);
    for (const [{ adopter }, id] of matches) this.#matches.set(adopter, id);
    this.#drop();
    const left = new Set(this.#adopters.flatMap(({ identity: { messageId } }) => messageId ?? []));
    for (const id of this.#known) if (id.identity.messageId && left.has(id.identity.messageId)) this.#ambiguous.add(id);
    this.#drop();
  }

  result(): Adoption {
    // An id that another message has, and keeps, would be there twice. One that is taken back may be such a one in turn.
    for (let isSettled = false; !isSettled;) {
      isSettled = true;
      for (const [adopter, id] of this.#matches) {
        const owner = this.#owners.get(id.uniqueId.toLowerCase());
        if (owner === undefined || owner === adopter || this.#isGivenUp(owner)) continue;
        this.#matches.delete(adopter);
        this.#ambiguous.add(id);
        isSettled = false;
      }
    }
    return { matches: this.#matches, unmatched: this.#known, ambiguous: [...this.#ambiguous] };
  }

  /** True when it gets another id than it has. */
  #isGivenUp(owner: Adopter): boolean {
    const next = this.#matches.get(owner)?.uniqueId;
    return next !== undefined && next.toLowerCase() !== owner.uniqueId.toLowerCase();
  }

  #isFree(adopter: Adopter): boolean {
    return !this.#matches.has(adopter);
  }

  #drop(): void {
    const taken = new Set(this.#matches.values());
    this.#known = this.#known.filter((id) => !taken.has(id) && !this.#ambiguous.has(id));
    this.#adopters = this.#adopters.filter((adopter) => !this.#matches.has(adopter));
  }
}

/** True where an identity, or an arrival told on both sides, says so. */
function isOther(id: KnownId, adopter: Adopter): boolean {
  if (differ(id.identity, adopter.identity)) return true;
  return id.arrival > 0 && adopter.arrival > 0 && id.arrival !== adopter.arrival && id.identity.messageId === undefined;
}

function placeKey({ path, uidValidity, uid }: Omit<Place, 'server'>): string {
  return `${uidValidity} ${uid} ${path}`;
}
