import { readdirSync, readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import {
  expectedOctets,
  expectedTraces,
  isAsWritten,
  mayBeCut,
  parseTranscript,
  replayOverTcp,
  replayThroughStep,
  type Cut,
  type Replay,
  type Transcript,
} from '../support/transcript-runner.ts';
import { VERBS } from '../../src/pop3/command.ts';

const FOLDER = new URL('.', import.meta.url);

const whole: Cut = (octets) => [octets];
const octetByOctet: Cut = (octets) => Array.from(octets, (_, index) => octets.subarray(index, index + 1));

/** Random lengths from 1 to 12, the same at every run: a small linear congruential generator. */
function atRandom(seed: number): Cut {
  let state = seed;
  return (octets) => {
    const pieces: Buffer[] = [];
    let from = 0;
    while (from < octets.length) {
      state = (state * 1_103_515_245 + 12_345) % 2 ** 31;
      const to = from + 1 + (Math.floor(state / 65_536) % 12);
      pieces.push(octets.subarray(from, to));
      from = to;
    }
    return pieces;
  };
}

const transcripts = readdirSync(FOLDER)
  .filter((name) => name.endsWith('.pop3'))
  .map((name) => [name.replace(/\.pop3$/, ''), parseTranscript(readFileSync(new URL(name, FOLDER), 'utf8'))] as const);

function check(transcript: Transcript, replay: Replay): void {
  const expected = expectedOctets(transcript);
  const isCut = mayBeCut(transcript) && expected.startsWith(replay.sent);
  expect(replay.sent).toBe(isCut ? replay.sent : expected);
  const { removed, seen } = expectedTraces(transcript);
  expect({ removed: replay.traces?.removed ?? [], seen: replay.traces?.seen ?? [] }).toEqual({ removed, seen });
  expect(replay.traces?.releases ?? 1).toBe(1);
  expect(replay.sent).not.toContain('SECRET');
}

const CUTS: readonly (readonly [name: string, cut: Cut])[] = [
  ['whole', whole],
  ['octet by octet', octetByOctet],
  ['at random splits', atRandom(1)],
  ['at other random splits', atRandom(2)],
];

describe.each(transcripts)('%s', (_, transcript) => {
  const cuts = isAsWritten(transcript) ? CUTS.slice(0, 1) : CUTS;

  test.each(cuts)('through step, %s', async (_name, cut) => {
    check(transcript, await replayThroughStep(transcript, cut));
  });

  test.each(cuts)('over TCP, %s', async (_name, cut) => {
    check(transcript, await replayOverTcp(transcript, cut));
  });

  test('over TCP, with all lines pipelined', async () => {
    check(transcript, await replayOverTcp(transcript, whole, true));
  });
});

test('every verb has a transcript in which it is sent', () => {
  const sent = transcripts.flatMap(([, { turns }]) =>
    turns.flatMap((turn) => (turn.by === 'client' ? turn.octets.toString('latin1').split(/\s+/) : [])),
  );
  const words = new Set(sent.map((word) => word.toUpperCase()));
  expect(VERBS.filter((verb) => !words.has(verb))).toEqual([]);
});
