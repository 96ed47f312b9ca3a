import { expect, test } from 'vitest';
import { addTraffic, commandTotal, NO_TRAFFIC, TrafficMeter, trafficSince } from '../../../bench/proxy/traffic.ts';

const meter = (dialogue: readonly string[]): TrafficMeter => {
  const watched = new TrafficMeter();
  for (const line of dialogue) {
    const chunk = Buffer.from(`${line.slice(2)}\r\n`);
    if (line.startsWith('C:')) watched.up(chunk);
    else watched.down(chunk);
  }
  return watched;
};

const LOGIN = ['S:* OK', 'C:a LOGIN u p', 'S:a OK'];

test('a round trip is counted when the client speaks after it has heard something', () => {
  const { roundTrips } = meter([...LOGIN, 'C:b NOOP', 'C:c NOOP', 'S:b OK', 'S:c OK', 'C:d LOGOUT']).traffic();
  expect(roundTrips).toBe(3);
});

test('a client that speaks first has waited for the connection', () => {
  expect(meter(['C:\u0016\u0003', 'S:\u0016\u0003']).traffic()).toMatchObject({ roundTrips: 1, commands: undefined });
});

test('sums of connections, and what came between two of them', () => {
  const [one, other] = [meter(LOGIN).traffic(), meter([...LOGIN, 'C:b NOOP']).traffic()];
  const sum = addTraffic(one, other);
  expect(sum).toMatchObject({ connections: 2, roundTrips: 3, commands: { LOGIN: 2, NOOP: 1 } });
  expect(trafficSince(one, sum)).toEqual(other);
  expect(trafficSince(sum, sum)).toEqual(NO_TRAFFIC);
  expect(commandTotal(sum)).toBe(3);
});

test('commands of a sum are unknown where those of a part are', () => {
  const encrypted = meter(['C:\u0016\u0003']).traffic();
  expect(commandTotal(addTraffic(meter(LOGIN).traffic(), encrypted))).toBeUndefined();
});
