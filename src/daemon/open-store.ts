/** Opens the store that the configuration names. */
import { join } from 'node:path';
import type { Clock } from '../clock.ts';
import type { BridgeConfig } from '../config/schema.ts';
import { derivationsFile } from '../store/derivations.ts';
import { SqliteStore } from '../store/sqlite-store.ts';
import type { Store } from '../store/store.ts';
import { derivationText } from './derivation.ts';
import { lockFile } from './daemon-lock.ts';
import type { Log } from './logging.ts';
import { databaseFiles, requireOwnFiles, requireSafeFolder } from './own-files.ts';

export interface StoreParts {
  readonly stateDirectory: string;
  readonly clock: Clock;
  readonly log: Log;
}

/**
 * The caller holds the lock of the state directory; a file elsewhere has a lock of its own, since two daemons with state directories of
 * their own could name it. Throws BusyError where another has it, StoreError where it can't be opened, is not ours, or is damaged and can't be made again.
 */
export function openStore(config: BridgeConfig, { stateDirectory, clock, log }: StoreParts): OpenStore {
  const { url } = config.process.store;
  const path = storePath(url, stateDirectory);
  const isElsewhere = url !== 'memory:' && url !== 'sqlite:';
  if (isElsewhere) requireSafeFolder(path, stateDirectory);
  if (url !== 'memory:') requireOwnFiles([...databaseFiles(path), derivationsFile(path)], stateDirectory);
  const lock = isElsewhere ? lockFile(`${path}.lock`, `the store ${path}`, stateDirectory) : undefined;
  try {
    const store = openFile(config, path, { clock, log });
    const close = async (): Promise<void> => {
      await store[Symbol.asyncDispose]();
      lock?.[Symbol.dispose]();
    };
    return { store, [Symbol.asyncDispose]: close };
  } catch (error) {
    lock?.[Symbol.dispose]();
    throw error;
  }
}

export interface OpenStore extends AsyncDisposable {
  readonly store: Store;
}

function openFile(config: BridgeConfig, path: string, { clock, log }: Omit<StoreParts, 'stateDirectory'>): SqliteStore {
  const templates = new Map(
    config.upstreams.map(({ upstream, views }) => {
      const { uniqueId, folders = [] } = views.get('')?.maildrop ?? {};
      return [upstream.id, uniqueId === undefined ? '' : derivationText(uniqueId, folders[0] ?? '')];
    }),
  );
  return SqliteStore.open(path, {
    templates,
    onRebuilt: (movedTo, error) => log.error('store-rebuilt', { movedTo, error }),
    now: new Date(clock.now()),
  });
}

/** `sqlite:` in the state directory, `sqlite:PATH`, or `memory:`. */
function storePath(url: string, stateDirectory: string): string {
  if (url === 'memory:') return ':memory:';
  const path = url.slice('sqlite:'.length);
  return path === '' ? join(stateDirectory, 'popbridge.sqlite') : path;
}
