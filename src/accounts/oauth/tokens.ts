/** Tokens of one account as they are stored, sealed. Pure. */
import { z } from 'zod';

/** What a provider gave. */
export interface TokenSet {
  readonly accessToken: string;
  /** Undefined where none was given: then somebody has to sign in again when the access token ends. */
  readonly refreshToken: string | undefined;
  /** Seconds since 1970. */
  readonly issuedAt: number;
  /** Seconds since 1970; 0 where the provider did not say. */
  readonly expiresAt: number;
}

export const tokenSet = z.object({
  accessToken: z.string().min(1),
  refreshToken: z.string().min(1).optional(),
  issuedAt: z.number(),
  expiresAt: z.number(),
});

/** Renewed so long before its end, that none ends on its way to the server. */
const EARLY_SECONDS = 300;
const EARLY_PART = 0.2;

/** Whether the access token should be renewed before it is used. One that can't be is good to its end. */
export function isStale(tokens: TokenSet, now: number): boolean {
  const { issuedAt, expiresAt, refreshToken } = tokens;
  if (refreshToken === undefined || expiresAt === 0) return hasEnded(tokens, now);
  return now >= expiresAt - Math.min(EARLY_SECONDS, EARLY_PART * (expiresAt - issuedAt));
}

/** False where the provider did not say. */
export function hasEnded({ expiresAt }: TokenSet, now: number): boolean {
  return expiresAt !== 0 && now >= expiresAt;
}

export function encodeTokens(tokens: TokenSet): string {
  return JSON.stringify(tokens);
}

/** Throws where the text is none of ours. */
export function decodeTokens(text: string): TokenSet {
  return asTokenSet(tokenSet.parse(JSON.parse(text)));
}

export function asTokenSet({ refreshToken, ...rest }: z.output<typeof tokenSet>): TokenSet {
  return { ...rest, refreshToken };
}
