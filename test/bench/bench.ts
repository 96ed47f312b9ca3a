/**
 * `npm run bench`: polls, drains, TOPs and a storm of sessions through the bridge, side by side with Dovecot's POP3 over imapc (the peer), with
 * Dovecot's own POP3 (no bridge at all) and with a raw reader of IMAP (the floor), interleaved in one run. Medians and ratios of one run can be
 * compared; absolute times mean little on a shared machine.
 */
import { writeFileSync } from 'node:fs';
import { cpus } from 'node:os';
import { measureMemory, type MemoryFigures } from './memory.ts';
import { type BenchOptions, parseOptions, USAGE } from './options.ts';
import { asMarkdown, asText, costTable, memoryTable, type Table, timeTable, trafficTable } from './report.ts';
import { measureRow, type Row } from './rounds.ts';
import { type Scenario, scenarios } from './scenarios.ts';
import { Site } from './site.ts';

const MEMORY = 'memory';

const options = optionsOf(process.argv.slice(2));
if (options === undefined) process.exitCode = 2;
else if (options === 'help') console.log(USAGE);
else await run(options);

async function run(options: BenchOptions): Promise<void> {
  await using site = await Site.start(options);
  const tables: Table[] = [];
  const rows: Row[] = [];
  const memory: MemoryFigures[] = [];
  const show = (table: Table): void => {
    tables.push(table);
    console.log(`\n${asText(table)}`);
  };
  console.log(title(options));
  for (const rttMs of options.rtts) {
    const measured: Row[] = [];
    for (const scenario of scenarios.filter((one) => isWanted(one, options))) {
      process.stderr.write(`RTT ${rttMs}: ${scenario.name} ...\n`);
      measured.push(await measureRow(site, scenario, rttMs, options));
    }
    if (measured.length === 0) continue;
    show(timeTable(measured));
    if (!options.direct) show(trafficTable(measured));
    show(costTable(measured));
    rows.push(...measured);
  }
  if (options.only === undefined || options.only.test(MEMORY)) {
    await site.delay(0);
    for (const target of site.targets) memory.push(...[await measureMemory(site, target)].filter((figures) => figures !== undefined));
    if (memory.length > 0) show(memoryTable(memory));
  }
  if (options.json !== undefined)
    writeFileSync(
      options.json,
      `${JSON.stringify({ title: title(options), options: { ...options, only: options.only?.source }, rows, memory }, undefined, 1)}\n`,
    );
  if (options.markdown !== undefined) writeFileSync(options.markdown, `${[title(options), ...tables.map(asMarkdown)].join('\n\n')}\n`);
}

function isWanted({ name, isExtra = false }: Scenario, { only, full }: BenchOptions): boolean {
  return only === undefined ? full || !isExtra : only.test(name);
}

function title({ rounds, tls, direct }: BenchOptions): string {
  const upstream = `${tls ? 'TLS' : 'plain'} upstream${direct ? ' without a proxy' : ''}`;
  return `medians of ${rounds} rounds, ${upstream}, Node ${process.versions.node}, ${cpus().length} cores; a ratio above 1: popbridge is faster; ~: scaled from smaller mailboxes`;
}

function optionsOf(args: readonly string[]): ReturnType<typeof parseOptions> | undefined {
  try {
    return parseOptions(args);
  } catch (error) {
    console.error(`${error instanceof Error ? error.message : String(error)}\n${USAGE}`);
    return undefined;
  }
}
