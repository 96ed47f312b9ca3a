/** `upstream.preset`: what a preset knows stands where the file says nothing else. Pure. */
import { isTable, valueAt } from './key-path.ts';
import { presetNamed } from './presets/presets.ts';

/** The document with the defaults of its preset. One without a preset, or with an unknown one, is given back as it is. */
export function withPreset(document: unknown): unknown {
  const name = valueAt(document, ['upstream', 'preset']);
  const preset = typeof name === 'string' ? presetNamed(name) : undefined;
  if (preset === undefined || !isTable(document)) return document;
  const merged: Record<string, unknown> = { ...document };
  for (const [table, defaults] of Object.entries(preset.tables)) {
    const own = document[table];
    // What is no table is a fault of its own.
    if (own === undefined || isTable(own)) merged[table] = { ...defaults, ...own };
  }
  return merged;
}
