import { mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { holds } from '../../support/holds.ts';
import { Derivations } from '../../../src/store/derivations.ts';
import { SqliteStore } from '../../../src/store/sqlite-store.ts';
import { keyOf, mapOf } from './maps.ts';

let folder: string;
let map: string;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'popbridge-derivations-'));
  map = join(folder, 'map');
});

afterEach(() => rmSync(folder, { recursive: true, force: true }));

/** Of a map that is made only now. */
function fresh(): Derivations {
  rmSync(map, { force: true });
  const derivations = Derivations.of(map);
  writeFileSync(map, 'a map');
  return derivations;
}

const written = (): unknown => JSON.parse(readFileSync(`${map}.derivations`, 'utf8'));

/** All that was noted follows from T, as far as it tells. */
const areAll = (derivations: Derivations): boolean =>
  derivations.areAll(
    new Map([
      ['one', 'T'],
      ['two', 'T'],
      ['__proto__', 'T'],
    ]),
  );

describe('the derivations of a map', () => {
  test('are all there when each upstream has the template that is configured for it', () => {
    const derivations = fresh();
    derivations.note('one', 'T');
    derivations.note('two', 'T');
    expect(areAll(derivations)).toBe(true);
    expect(
      derivations.areAll(
        new Map([
          ['one', 'T'],
          ['two', 'U'],
        ]),
      ),
    ).toBe(false);
    expect(derivations.areAll(new Map([['one', 'T']]))).toBe(false);
  });

  test('are not there where nothing is known', () => expect(areAll(Derivations.of(map))).toBe(false));

  test('are read again as they were noted, also of an upstream named like a property of every object', () => {
    const derivations = fresh();
    for (const upstream of ['one', '__proto__', 'constructor']) derivations.note(upstream, 'T');
    expect(Derivations.of(map).areAll(new Map(['one', '__proto__', 'constructor'].map((upstream) => [upstream, 'T'])))).toBe(true);
    derivations.note('constructor', undefined);
    expect(written()).toMatchObject({ one: 'T', constructor: null });
  });

  test('grow dark and never bright again', () => {
    const noted = fc.array(fc.tuple(fc.constantFrom('one', 'two', '__proto__'), fc.constantFrom('T', 'U', undefined)), {
      minLength: 1,
      maxLength: 8,
    });
    holds(
      fc.property(noted, (notes) => {
        rmSync(`${map}.derivations`, { force: true });
        const derivations = fresh();
        for (const [upstream, template] of notes) derivations.note(upstream, template);
        const isBright = notes.every(([, template]) => template === 'T');
        expect([areAll(derivations), areAll(Derivations.of(map))]).toEqual([isBright, isBright]);
      }),
      { usual: 50 },
    );
  });

  test('stand in a file for its owner alone, and leave no draft of it', () => {
    fresh().note('one', 'T');
    expect(statSync(`${map}.derivations`).mode & 0o777).toBe(0o600);
    expect(readdirSync(folder).toSorted()).toEqual(['map', 'map.derivations']);
  });

  test('are not written through a link that stands where their draft is to be', () => {
    const file = join(folder, 'of-others');
    writeFileSync(file, 'as it was');
    symlinkSync(file, `${map}.derivations.new`);
    fresh().note('one', 'T');
    expect([readFileSync(file, 'utf8'), written()]).toEqual(['as it was', { one: 'T' }]);
  });

  test('are forgotten when the map is not there', () => {
    fresh().note('one', undefined);
    rmSync(map);
    Derivations.of(map);
    expect(readdirSync(folder)).toEqual([]);
  });

  test('are kept in memory where there is no file, and are as good there', () => {
    const derivations = Derivations.of(undefined);
    derivations.note('one', 'T');
    expect([areAll(derivations), areAll(Derivations.of(undefined)), readdirSync(folder)]).toEqual([true, false, []]);
  });

  test('are on disk before the map: when this can not be written they say already what it would have held', async () => {
    const path = join(folder, 'store.sqlite');
    await using store = SqliteStore.open(path, { templates: new Map(), onRebuilt: () => {}, now: new Date(0) });
    const next = { ...mapOf([1]), uidNext: Number.NaN };
    const change = { key: keyOf('alice'), previous: undefined, next, derivation: undefined };
    await expect(store.saveMaps([change], 0)).rejects.toMatchObject({ code: 'STORE_FAILED' });
    expect(JSON.parse(readFileSync(`${path}.derivations`, 'utf8'))).toEqual({ one: null });
    expect(await store.loadMap(keyOf('alice'))).toBeUndefined();
  });

  test('keep the map from being written where they can not be', async () => {
    const path = join(folder, 'store.sqlite');
    await using store = SqliteStore.open(path, { templates: new Map(), onRebuilt: () => {}, now: new Date(0) });
    mkdirSync(`${path}.derivations.new`);
    const change = { key: keyOf('alice'), previous: undefined, next: mapOf([1]), derivation: 'T' };
    await expect(store.saveMaps([change], 0)).rejects.toMatchObject({ code: 'STORE_FAILED' });
    expect(await store.loadMap(keyOf('alice'))).toBeUndefined();
  });
});
