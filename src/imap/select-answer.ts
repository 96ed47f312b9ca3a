/**
 * What SELECT answers (RFC 3501 section 6.3.1). What the server did not say is unknown: no number stands in for it, least of all 0. Pure.
 */

const EXISTS = /^\* +(\d{1,10}) +EXISTS\b/i;
/** `* OK [UIDNEXT 4392] Predicted next UID`; some servers say NO for a code that is only a remark. */
const CODE = /^\* +(?:OK|NO) +\[([A-Z-]+)(?: +([^\]]*))?\]/i;
/** Octets in which everything of interest stands. */
const LONGEST = 200;

export class SelectAnswer {
  #exists: number | undefined;
  #codes = new Map<string, string>();

  /** Learns from an untagged line that came between SELECT and the answer to it. */
  take(line: Buffer): boolean {
    const text = line.toString('latin1', 0, LONGEST);
    const exists = EXISTS.exec(text)?.[1];
    if (exists !== undefined) this.#exists = Number(exists);
    const [, code = '', value = ''] = CODE.exec(text) ?? [];
    // Whatever came before concerns the mailbox that was selected until then (RFC 7162 section 3.2.11).
    if (code.toUpperCase() === 'CLOSED') this.#forget();
    else if (code !== '') this.#codes.set(code.toUpperCase(), value.trim());
    return exists !== undefined || code !== '';
  }

  /** How many messages the mailbox holds. */
  get exists(): number | undefined {
    return this.#exists;
  }

  /** As the server writes it: it may be no number, or one that is too large. */
  get uidValidity(): string | undefined {
    return this.#codes.get('UIDVALIDITY');
  }

  get uidNext(): number | undefined {
    const value = Number(this.#codes.get('UIDNEXT'));
    return Number.isSafeInteger(value) && value > 0 ? value : undefined;
  }

  /** A number of up to 63 bits that grows with every change of the mailbox (RFC 7162 section 3.1.2.1). Undefined if the server keeps none. */
  get highestModSeq(): string | undefined {
    const value = this.#codes.get('HIGHESTMODSEQ');
    return value !== undefined && /^[1-9]\d{0,19}$/.test(value) ? value : undefined;
  }

  /** Some servers say so in an untagged line, others with the answer itself; `text` is that of the answer. */
  isReadOnly(text: string): boolean {
    const code = /^\[([A-Z-]+)\]/i.exec(text)?.[1]?.toUpperCase();
    return code === 'READ-ONLY' || (code !== 'READ-WRITE' && this.#codes.has('READ-ONLY'));
  }

  #forget(): void {
    this.#exists = undefined;
    this.#codes = new Map();
  }
}
