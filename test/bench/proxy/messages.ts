/** What the bench and its proxy process say to each other. */
import type { Traffic } from './traffic.ts';

/** To the proxy; answers come in the order of the questions. */
export type ProxyRequest =
  | { readonly ask: 'listen'; readonly targetPort: number }
  | { readonly ask: 'delay'; readonly rttMs: number }
  | { readonly ask: 'traffic'; readonly port: number };

/** From the proxy. */
export type ProxyAnswer = { readonly port: number } | { readonly traffic: Traffic } | { readonly done: true };
