/**
 * The log: pino JSON lines on standard output, each with `event`; a plainer form on a terminal. Secrets are struck out by value of all
 * text from outside, whoever put it there (an upstream may echo a password back): those of a client in the lines of that client, and
 * tokens in every line. Words of our own are never touched, because a password may be any text, even the name of an event.
 */
import { pino } from 'pino';
import { BridgeError } from '../errors.ts';

export type LogLevel = 'debug' | 'info' | 'warn' | 'error';
export type LogFields = Readonly<Record<string, unknown>>;

/** One line a call: an event's name and what belongs to it. */
export interface Log {
  debug(event: string, fields?: LogFields): void;
  info(event: string, fields?: LogFields): void;
  warn(event: string, fields?: LogFields): void;
  error(event: string, fields?: LogFields): void;
  /** The same log for lines in which these secrets are struck out too. */
  withSecrets(secrets: LiveSecrets): Log;
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

/** Fields that hold words of our own or of the configuration, and addresses of clients. Text from outside stands in the others. */
const OWN_WORDS: ReadonlySet<string> = new Set([
  'client',
  'upstream',
  'view',
  'outcome',
  'what',
  'digest',
  'limits',
  'security',
  'tls',
  'tlsVersion',
]);

/** Secrets in use. The same one may be added more than once; each must be removed. */
export class LiveSecrets {
  /** Every secret that is held here is held there too. */
  readonly #all: LiveSecrets | undefined;
  readonly #held = new Set<() => void>();
  readonly #uses = new Map<string, number>();
  /** The forms in use by their first characters, so that scrubbing takes the same time however many there are. */
  readonly #byBeginning = new Map<string, Set<string>>();

  /** What is added here is added to `all`, too. */
  constructor(all?: LiveSecrets) {
    this.#all = all;
  }

  /** Adds a secret and gives what removes it. */
  add(secret: string): () => void {
    return secret.length < MIN_SECRET_CHARACTERS ? () => {} : this.#add(formsOf(secret));
  }

  #add(forms: readonly string[]): () => void {
    const removeFromAll = this.#all === undefined ? undefined : this.#all.#add(forms);
    for (const form of forms) this.#use(form);
    const remove = (): void => {
      if (!this.#held.delete(remove)) return;
      for (const form of forms) this.#release(form);
      removeFromAll?.();
    };
    this.#held.add(remove);
    return remove;
  }

  /** Removes all that were added here. */
  clear(): void {
    for (const remove of this.#held) remove();
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

/** A part of the program with secrets of its own: they are struck out in what it logs, as long as they are among `secrets`. */
export function withOwnSecrets<Parts extends { readonly log: Log; readonly secrets: LiveSecrets }>(parts: Parts): Parts {
  const secrets = new LiveSecrets(parts.secrets);
  return { ...parts, secrets, log: parts.log.withSecrets(secrets) };
}

/** `everywhere`: what is struck out in all lines. */
export function createLog(target: LogTarget, everywhere: LiveSecrets): AdjustableLog {
  let style: LogStyle = target;
  const stream = { write: (line: string) => target.write(style.pretty ? prettyLine(line) : line) };
  const logger = pino(
    {
      level: target.level,
      base: null,
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }) },
    },
    stream,
  );
  const logWith = (secrets: readonly LiveSecrets[]): Log => {
    const scrub = (text: string): string => secrets.reduce((left, some) => some.scrub(left), text);
    const lines =
      (level: LogLevel) =>
      (event: string, fields: LogFields = {}): void => {
        if (logger.isLevelEnabled(level))
          logger[level]({ event, ...scrubbedFields(fields, { scrub, withStacks: style.level === 'debug' }) });
      };
    return {
      debug: lines('debug'),
      info: lines('info'),
      warn: lines('warn'),
      error: lines('error'),
      withSecrets: (more) => logWith([...secrets, more]),
    };
  };
  return {
    ...logWith([everywhere]),
    adjust(next) {
      style = next;
      logger.level = next.level;
    },
  };
}

interface Scrubbing {
  readonly scrub: (text: string) => string;
  readonly withStacks: boolean;
}

function scrubbedFields(fields: LogFields, how: Scrubbing): Record<string, unknown> {
  return Object.fromEntries(Object.entries(fields).map(([key, value]) => [key, OWN_WORDS.has(key) ? value : scrubbed(value, how)]));
}

function scrubbed(value: unknown, how: Scrubbing): unknown {
  if (typeof value === 'string') return how.scrub(value);
  if (value instanceof Error) return errorFields(value, how);
  if (Array.isArray(value)) return value.map((item: unknown) => scrubbed(item, how));
  if (typeof value === 'object' && value !== null) return scrubbedFields({ ...value }, how);
  return value;
}

/** Gives an error as fields: its code and message and those of its causes, and stacks at level debug only. Codes of our own pass as they are. */
function errorFields(error: Error, how: Scrubbing): LogFields {
  const code = error instanceof BridgeError ? error.code : 'code' in error ? scrubbed(error.code, how) : undefined;
  return {
    ...(code === undefined ? {} : { code }),
    message: how.scrub(error.message),
    ...(how.withStacks && error.stack !== undefined ? { stack: how.scrub(error.stack) } : {}),
    ...(error.cause instanceof Error ? { cause: errorFields(error.cause, how) } : {}),
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
