/** What passed through a connection, or through all connections of a link; pure. */
import { type CommandCounts, CommandCounter } from './command-counter.ts';

/** Of one upstream connection, or a sum over several. */
export interface Traffic {
  readonly connections: number;
  readonly octetsUp: number;
  readonly octetsDown: number;
  /** How often the client spoke after it had heard something: what a slow line makes it wait for, unless it is pipelining. */
  readonly roundTrips: number;
  /** Undefined when any of the connections was encrypted. */
  readonly commands: CommandCounts;
}

/** Nothing at all. */
export const NO_TRAFFIC: Traffic = { connections: 0, octetsUp: 0, octetsDown: 0, roundTrips: 0, commands: {} };

/** Watches one connection. */
export class TrafficMeter {
  readonly #commands = new CommandCounter();
  #octetsUp = 0;
  #octetsDown = 0;
  #roundTrips = 0;
  // The accepted connection counts as heard: a TLS client speaks first, and waits for the answer.
  #spokeLast: 'client' | 'server' = 'server';

  /** The client sent this. */
  up(chunk: Buffer): void {
    this.#octetsUp += chunk.length;
    if (this.#spokeLast === 'server') this.#roundTrips += 1;
    this.#spokeLast = 'client';
    this.#commands.push(chunk);
  }

  /** The client was given this. */
  down(chunk: Buffer): void {
    this.#octetsDown += chunk.length;
    this.#spokeLast = 'server';
  }

  /** What it has seen so far. */
  traffic(): Traffic {
    return {
      connections: 1,
      octetsUp: this.#octetsUp,
      octetsDown: this.#octetsDown,
      roundTrips: this.#roundTrips,
      commands: this.#commands.counts(),
    };
  }
}

/** Two of them together. */
export function addTraffic(one: Traffic, other: Traffic): Traffic {
  return {
    connections: one.connections + other.connections,
    octetsUp: one.octetsUp + other.octetsUp,
    octetsDown: one.octetsDown + other.octetsDown,
    roundTrips: one.roundTrips + other.roundTrips,
    commands: combine(one.commands, other.commands, 1),
  };
}

/** What came between an earlier sum and a later one. */
export function trafficSince(earlier: Traffic, later: Traffic): Traffic {
  return {
    connections: later.connections - earlier.connections,
    octetsUp: later.octetsUp - earlier.octetsUp,
    octetsDown: later.octetsDown - earlier.octetsDown,
    roundTrips: later.roundTrips - earlier.roundTrips,
    commands: combine(later.commands, earlier.commands, -1),
  };
}

/** Commands of every verb; undefined where they can't be read. */
export function commandTotal({ commands }: Traffic): number | undefined {
  return commands === undefined ? undefined : Object.values(commands).reduce((sum, count) => sum + count, 0);
}

function combine(one: CommandCounts, other: CommandCounts, sign: 1 | -1): CommandCounts {
  if (one === undefined || other === undefined) return undefined;
  const verbs = [...new Set([...Object.keys(one), ...Object.keys(other)])];
  const sums = verbs.map((verb) => [verb, (one[verb] ?? 0) + sign * (other[verb] ?? 0)] as const);
  return Object.fromEntries(sums.filter(([, count]) => count !== 0));
}
