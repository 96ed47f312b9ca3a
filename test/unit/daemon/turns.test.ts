import { expect, test } from 'vitest';
import { Turns } from '../../../src/daemon/turns.ts';

/** Work that says when it begins, and ends when it is told. */
function stages(log: string[]): {
  readonly work: (name: string) => () => Promise<string>;
  readonly end: (name: string) => void;
  readonly fail: (name: string) => void;
} {
  const open = new Map<string, PromiseWithResolvers<string>>();
  return {
    work: (name) => () => {
      log.push(name);
      const ended = Promise.withResolvers<string>();
      open.set(name, ended);
      return ended.promise;
    },
    end: (name) => open.get(name)?.resolve(name),
    fail: (name) => open.get(name)?.reject(new Error(name)),
  };
}

const settled = (): Promise<void> => new Promise((resolve) => void setImmediate(resolve));

test('work under one name waits for the one before, in the order in which it came', async () => {
  const log: string[] = [];
  const { work, end } = stages(log);
  const turns = new Turns();
  const results = ['one', 'two', 'three'].map((name) => turns.run('alice', work(name)));
  await settled();
  expect(log).toEqual(['one']);
  end('one');
  await settled();
  expect(log).toEqual(['one', 'two']);
  end('two');
  await settled();
  end('three');
  expect(await Promise.all(results)).toEqual(['one', 'two', 'three']);
});

test('work under another name does not wait', async () => {
  const log: string[] = [];
  const { work } = stages(log);
  const turns = new Turns();
  void turns.run('alice', work('one'));
  void turns.run('bob', work('two'));
  await settled();
  expect(log).toEqual(['one', 'two']);
});

test('work that fails, tells so to its caller alone: the next one runs', async () => {
  const log: string[] = [];
  const { work, end, fail } = stages(log);
  const turns = new Turns();
  const first = turns.run('alice', work('one'));
  const second = turns.run('alice', work('two'));
  await settled();
  fail('one');
  await expect(first).rejects.toThrow('one');
  await settled();
  end('two');
  expect(await second).toBe('two');
});

test('work that throws before it begins to wait is no other', async () => {
  const turns = new Turns();
  const broken = turns.run('alice', () => {
    throw new Error('at once');
  });
  await expect(broken).rejects.toThrow('at once');
  expect(await turns.run('alice', () => Promise.resolve('next'))).toBe('next');
});
