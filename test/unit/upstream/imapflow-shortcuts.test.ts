import { expect, test } from 'vitest';
import { LoginShortcuts } from '../../../src/upstream/imapflow-shortcuts.ts';

test('AUTHENTICATE PLAIN takes one step where an initial response may be sent', () => {
  const shortcuts = new LoginShortcuts(() => true);
  expect(shortcuts.of('A1 AUTHENTICATE PLAIN\r\n')).toEqual({ send: '', answer: '+ \r\n' });
  expect(shortcuts.of('AGFsaWNlAHNlY3JldA==\r\n')).toEqual({ send: 'A1 AUTHENTICATE PLAIN AGFsaWNlAHNlY3JldA==\r\n', answer: '' });
  expect(shortcuts.of('A2 CAPABILITY\r\n')).toBeUndefined();
});

test('and two where it may not, or the mechanism is another one', () => {
  expect(new LoginShortcuts(() => false).of('A1 AUTHENTICATE PLAIN\r\n')).toBeUndefined();
  expect(new LoginShortcuts(() => true).of('A1 AUTHENTICATE LOGIN\r\n')).toBeUndefined();
  expect(new LoginShortcuts(() => true).of('A1 AUTHENTICATE XOAUTH2 dXNlcg==\r\n')).toBeUndefined();
});

test.for([
  ['7 ID ("name" "x")\r\n', '7 OK\r\n', '* ID'],
  ['7 ID (\r\n', '7 OK\r\n', '* ID'],
  ['7 NAMESPACE\r\n', '7 OK\r\n', '* NAMESPACE'],
  ['7 LIST "" ""\r\n', '7 OK\r\n', '* LIST'],
] as const)('%j goes nowhere: it is answered on the spot', ([line, end, beginning]) => {
  const shortcut = new LoginShortcuts(() => true).of(line);
  expect(shortcut?.send).toBe('');
  expect(shortcut?.answer.startsWith(beginning)).toBe(true);
  expect(shortcut?.answer.endsWith(end)).toBe(true);
});

test.for(['7 LIST "" "*"\r\n', '7 LOGIN alice secret\r\n', '7 STARTTLS\r\n', '7 ENABLE CONDSTORE\r\n', '7 IDLE\r\n', 'NAMESPACE\r\n'])(
  '%j goes to the server as it is',
  (line) => {
    expect(new LoginShortcuts(() => true).of(line)).toBeUndefined();
  },
);

test('before the login no password was sent, nor between a mechanism and the first answer to it, whatever else was', () => {
  const shortcuts = new LoginShortcuts(() => false);
  expect(shortcuts.hasSentSecret).toBe(false);
  shortcuts.of('A1 CAPABILITY\r\n');
  expect(shortcuts.hasSentSecret).toBe(false);
  shortcuts.of('A2 AUTHENTICATE PLAIN\r\n');
  expect(shortcuts.hasSentSecret).toBe(false);
  for (const line of ['*\r\n', 'A2 CAPABILITY\r\n', 'A3 NAMESPACE\r\n', 'A4 LOGOUT\r\n']) {
    shortcuts.of(line);
    expect(shortcuts.hasSentSecret).toBe(false);
  }
  shortcuts.of('AGFsaWNlAHNlY3JldA==\r\n');
  expect(shortcuts.hasSentSecret).toBe(true);
  for (const line of ['A6 LOGIN "alice" "secret"\r\n', 'A7 LOGIN {5}\r\n', 'A8 AUTHENTICATE XOAUTH2 dXNlcg==\r\n', '\r\n']) {
    shortcuts.of('A5 AUTHENTICATE PLAIN\r\n');
    shortcuts.of(line);
    expect(shortcuts.hasSentSecret).toBe(true);
  }
});

test.for(['A1 LOGIN "alice" "secret"\r\n', 'A1 AUTHENTICATE XOAUTH2 dXNlcg==\r\n'])('%j holds the password itself', (line) => {
  const shortcuts = new LoginShortcuts(() => true);
  shortcuts.of(line);
  expect(shortcuts.hasSentSecret).toBe(true);
  shortcuts.of('A2 CAPABILITY\r\n');
  expect(shortcuts.hasSentSecret).toBe(true);
});

test('with SASL-IR both go out together', () => {
  const shortcuts = new LoginShortcuts(() => true);
  shortcuts.of('A1 AUTHENTICATE PLAIN\r\n');
  expect(shortcuts.hasSentSecret).toBe(false);
  shortcuts.of('AGFsaWNlAHNlY3JldA==\r\n');
  expect(shortcuts.hasSentSecret).toBe(true);
});
