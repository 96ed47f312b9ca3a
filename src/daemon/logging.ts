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

/** Shorter ones would strike out half of every line; secrets are looked for by this much of their beginning. */
const MIN_SECRET_CHARACTERS = 4;
const STRUCK_OUT = '[secret]';

/** Secrets in use. The same one may be added more than once; each must be removed. */
export class LiveSecrets {
  readonly #uses = new Map<string, number>();
  /** The forms in use by their first characters, so that scrubbing takes the same time however many there are. */
  readonly #byBeginning = new Map<string, Set<string>>();

  /** Adds a secret and gives what removes it. */
  add(secret: string): () => void {
    if (secret.length < MIN_SECRET_CHARACTERS) return () => {};
    const forms = formsOf(secret);
    for (const form of forms) this.#use(form);
    return () => {
      for (const form of forms.splice(0)) this.#release(form);
    };
  }

  /** The text without any live secret, as it is, quoted, in base64 (also within something longer) or percent-encoded. */
  scrub(text: string): string {
    let scrubbed = '';
    let taken = 0;
    for (let at = 0; at + MIN_SECRET_CHARACTERS <= text.length; at += 1) {
      const form = this.#longestAt(text, at);
      if (form === undefined) continue;
      scrubbed += text.slice(taken, at) + STRUCK_OUT;
      taken = at + form.length;
      at = taken - 1;
    }
    return scrubbed + text.slice(taken);
  }

  #longestAt(text: string, at: number): string | undefined {
    const candidates = this.#byBeginning.get(text.slice(at, at + MIN_SECRET_CHARACTERS));
    if (candidates === undefined) return undefined;
    let longest: string | undefined;
    for (const form of candidates) {
      if (form.length > (longest?.length ?? 0) && text.startsWith(form, at)) longest = form;
    }
    return longest;
  }

  #use(form: string): void {
    this.#uses.set(form, (this.#uses.get(form) ?? 0) + 1);
    const beginning = form.slice(0, MIN_SECRET_CHARACTERS);
    const forms = this.#byBeginning.get(beginning) ?? new Set();
    this.#byBeginning.set(beginning, forms.add(form));
  }

  #release(form: string): void {
    const left = (this.#uses.get(form) ?? 1) - 1;
    if (left > 0) {
      this.#uses.set(form, left);
      return;
    }
    this.#uses.delete(form);
    const beginning = form.slice(0, MIN_SECRET_CHARACTERS);
    const forms = this.#byBeginning.get(beginning);
    forms?.delete(form);
    if (forms?.size === 0) this.#byBeginning.delete(beginning);
  }
}

/** What a secret looks like in what servers and libraries write: IMAP and JSON quote it, SASL has it in base64 behind other octets. */
function formsOf(secret: string): string[] {
  const octets = Buffer.from(secret);
  // Where other octets stand before or behind, the characters that hold bits of both are left out.
  const within = [0, 1, 2].map((shift) => {
    const text = Buffer.concat([Buffer.alloc(shift), octets]).toString('base64');
    return text.slice(Math.ceil((shift * 8) / 6), Math.floor(((shift + octets.length) * 8) / 6));
  });
  const encoded = [octets.toString('base64'), ...within];
  const urlSafe = encoded.map((text) => text.replaceAll('+', '-').replaceAll('/', '_'));
  const quoted = secret.replaceAll(/["\\]/g, '\\$&');
  const forms = [secret, quoted, JSON.stringify(secret).slice(1, -1), encodeURIComponent(secret.toWellFormed()), ...encoded, ...urlSafe];
  return [...new Set(forms)].filter((form) => form.length >= MIN_SECRET_CHARACTERS);
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
