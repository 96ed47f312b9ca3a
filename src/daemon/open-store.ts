/** Opens the store that the configuration names. */
import { join } from 'node:path';
import type { Clock } from '../clock.ts';
import type { BridgeConfig } from '../config/schema.ts';
import { SqliteStore } from '../store/sqlite-store.ts';
import type { Log } from './logging.ts';

export interface StoreParts {
  readonly stateDirectory: string;
  readonly clock: Clock;
  readonly log: Log;
}

/** Throws StoreError where it can't be opened, or is damaged and can't be made again. */
export function openStore(config: BridgeConfig, { stateDirectory, clock, log }: StoreParts): SqliteStore {
  const templates = new Map(config.upstreams.map(({ upstream, views }) => [upstream.id, views.get('')?.maildrop.uniqueId.text ?? '']));
  return SqliteStore.open(storePath(config.process.store.url, stateDirectory), {
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
