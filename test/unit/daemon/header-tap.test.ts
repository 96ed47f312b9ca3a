import { describe, expect, test } from 'vitest';
import { HeaderTap } from '../../../src/daemon/header-tap.ts';

function tapped(message: string, chunkOctets = message.length): HeaderTap {
  const tap = new HeaderTap();
  const octets = Buffer.from(message, 'latin1');
  for (let at = 0; at < octets.length; at += chunkOctets) tap.take(octets.subarray(at, at + chunkOctets));
  return tap;
}

describe('a message that is sent to a client is known', () => {
  test.each([
    ['by its Message-ID', 'Subject: s\r\nMessage-ID: <1@a>\r\n\r\nMessage-ID: <2@a>\r\n', '<1@a>'],
    ['by that, with bare line feeds', 'Message-ID: <1@a>\n\nbody\n', '<1@a>'],
    ['to have nothing that tells', 'X: y\r\n\r\nSubject: no field\r\n', ''],
    ['to have no header', '\r\nSubject: no field\r\n', ''],
  ])('%s, however it is cut', (_, message, expected) => {
    for (const chunk of [1, 2, 3, 7, message.length]) expect(tapped(message, chunk).messageId()).toBe(expected);
  });

  test.each([
    ['has no end', 'Message-ID: <1@a>\r\n'],
    ['is too long', `X: ${'y'.repeat(65_536)}\r\nMessage-ID: <1@a>\r\n\r\n`],
    ['a server could read otherwise', 'X: y\rMessage-ID: <2@a>\r\nMessage-ID: <1@a>\r\n\r\n'],
    ['did not come', ''],
  ])('by what the server says of its header, where that %s', (_, message) => expect(tapped(message).messageId()).toBeUndefined());
});

test('what it was known by before is all there', () => {
  expect(tapped('X: y\rMessage-ID: <2@a>\r\nMessage-ID: <1@a>\r\n\r\nbody').everyMessageId()).toEqual(['<1@a>', '<2@a>']);
  expect(tapped('Message-ID: <1@a>\r\n').everyMessageId()).toEqual(['<1@a>']);
  expect(tapped('').everyMessageId()).toEqual([]);
});
