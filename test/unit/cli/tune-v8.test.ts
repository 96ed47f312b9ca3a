import { execFileSync } from 'node:child_process';
import { expect, test } from 'vitest';
import { tuneV8 } from '../../../src/cli/tune-v8.ts';

function flagsFor(node: string): readonly string[] {
  const flags: string[] = [];
  tuneV8(node, (flag) => flags.push(flag));
  return flags;
}

test('this Node knows every flag that is set', () => {
  const flags = flagsFor(process.versions.node);

  expect(flags).not.toEqual([]);
  expect(execFileSync(process.execPath, [...flags, '-e', 'process.stdout.write("fine")'], { encoding: 'utf8' })).toBe('fine');
});

test('a Node with another V8 is left as it is', () => {
  expect(flagsFor('26.1.0')).toEqual([]);
});
