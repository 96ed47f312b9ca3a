/** The work as a POP3 client does it that knows no pipelining. */
import { PopClient } from './pop-client.ts';
import { median } from './statistics.ts';
import type { Drain, Outcome, Poll, Storm, Work } from './work.ts';

/** Every user's, everywhere in the bench. */
export const PASSWORD = 'secret';

/** Does it through the POP3 server on this port; throws when an answer is not the right one. */
export async function popWork(port: number, work: Work): Promise<Outcome> {
  switch (work.do) {
    case 'poll':
      await poll(port, work);
      return {};
    case 'storm':
      await storm(port, work);
      return {};
    case 'headers':
      return drain(port, work, (number) => `TOP ${number} 0`);
    case 'drain':
    case 'drain and delete':
      return drain(port, work, (number) => `RETR ${number}`);
  }
}

async function poll(port: number, { user, messages }: Pick<Poll, 'user' | 'messages'>): Promise<void> {
  const client = await PopClient.login(port, user, PASSWORD);
  const { status } = await client.command('STAT');
  if (Number(status.split(' ')[1]) !== messages) throw new Error(`${messages} messages, but STAT: ${status}`);
  await client.multi('UIDL');
  await client.multi('LIST');
  await client.quit();
}

async function storm(port: number, { users, turns, messages }: Storm): Promise<void> {
  await Promise.all(
    users.map(async (user) => {
      for (let turn = 0; turn < turns; turn += 1) await poll(port, { user, messages });
    }),
  );
}

async function drain(port: number, work: Drain, command: (number: number) => string): Promise<Outcome> {
  const client = await PopClient.login(port, work.user, PASSWORD);
  await client.multi('UIDL');
  const delays: number[] = [];
  let octets = 0;
  for (let number = 1; number <= work.messages; number += 1) {
    const answer = await client.multi(command(number));
    octets += answer.octets;
    delays.push(answer.firstOctetMs);
    if (work.do === 'drain and delete') await client.command(`DELE ${number}`);
  }
  await client.quit();
  if (work.do !== 'headers' && octets < work.octets) throw new Error(`${octets} of ${work.octets} octets`);
  return { firstOctetMs: median(delays) };
}
