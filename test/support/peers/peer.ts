/** A peer as those who use it see it: a path to start it by, or what to do to get it. */
import { catalogue, type PeerName } from './catalogue.ts';
import { isRoot, locate } from './locate.ts';

/** `path` starts the peer when it is `available`, else `hint` is the command that would provide it. */
export type Peer =
  | { readonly available: true; readonly path: string; readonly hint: string }
  | { readonly available: false; readonly path: undefined; readonly hint: string };

/** Looks for one peer. */
export function peer(name: PeerName): Peer {
  const path = locate(name);
  return path === undefined ? { available: false, path, hint: hint(name) } : { available: true, path, hint: hint(name) };
}

/** The path of a peer that must be there; throws a message with the hint. */
export function peerPath(name: PeerName): string {
  const found = peer(name);
  if (!found.available) throw new Error(`${name} is missing; to provide it: ${found.hint}`);
  return found.path;
}

/** An extracted peer that needs a mount namespace is of no use to a plain user, so that one has to be installed. */
function hint(name: PeerName): string {
  if (isRoot) return 'npm run peers';
  const { extractedAs, packages } = catalogue[name];
  return extractedAs === 'overlay' ? `sudo apt-get install --no-install-recommends ${packages.join(' ')}` : 'sudo npm run peers';
}
