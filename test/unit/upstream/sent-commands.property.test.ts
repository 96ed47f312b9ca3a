import fc from 'fast-check';
import { expect, test } from 'vitest';
import { REPEATED, TOO_EARLY, wire } from '../../support/command-wire.ts';
import { holds } from '../../support/holds.ts';

interface Law {
  readonly texts: readonly string[];
  /** What the server does with a command that comes while another is at work. */
  readonly early: 'refuses' | 'loses';
  /** Whether the server is silent before the answer to a command, which then is repeated. */
  readonly silent: readonly boolean[];
}

test('a server that refuses or loses what comes too early gets every command in the end, and what is not to be repeated once', async () => {
  const law = fc.record<Law>({
    texts: fc.array(fc.constantFrom(...REPEATED), { minLength: 1, maxLength: 7 }),
    early: fc.constantFrom('refuses', 'loses'),
    silent: fc.array(fc.boolean(), { minLength: 20, maxLength: 20 }),
  });
  await holds(
    fc.asyncProperty(law, async ({ texts, early, silent }) => {
      const { commands, sent, ask, says } = wire();
      const all = texts.map(ask);
      let seen = 0;
      let carriedOut = 0;
      for (let turn = 0; turn < 20 && !commands.isEmpty; turn += 1) {
        // Of what has come, the first is carried out; the rest came while it was at work.
        const [first, ...rest] = sent.slice(seen);
        seen = sent.length;
        if (first === undefined) {
          expect(early).toBe('loses');
          expect(commands.repeatLost()).toBe(true);
          continue;
        }
        if (early === 'refuses') for (const line of rest) await says(`${line.split(' ')[0]} ${TOO_EARLY}`);
        if (silent[turn] === true) commands.repeatLost();
        carriedOut += 1;
        await says(`${first.split(' ')[0]} OK ${first.replace(/^\S+ /, '')}`);
      }
      expect(all.map(({ outcome }) => outcome)).toEqual(texts.map((text) => `OK ${text}`));
      expect([carriedOut, commands.isEmpty]).toEqual([texts.length, true]);
    }),
  );
});
