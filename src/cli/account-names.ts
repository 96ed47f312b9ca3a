/** Names that `popbridge account` takes, checked before anybody is asked for a password. Pure. */
import { UsageError } from './exit-code.ts';

const NAME = /^[^\0-\x1f\x7f]{1,200}$/;

/** Throws UsageError: what is stored under such a name, no client could ever log in with. */
export function checkName(what: string, name: string): void {
  if (name === '') throw new UsageError(`${what} is empty`);
  if (!NAME.test(name)) throw new UsageError(`${what} must be of 1 to 200 characters, none of them a control character`);
  if (name !== name.trim()) throw new UsageError(`${what} begins or ends with a space; leave that out`);
}
