/** Sizes as the configuration writes them. Pure. */

const UNIT_OCTETS: Readonly<Record<string, number>> = {
  B: 1,
  kB: 1e3,
  KB: 1e3,
  MB: 1e6,
  GB: 1e9,
  TB: 1e12,
  KiB: 2 ** 10,
  MiB: 2 ** 20,
  GiB: 2 ** 30,
  TiB: 2 ** 40,
};

/** One whole number and one unit: "0B", "10KiB", "5MB", "64MiB". */
export const SIZE_PATTERN = /^(\d{1,15})(B|[kKMGT]B|[KMGT]iB)$/;

/** Octets; undefined when the text is no size. */
export function parseSize(text: string): number | undefined {
  const [, digits, unit] = SIZE_PATTERN.exec(text) ?? [];
  if (digits === undefined || unit === undefined) return undefined;
  const octets = Number(digits) * (UNIT_OCTETS[unit] ?? Number.NaN);
  return Number.isSafeInteger(octets) ? octets : undefined;
}
