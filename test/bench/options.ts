/** What the bench is asked to do, from its command line; pure. */
import { parseArgs } from 'node:util';

/** Who can be measured, in the order of the columns. */
export const TARGET_NAMES = ['popbridge', 'dovecot', 'imapc', 'raw'] as const;

/** `dovecot` is its own POP3 on the mailbox itself; `imapc` is the peer, Dovecot's POP3 before IMAP; `raw` reads IMAP and throws it away. */
export type TargetName = (typeof TARGET_NAMES)[number];

/** What the bench is asked to do. */
export interface BenchOptions {
  /** Milliseconds to the IMAP server and back, one table each. */
  readonly rtts: readonly number[];
  readonly rounds: number;
  /** Scenarios whose name matches. */
  readonly only: RegExp | undefined;
  readonly targets: readonly TargetName[];
  /** TLS between the bridges and the IMAP server. */
  readonly tls: boolean;
  /** No proxy before the IMAP server: nothing is counted, and only RTT 0 is possible. */
  readonly direct: boolean;
  /** Every round of everything, however long it takes. */
  readonly full: boolean;
  readonly json: string | undefined;
  readonly markdown: string | undefined;
}

/** Shown for `--help` and with every complaint. */
export const USAGE = `npm run bench -- [--rtt 0,20,80] [--rounds N] [--only PATTERN] [--targets ${TARGET_NAMES.join(',')}]
                 [--tls] [--direct] [--full] [--json FILE] [--markdown FILE]`;

/** Throws an Error with a sentence for the user. */
export function parseOptions(args: readonly string[]): BenchOptions | 'help' {
  const { values } = parseArgs({
    args: [...args],
    options: {
      rtt: { type: 'string', default: '0' },
      rounds: { type: 'string', default: '3' },
      only: { type: 'string' },
      targets: { type: 'string', default: TARGET_NAMES.join(',') },
      tls: { type: 'boolean', default: false },
      direct: { type: 'boolean', default: false },
      full: { type: 'boolean', default: false },
      json: { type: 'string' },
      markdown: { type: 'string' },
      help: { type: 'boolean', default: false },
    },
  });
  if (values.help) return 'help';
  const rtts = values.rtt.split(',').map((text) => wholeNumber('--rtt', text, 0));
  if (values.direct && rtts.some((rtt) => rtt > 0))
    throw new Error('--direct leaves out the proxy that makes the delay: it goes with --rtt 0');
  return {
    rtts,
    rounds: wholeNumber('--rounds', values.rounds, 1),
    only: values.only === undefined ? undefined : new RegExp(values.only, 'i'),
    targets: targetNames(values.targets.split(',')),
    tls: values.tls,
    direct: values.direct,
    full: values.full,
    json: values.json,
    markdown: values.markdown,
  };
}

function wholeNumber(option: string, text: string, least: number): number {
  if (!/^\d{1,6}$/.test(text) || Number(text) < least) throw new Error(`${option} takes whole numbers from ${least}, not "${text}"`);
  return Number(text);
}

function targetNames(names: readonly string[]): readonly TargetName[] {
  const unknown = names.find((name) => !TARGET_NAMES.some((known) => known === name));
  if (unknown !== undefined) throw new Error(`--targets: there is no "${unknown}", only ${TARGET_NAMES.join(', ')}`);
  return TARGET_NAMES.filter((name) => names.includes(name));
}
