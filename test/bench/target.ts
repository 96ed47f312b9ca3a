/** What can be measured: the bridge, its peer, and the two controls. */
import type { TargetName } from './options.ts';
import type { Outcome, Work } from './work.ts';

export interface Target extends AsyncDisposable {
  readonly name: TargetName;
  /** Its POP3 port, where it has one. */
  readonly popPort: number | undefined;
  /** The process whose memory and time are its own; undefined where there is no bridge. */
  readonly pid: number | undefined;
  /** Where its upstream traffic passes through the proxy. */
  readonly link: number | undefined;
  perform(work: Work): Promise<Outcome>;
  /** Makes it as new, as far as this user is concerned: nothing is known, nothing is kept open. */
  forget(user: string): Promise<void>;
  /** Has this user been seen since? */
  knows(user: string): boolean;
}
