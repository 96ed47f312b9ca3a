/** The table [limits] of a configuration file. */
import { z } from 'zod';
import { count, duration, size } from './fields.ts';

export const limits = z
  .strictObject({
    sessions: count().default(2000).describe('Sessions at a time'),
    sessions_per_address: count().default(100).describe('Sessions at a time from one client address'),
    sessions_per_user: count().default(10).describe('Sessions at a time of one user'),
    login_failures: count()
      .default(5)
      .describe('Refused logins from one address within 10 minutes, before further ones wait before they are tried'),
    login_timeout: duration('1ms').prefault('60s').describe('Longest time a client may take to log in'),
    write_timeout: duration('1ms').prefault('2m').describe('Longest time a client may take no octet of an answer'),
    idle_timeout: duration('10m').prefault('10m').describe('Longest time between two commands; at least 10m (RFC 1939)'),
    message: size().prefault('0B').describe('Largest message that RETR gives; 0B: any'),
    messages: count()
      .default(2_000_000)
      .describe('Most messages of one folder; a server that claims more is not believed, and its users are told so'),
    body_cache: size()
      .prefault('64MiB')
      .describe('Octets of small messages that are kept for a few minutes after they were read, of all sessions together; 0B: none'),
    read_ahead: size()
      .prefault('4MiB')
      .describe('Octets of messages that a session holds because its client is likely to ask for them next; 0B: none'),
  })
  .prefault({})
  .describe('Limits, all enforced');
