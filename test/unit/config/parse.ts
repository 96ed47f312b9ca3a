/** Short forms for tests: TOML text in, faults as lines or configuration out. */
import { parse } from 'smol-toml';
import { parseDocument, type FileRole, type ParsedDocument } from '../../../src/config/parse-file.ts';
import type { FileConfig } from '../../../src/config/schema.ts';
import { describeFault } from '../../../src/errors.ts';

export function parseText(toml: string, role: FileRole = 'only', name = 'mail'): ParsedDocument {
  return parseDocument({ file: `${name}.toml`, folder: '/etc/popbridge', name, role, document: parse(toml) });
}

/** Faults without the file's name. */
export function faultsOf(toml: string, role: FileRole = 'only'): string[] {
  return parseText(toml, role).faults.map((fault) => describeFault({ ...fault, file: '' }));
}

/** The configuration of a text that must be free of faults. */
export function upstreamOf(toml: string, name = 'mail'): FileConfig {
  const { faults, upstream } = parseText(toml, 'upstream', name);
  if (upstream === undefined || faults.length > 0) throw new Error(faults.map(describeFault).join('\n'));
  return upstream;
}
