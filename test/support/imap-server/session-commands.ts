/** Commands about the session itself: capabilities, TLS, authentication, idling, farewell. */
import type { CommandContext, CommandRows, Completion, SessionState } from './command-context.ts';
import type { Arguments } from './syntax.ts';

const WRONG_PASSWORD = 'NO [AUTHENTICATIONFAILED] Authentication failed.';
const NEEDS_TLS = 'NO [PRIVACYREQUIRED] TLS is required before authentication.';

export const sessionCommands: CommandRows = {
  CAPABILITY: { in: 'any', run: capability },
  NOOP: { in: 'any', run: (_context, args) => complete(args, 'OK NOOP completed.') },
  LOGOUT: { in: 'any', run: logout },
  ID: { in: 'any', capability: 'ID', run: identify },
  STARTTLS: { in: 'not-authenticated', run: startTls },
  LOGIN: { in: 'not-authenticated', run: login },
  AUTHENTICATE: { in: 'not-authenticated', run: authenticate },
  ENABLE: { in: 'authenticated', capability: 'ENABLE', run: enable },
  CHECK: { in: 'selected', run: (_context, args) => complete(args, 'OK Check completed.') },
  IDLE: { in: 'authenticated', capability: 'IDLE', run: (context, args) => idle(context, args) },
};

function complete(args: Arguments, text: string): Completion {
  args.end();
  return text;
}

function capability(context: CommandContext, args: Arguments): Completion {
  args.end();
  context.out.text(`* CAPABILITY ${context.capabilities.join(' ')}\r\n`);
  return 'OK Capability completed.';
}

function logout(context: CommandContext, args: Arguments): Completion {
  args.end();
  context.out.text('* BYE Logging out\r\n');
  return { text: 'OK Logout completed.', next: 'close' };
}

function identify(context: CommandContext, args: Arguments): Completion {
  args.take();
  args.end();
  context.out.text('* ID ("name" "scripted-imap-server")\r\n');
  return 'OK ID completed.';
}

function startTls(context: CommandContext, args: Arguments): Completion {
  args.end();
  if (!context.canStartTls) return 'BAD TLS is not available.';
  return { text: 'OK Begin TLS negotiation now.', next: 'start-tls' };
}

function login(context: CommandContext, args: Arguments): Completion {
  const user = args.astring();
  const password = args.astring();
  args.end();
  if (context.isLoginDisabled) return NEEDS_TLS;
  return enterAs(context, user.toString(), password);
}

/** AUTHENTICATE PLAIN (RFC 4616), its first answer on the command line where SASL-IR allows it (RFC 4959). */
async function authenticate(context: CommandContext, args: Arguments): Promise<Completion> {
  const mechanism = args.atom().toUpperCase();
  const initial = args.isEmpty ? undefined : args.atom();
  args.end();
  if (initial !== undefined && !context.has('SASL-IR')) return 'BAD Initial response is not supported.';
  if (context.isLoginDisabled) return NEEDS_TLS;
  if (mechanism !== 'PLAIN' || !context.has('AUTH=PLAIN')) return 'NO Unsupported authentication mechanism.';
  const response = initial ?? (await context.ask(''));
  if (response === undefined || response === '*') return 'BAD Authentication cancelled.';
  const [authorization, user, password, ...extra] = splitAtNul(Buffer.from(response, 'base64'));
  if (authorization === undefined || user === undefined || password === undefined || extra.length > 0) return 'BAD Invalid response.';
  if (authorization.length > 0 && !authorization.equals(user)) return 'NO [AUTHORIZATIONFAILED] Not allowed.';
  return enterAs(context, user.toString(), password);
}

function enterAs(context: CommandContext, user: string, password: Buffer): Completion {
  const account = context.authenticate(user, password);
  if (account === undefined) return WRONG_PASSWORD;
  context.enter({ phase: 'authenticated', account } satisfies SessionState);
  return `OK [CAPABILITY ${context.capabilities.join(' ')}] Logged in`;
}

function splitAtNul(octets: Buffer): Buffer[] {
  const parts: Buffer[] = [];
  let from = 0;
  for (let at = octets.indexOf(0); at >= 0; at = octets.indexOf(0, from)) {
    parts.push(octets.subarray(from, at));
    from = at + 1;
  }
  return [...parts, octets.subarray(from)];
}

/** Nothing here can be enabled, which is a legal answer (RFC 5161 section 3.1). */
function enable(context: CommandContext, args: Arguments): Completion {
  if (args.isEmpty) return 'BAD Missing capability.';
  args.rest();
  context.out.text('* ENABLED\r\n');
  return 'OK Enabled.';
}

async function idle(context: CommandContext, args: Arguments): Promise<Completion> {
  args.end();
  const stop = context.watchMailbox();
  const line = await context.ask('idling');
  stop();
  if (line?.toUpperCase() !== 'DONE') return 'BAD Expected DONE.';
  context.note('DONE');
  return 'OK Idle completed.';
}
