/** What STATUS tells of a mailbox that is not selected (RFC 3501 section 7.2.4). Pure. */

/** As the server tells it; undefined where it does not. */
export interface MailboxStatus {
  readonly messages: number | undefined;
  readonly uidNext: number | undefined;
}

const STATUS = /^\* +STATUS +(?:.|[\r\n])*\(([A-Z0-9 -]*)\)\s*$/i;
/** Octets of a line that is looked at. */
const LONGEST = 4_000;

/** Undefined for a line that is no answer to STATUS. */
export function statusIn(line: Buffer): MailboxStatus | undefined {
  const items = STATUS.exec(line.toString('latin1', 0, LONGEST))?.[1];
  if (items === undefined) return undefined;
  const item = (name: string): number | undefined => {
    const value = new RegExp(`(?:^| )${name} (\\d{1,10})\\b`, 'i').exec(items)?.[1];
    return value === undefined ? undefined : Number(value);
  };
  return { messages: item('MESSAGES'), uidNext: item('UIDNEXT') };
}

/** By how many messages a mailbox grew; undefined where that was not told both times. Others may deliver to it and take from it. */
export function growth(before: MailboxStatus | undefined, after: MailboxStatus | undefined): number | undefined {
  const between = (one: number | undefined, other: number | undefined): number | undefined =>
    one === undefined || other === undefined ? undefined : other - one;
  return between(before?.uidNext, after?.uidNext) ?? between(before?.messages, after?.messages);
}
