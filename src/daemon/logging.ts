/**
 * The log: pino JSON lines on standard output, each with `event`; a plainer form on a terminal. Secrets of live sessions are
 * struck out by value in every string, whoever put it there (an upstream may echo a password back).
 */
import { pino, type Logger } from 'pino';
import { BridgeError } from '../errors.ts';

export type LogLevel = 'debug' | 'info' | 'warn' | 'error';
export type LogFields = Readonly<Record<string, unknown>>;

/** One line a call: an event's name and what belongs to it. */
export interface Log {
  debug(event: string, fields?: LogFields): void;
  info(event: string, fields?: LogFields): void;
  warn(event: string, fields?: LogFields): void;
  error(event: string, fields?: LogFields): void;
}

/** What a reload may change. */
export interface LogStyle {
  readonly level: string;
  readonly pretty: boolean;
}

/** A log whose style can be changed while it runs. */
export interface AdjustableLog extends Log {
  adjust(style: LogStyle): void;
}

export interface LogTarget extends LogStyle {
  readonly write: (line: string) => void;
}

/** Shorter ones would strike out half of every line. */
const MIN_SECRET_CHARACTERS = 4;
const STRUCK_OUT = '[secret]';

/** Secrets in use. The same one may be added more than once; each must be removed. */
export class LiveSecrets {
  readonly #uses = new Map<string, number>();

  /** Adds a secret and gives what removes it. */
  add(secret: string): () => void {
    if (secret.length < MIN_SECRET_CHARACTERS) return () => {};
    const forms = [...new Set([secret, Buffer.from(secret).toString('base64')])];
    for (const form of forms) this.#uses.set(form, (this.#uses.get(form) ?? 0) + 1);
    return () => {
      for (const form of forms.splice(0)) this.#release(form);
    };
  }

  /** The text without any live secret. */
  scrub(text: string): string {
    let scrubbed = text;
    for (const secret of this.#uses.keys()) scrubbed = scrubbed.replaceAll(secret, STRUCK_OUT);
    return scrubbed;
  }

  #release(form: string): void {
    const left = (this.#uses.get(form) ?? 1) - 1;
    if (left > 0) this.#uses.set(form, left);
    else this.#uses.delete(form);
  }
}

export function createLog(target: LogTarget, secrets: LiveSecrets): AdjustableLog {
  let style: LogStyle = target;
  const stream = { write: (line: string) => target.write(style.pretty ? prettyLine(line) : line) };
  const logger = pino(
    {
      level: target.level,
      base: null,
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: {
        level: (label) => ({ level: label }),
        log: (fields) => scrubbedFields(fields, secrets, style.level === 'debug'),
      },
    },
    stream,
  );
  return {
    debug: lines(logger, 'debug'),
    info: lines(logger, 'info'),
    warn: lines(logger, 'warn'),
    error: lines(logger, 'error'),
    adjust(next) {
      style = next;
      logger.level = next.level;
    },
  };
}

function lines(logger: Logger, level: LogLevel): (event: string, fields?: LogFields) => void {
  return (event, fields = {}) => {
    if (logger.isLevelEnabled(level)) logger[level]({ event, ...fields });
  };
}

function scrubbedFields(fields: LogFields, secrets: LiveSecrets, withStacks: boolean): Record<string, unknown> {
  return Object.fromEntries(Object.entries(fields).map(([key, value]) => [key, scrubbed(value, secrets, withStacks)]));
}

function scrubbed(value: unknown, secrets: LiveSecrets, withStacks: boolean): unknown {
  if (typeof value === 'string') return secrets.scrub(value);
  if (value instanceof Error) return scrubbed(errorFields(value, withStacks), secrets, withStacks);
  if (Array.isArray(value)) return value.map((item: unknown) => scrubbed(item, secrets, withStacks));
  if (typeof value === 'object' && value !== null) return scrubbedFields({ ...value }, secrets, withStacks);
  return value;
}

/** An error as fields: its code and message and those of its causes; stacks only at level debug. */
function errorFields(error: Error, withStacks: boolean): LogFields {
  const code = error instanceof BridgeError ? error.code : 'code' in error ? error.code : undefined;
  return {
    ...(code === undefined ? {} : { code }),
    message: error.message,
    ...(withStacks && error.stack !== undefined ? { stack: error.stack } : {}),
    ...(error.cause instanceof Error ? { cause: errorFields(error.cause, withStacks) } : {}),
  };
}

/** `12:34:56 info login user=alice …`: control characters stay escaped as JSON has them. */
function prettyLine(line: string): string {
  const { time, level, event, ...rest }: Record<string, unknown> = JSON.parse(line);
  const fields = Object.entries(rest).map(([key, value]) => `${key}=${typeof value === 'string' ? quoted(value) : JSON.stringify(value)}`);
  return `${String(time).slice(11, 19)} ${String(level).padEnd(5)} ${String(event)} ${fields.join(' ')}`.trimEnd() + '\n';
}

function quoted(value: string): string {
  if (/^[\x21\x23-\x5b\x5d-\x7e]+$/.test(value)) return value;
  // JSON leaves alone what acts on some terminals: C1 controls, and marks that turn the direction of writing.
  return JSON.stringify(value).replace(
    /[\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069]/g,
    (one) => `\\u${one.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
}
