/** The text behind an https address, for what is looked up once: little of it, soon, and from https alone. */

import { boundedText } from '../accounts/bounded-body.ts';

const MOST_REDIRECTS = 3;

/** Rejects where the answer is not 200, is longer than 256 KiB, or is sent away from https. */
export async function httpsText(url: string, signal: AbortSignal): Promise<string> {
  let next = url;
  for (let hop = 0; hop <= MOST_REDIRECTS; hop += 1) {
    const response = await fetch(next, { signal, redirect: 'manual' });
    const location = response.headers.get('location');
    if (response.status >= 300 && response.status < 400 && location !== null) {
      await response.body?.cancel();
      next = new URL(location, next).href;
      if (!next.startsWith('https:')) throw new Error('sent away from https');
      continue;
    }
    if (!response.ok) throw new Error(`status ${response.status}`);
    return boundedText(response);
  }
  throw new Error('too many redirects');
}
