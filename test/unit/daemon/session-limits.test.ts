import { once } from 'node:events';
import { Socket } from 'node:net';
import { describe, expect, test } from 'vitest';
import { SessionCounter } from '../../../src/daemon/session-limits.ts';

const LIMITS = { sessions: 3, sessionsPerAddress: 2, sessionsPerUser: 1 };

describe('the session limits', () => {
  test('hold for all connections, for an address and for a user', () => {
    const counter = new SessionCounter(() => LIMITS);
    counter.connect('192.0.2.1');
    counter.connect('192.0.2.1');
    expect(() => counter.connect('192.0.2.1')).toThrow('limits.sessions_per_address');
    counter.connect('192.0.2.2');
    expect(() => counter.connect('192.0.2.3')).toThrow(/limits\.sessions is reached/);
    counter.logIn('alice');
    expect(() => counter.logIn('alice')).toThrow('limits.sessions_per_user');
    expect(() => counter.logIn('bob')).not.toThrow();
  });

  test('what is given back can be taken again, and giving back twice counts once', () => {
    const counter = new SessionCounter(() => ({ ...LIMITS, sessions: 2 }));
    const giveBack = counter.connect('192.0.2.1');
    counter.connect('192.0.2.1');
    giveBack();
    giveBack();
    counter.connect('192.0.2.1');
    expect(() => counter.connect('192.0.2.2')).toThrow(/limits\.sessions is reached/);
    const logOut = counter.logIn('alice');
    logOut();
    logOut();
    counter.logIn('alice');
    expect(() => counter.logIn('alice')).toThrow(expect.objectContaining({ code: 'SESSION_LIMIT' }));
  });

  test('at the limit of sessions another one is let in where room can be made', () => {
    let idle = 1;
    const counter = new SessionCounter(
      () => LIMITS,
      () => (idle -= 1) >= 0,
    );
    for (const address of ['192.0.2.1', '192.0.2.2', '192.0.2.3', '192.0.2.4']) counter.connect(address);
    expect(() => counter.connect('192.0.2.4')).toThrow(/limits\.sessions is reached/);
    expect(() => counter.connect('192.0.2.5')).toThrow(/limits\.sessions is reached/);
  });

  test('at the limit of an address another one of it is let in where one of that address can go', () => {
    const idle = ['192.0.2.2', '192.0.2.1'];
    const counter = new SessionCounter(
      () => LIMITS,
      (address) => address !== undefined && idle.includes(address) && idle.splice(idle.indexOf(address), 1).length > 0,
    );
    for (let times = 0; times < 3; times += 1) counter.connect('192.0.2.1');
    expect(idle).toEqual(['192.0.2.2']);
    expect(() => counter.connect('192.0.2.1')).toThrow(/per_address/);
  });

  test('the sockets that go first at the limit of an address are its own', () => {
    const counter = new SessionCounter(() => ({ ...LIMITS, sessions: 10 }));
    const [hers, his] = ['192.0.2.1', '192.0.2.2'].map((address) => {
      const socket = new Socket();
      counter.leave(socket, address, counter.connect(address));
      return socket;
    });
    counter.connect('192.0.2.2');
    counter.connect('192.0.2.2');
    expect([hers?.destroyed, his?.destroyed]).toEqual([false, true]);
  });

  test('a place is given back when the socket is gone too; where room is needed such sockets go before anybody else', async () => {
    const others: string[] = [];
    const counter = new SessionCounter(
      () => LIMITS,
      () => others.push('another') > 0,
    );
    const sockets = ['192.0.2.1', '192.0.2.1', '192.0.2.2'].map((address) => {
      const socket = new Socket();
      counter.leave(socket, address, counter.connect(address));
      return socket;
    });
    counter.connect('192.0.2.3');
    expect([sockets.map(({ destroyed }) => destroyed), others]).toEqual([[true, false, false], []]);
    await once(sockets[0] ?? new Socket(), 'close');
    counter.connect('192.0.2.1');
    expect([sockets.map(({ destroyed }) => destroyed), others]).toEqual([[true, true, false], []]);
    const gone = new Socket().destroy();
    counter.leave(gone, '192.0.2.4', counter.connect('192.0.2.4'));
    expect(() => counter.connect('192.0.2.4')).not.toThrow();
  });

  test('a refused connection takes nothing', () => {
    const counter = new SessionCounter(() => ({ ...LIMITS, sessionsPerAddress: 1 }));
    counter.connect('192.0.2.1');
    for (let times = 0; times < 5; times += 1) expect(() => counter.connect('192.0.2.1')).toThrow(/per_address/);
    expect(() => counter.connect('192.0.2.2')).not.toThrow();
  });

  test('follow a configuration that was reloaded', () => {
    const limits = { ...LIMITS };
    const counter = new SessionCounter(() => limits);
    counter.logIn('alice');
    limits.sessionsPerUser = 2;
    expect(() => counter.logIn('alice')).not.toThrow();
  });
});
