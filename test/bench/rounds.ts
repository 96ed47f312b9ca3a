/** Measures one scenario on all targets, one after the other in each round, so that a busy machine is unfair to all of them alike. */
import { setTimeout as delay } from 'node:timers/promises';
import type { BenchOptions, TargetName } from './options.ts';
import { cpuMs } from './process-usage.ts';
import { type Traffic, trafficSince } from './proxy/traffic.ts';
import type { Scenario } from './scenarios.ts';
import type { Site } from './site.ts';
import { extrapolate, type SizedTime } from './statistics.ts';
import type { Target } from './target.ts';
import { type Outcome, usersOf, type Work } from './work.ts';

/** Whoever took longer than this once is not asked again, unless everything is wanted. */
const PATIENCE_MS = 12_000;
/** What follows a session upstream has ended by then, a few round trips more. */
const AFTERMATH_MS = 40;
const AFTERMATH_TRIPS = 3;

/** One run. */
export interface Sample extends Outcome {
  readonly ms: number;
  /** Processor time of the bridge, what it did after the client had gone included; undefined where there is no bridge. */
  readonly cpuMs: number | undefined;
  /** Upstream; undefined without the proxy. */
  readonly traffic: Traffic | undefined;
}

/** All runs of a scenario on a target, at one distance. */
export interface Cell {
  readonly target: TargetName;
  readonly samples: readonly Sample[];
  /** Not measured at this size but at two smaller ones. */
  readonly isScaled: boolean;
}

/** The cells of a scenario at one distance. */
export interface Row {
  readonly scenario: string;
  readonly rttMs: number;
  readonly sessions: number;
  /** Octets of the messages that one run reads, in units of 10^6; undefined where it reads none. */
  readonly megabytes: number | undefined;
  readonly cells: readonly Cell[];
}

/** Measures a scenario. */
export async function measureRow(site: Site, scenario: Scenario, rttMs: number, options: BenchOptions): Promise<Row> {
  const sizesOf = ({ name }: Target): Scenario['peerMessages'] => (name === 'imapc' && rttMs > 0 ? scenario.peerMessages : undefined);
  const cells = site.targets.map((target) => ({ target: target.name, samples: [] as Sample[], isScaled: sizesOf(target) !== undefined }));
  let megabytes: number | undefined;
  for (let round = 0; round < options.rounds; round += 1) {
    for (let turn = 0; turn < cells.length; turn += 1) {
      const index = (turn + round) % cells.length;
      const [cell, target] = [cells[index], site.targets[index]];
      if (cell === undefined || target === undefined || isEnough(cell, options)) continue;
      const sizes = sizesOf(target);
      const work = await workFor(site, scenario);
      megabytes = 'octets' in work && work.do !== 'headers' ? work.octets / 1e6 : undefined;
      const measured =
        sizes === undefined ? sample(site, target, scenario, work, rttMs) : scaledSample(site, target, scenario, sizes, rttMs);
      cell.samples.push(await measured);
    }
  }
  return { scenario: scenario.name, rttMs, sessions: scenario.sessions, megabytes, cells };
}

function isEnough({ samples, isScaled }: Cell, { full }: BenchOptions): boolean {
  return samples.length > 0 && (isScaled || (!full && samples.some(({ ms }) => ms > PATIENCE_MS)));
}

async function workFor(site: Site, { mailbox, users, work }: Scenario): Promise<Work> {
  const names: string[] = [];
  if (users === 'fresh') names.push(await site.freshUser(mailbox));
  else for (let number = 0; number < (users === 'same' ? 1 : users); number += 1) names.push(await site.user(mailbox, number));
  return work(names, site.octets(names[0] ?? ''));
}

async function sample(site: Site, target: Target, scenario: Scenario, work: Work, rttMs: number): Promise<Sample> {
  await site.delay(0);
  for (const user of usersOf(work)) {
    if (scenario.known === 'nothing') await target.forget(user);
    else if (!target.knows(user)) await target.perform({ do: 'poll', user, messages: scenario.mailbox.messages });
  }
  await site.delay(rttMs);
  await aftermath(rttMs);
  const before = await usage(site, target);
  const begunAt = performance.now();
  const outcome = await target.perform(work);
  const ms = performance.now() - begunAt;
  await aftermath(rttMs);
  const after = await usage(site, target);
  return {
    ...outcome,
    ms,
    cpuMs: before.cpu === undefined || after.cpu === undefined ? undefined : after.cpu - before.cpu,
    traffic: before.traffic === undefined || after.traffic === undefined ? undefined : trafficSince(before.traffic, after.traffic),
  };
}

/** What a mailbox of this size would take, from two that are smaller; of time alone. */
async function scaledSample(
  site: Site,
  target: Target,
  scenario: Scenario,
  [few, more]: readonly [number, number],
  rttMs: number,
): Promise<Sample> {
  const pollOf = async (messages: number): Promise<SizedTime> => {
    const mailbox = { ...scenario.mailbox, messages };
    const work = { do: 'poll', user: await site.user(mailbox), messages } as const;
    const { ms } = await sample(site, target, { ...scenario, mailbox }, work, rttMs);
    return { messages, ms };
  };
  const ms = extrapolate(await pollOf(few), await pollOf(more), scenario.mailbox.messages);
  return { ms, cpuMs: undefined, traffic: undefined };
}

function aftermath(rttMs: number): Promise<void> {
  return delay(AFTERMATH_MS + AFTERMATH_TRIPS * rttMs);
}

async function usage(site: Site, target: Target): Promise<{ readonly cpu: number | undefined; readonly traffic: Traffic | undefined }> {
  return {
    cpu: target.pid === undefined ? undefined : cpuMs(target.pid),
    traffic: target.link === undefined ? undefined : await site.traffic(target),
  };
}
