/** Numbers that look random and are the same in every run; pure. */

/** Gives the next number in [0, 1). */
export type Random = () => number;

/** Mulberry32: 32 bits of state, good enough for sizes and letters. */
export function seededRandom(seed: number): Random {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 0x1_0000_0000;
  };
}

/** As mail is: many small, few huge. `count` whole numbers from `least` up that make `total` together. */
export function lognormalSizes(random: Random, count: number, total: number, least: number, sigma = 1.6): number[] {
  const drawn = Array.from({ length: count }, () => Math.exp(sigma * normal(random)));
  const sum = drawn.reduce((one, other) => one + other, 0);
  const spare = total - count * least;
  const sizes = drawn.map((value) => least + Math.floor((value / sum) * spare));
  const short = total - sizes.reduce((one, other) => one + other, 0);
  return sizes.map((size, index) => (index === 0 ? size + short : size));
}

/** Box and Muller. */
function normal(random: Random): number {
  return Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random());
}
