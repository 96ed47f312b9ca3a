/** The wall clock of a program under test, set from outside while it runs; its monotonic clock goes right. */
import { existsSync, readdirSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { cacheFolder } from './locate.ts';

const LIBRARY = 'faketime/libfaketimeMT.so.1';

export class WallClock {
  readonly #path: string;

  /** `path` is the file that sets it; right as long as nothing else is said. */
  constructor(path: string) {
    this.#path = path;
    this.jumpTo(0);
  }

  /** For the environment of the program. Needs the peer `faketime`. */
  get variables(): Readonly<Record<string, string>> {
    return {
      LD_PRELOAD: libraryPath(),
      FAKETIME_TIMESTAMP_FILE: this.#path,
      // Else the file counts every ten seconds.
      FAKETIME_NO_CACHE: '1',
      FAKETIME_DONT_FAKE_MONOTONIC: '1',
      NO_FAKE_STAT: '1',
    };
  }

  /** So many days from the true time. */
  jumpTo(days: number): void {
    const draft = `${this.#path}.new`;
    writeFileSync(draft, `${days < 0 ? '' : '+'}${days}d\n`);
    renameSync(draft, this.#path);
  }
}

/** The command's own preloading has the path of an installed package compiled in. */
function libraryPath(): string {
  const folders = ['/usr/lib', join(cacheFolder, 'root/usr/lib')].filter((folder) => existsSync(folder));
  const paths = folders.flatMap((folder) => readdirSync(folder).map((architecture) => join(folder, architecture, LIBRARY)));
  const found = paths.find((path) => existsSync(path));
  if (found === undefined) throw new Error(`there is no ${LIBRARY} below ${folders.join(' or ')}`);
  return found;
}
