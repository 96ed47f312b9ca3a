/** V8 is made for web pages; a daemon that sleeps between polls and lets many octets through wants two things of it otherwise. */
import { setFlagsFromString } from 'node:v8';

/** The flags of V8 are those of one version; another one complains of a name it does not know, so it is left as it is. */
const KNOWN_NODE = '24.';

/**
 * Call it before anything is allocated or compiled that is to stay. It changes how soon memory is tidied up and what compiled code is kept, never
 * what the program does.
 */
export function tuneV8(node: string, setFlag: (flag: string) => void = setFlagsFromString): void {
  if (!node.startsWith(KNOWN_NODE)) return;
  // Between polls nothing runs, and V8 throws away the code of what did not run lately: every session would begin cold.
  setFlag('--no-flush-bytecode');
  // Octets that were received lie outside the heap and are let go of when the young part of it is tidied. Where that grows large, a full collection
  // comes first, every 64 MiB that pass through: twice the processor time of a large message.
  setFlag('--scavenger-max-new-space-capacity-mb=8');
}
