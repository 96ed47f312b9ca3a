/** Exit codes (CONTRACT section 3) and the lines that go with a failure. */
import { BusyError, ConfigError, CredentialsError, describeFault, StoreError, UpstreamError } from '../errors.ts';

export const EXIT_FAILURE = 1;
export const EXIT_USAGE = 64;
const EXIT_UNAVAILABLE = 69;
const EXIT_BUSY = 75;
const EXIT_NO_PERMISSION = 77;
const EXIT_CONFIG = 78;

/** The command line makes no sense. */
export class UsageError extends Error {
  constructor(message: string) {
    super(message);
    this.name = 'UsageError';
  }
}

export function exitCodeFor(error: unknown): number {
  if (error instanceof ConfigError) return exitCodeForConfig(error);
  if (error instanceof UsageError) return EXIT_USAGE;
  if (error instanceof BusyError) return EXIT_BUSY;
  if (error instanceof UpstreamError || error instanceof CredentialsError) return EXIT_UNAVAILABLE;
  if (systemCode(error) === 'EADDRINUSE') return EXIT_BUSY;
  if (isPermissionDenied(error) || (error instanceof StoreError && error.code === 'STATE_UNSAFE')) return EXIT_NO_PERMISSION;
  return EXIT_FAILURE;
}

/** Options are "files" too: a fault in one is the command line's. A file that may not be read is no fault of its text. */
function exitCodeForConfig(error: ConfigError): number {
  if (error.faults.every((fault) => fault.file.startsWith('--'))) return EXIT_USAGE;
  return isPermissionDenied(error.cause) ? EXIT_NO_PERMISSION : EXIT_CONFIG;
}

function isPermissionDenied(error: unknown): boolean {
  const code = systemCode(error);
  return code === 'EACCES' || code === 'EPERM';
}

/** One line a fault, without a stack. */
export function linesFor(error: unknown): string[] {
  if (error instanceof ConfigError) return error.faults.map(describeFault);
  if (systemCode(error) === 'EADDRINUSE') return [`the address is in use: ${messageOf(error)}`];
  return [messageOf(error).replace(/\s*\n\s*/g, ' ')];
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

function systemCode(error: unknown): unknown {
  return typeof error === 'object' && error !== null && 'code' in error ? error.code : undefined;
}
