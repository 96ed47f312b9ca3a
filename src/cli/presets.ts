/** `popbridge presets`: the providers and server products that upstream.preset may name. */
import type { Argv, CommandModule } from 'yargs';
import type { Preset, PresetQuirks } from '../config/presets/preset.ts';
import { presetNamed, PRESETS } from '../config/presets/presets.ts';
import { nearestWord } from '../config/suggest.ts';
import type { CliEnvironment, GlobalOptions } from './environment.ts';
import { UsageError } from './exit-code.ts';
import { table } from './maildrop-text.ts';

interface PresetsOptions extends GlobalOptions {
  readonly name: string | undefined;
  readonly json: boolean;
}

export function presetsCommand(environment: CliEnvironment): CommandModule<GlobalOptions, PresetsOptions> {
  return {
    command: 'presets [name]',
    describe: 'Known providers and servers; with a name, all that is known of one',
    builder: (yargs: Argv<GlobalOptions>) =>
      yargs
        .positional('name', { type: 'string', describe: 'As in upstream.preset' })
        .option('json', { type: 'boolean', default: false, describe: 'Print JSON' }),
    handler: (options) => show(environment, options),
  };
}

function show(environment: CliEnvironment, { name, json }: PresetsOptions): void {
  const preset = name === undefined ? undefined : presetNamed(name);
  if (name !== undefined && preset === undefined) {
    const names = PRESETS.map((one) => one.name);
    const near = nearestWord(name, names);
    throw new UsageError(
      `there is no preset ${JSON.stringify(name)}; ${near === undefined ? `there are: ${names.join(', ')}` : `did you mean ${near}?`}`,
    );
  }
  const lines = preset === undefined ? overview() : details(preset);
  environment.write(json ? `${JSON.stringify(preset ?? PRESETS)}\n` : lines.map((line) => `${line}\n`).join(''));
}

function overview(): string[] {
  const rows = PRESETS.map(({ name, title, tables, login }) => [name, title, tables.upstream.host ?? '(yours)', login]);
  return table([['NAME', 'PROVIDER', 'HOST', 'LOGS IN WITH'], ...rows]);
}

function details({ name, title, domains, tables, oauth, login, quirks = {}, hints }: Preset): string[] {
  const { host, port, security = 'tls', username } = tables.upstream;
  return [
    `${name}: ${title}`,
    `host: ${host ?? 'yours'}${port === undefined ? '' : `, port ${port}`}, security "${security}"`,
    ...(username === undefined ? [] : [`username: ${username}`]),
    `logs in with: ${login}`,
    ...(domains.length === 0 ? [] : [`addresses: ${domains.map((domain) => `@${domain}`).join(', ')}`]),
    ...(oauth === undefined ? [] : oauthLines(oauth)),
    ...quirkLines(quirks).map((line) => `- ${line}`),
    ...hints.map((hint) => `- ${hint}`),
    '',
    '[upstream]',
    `preset = "${name}"`,
    ...(host === undefined ? ['host = "imap.example.com"'] : []),
  ];
}

function quirkLines({ connections, messages, needsId, expungeLeaves, trash }: PresetQuirks): string[] {
  return [
    ...(connections === undefined ? [] : [`At most ${connections} connections of an account at a time`]),
    ...(messages === undefined ? [] : [`At most the newest ${messages.toLocaleString('en')} messages of a folder are shown`]),
    ...(needsId === undefined ? [] : ['Needs ID (RFC 2971): upstream.client_id is on']),
    ...(expungeLeaves === undefined ? [] : [`[delete] action = "expunge" leaves a message ${expungeLeaves}`]),
    ...(trash === undefined ? [] : [`Trash: ${trash}`]),
  ];
}

function oauthLines({ authorization, token, device, scopes }: NonNullable<Preset['oauth']>): string[] {
  return [`sign-in: ${authorization}`, `tokens: ${token}`, `device codes: ${device ?? 'not for mail'}`, `scopes: ${scopes.join(' ')}`];
}
