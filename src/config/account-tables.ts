/** Tables of local accounts: [[account]], [oauth] and [secrets] (CONTRACT section 4). */
import { z } from 'zod';
import { commandLine, credentialName, issuerUrl, optionalText, passwordHash } from './fields.ts';

export const account = z
  .strictObject({
    user: optionalText().min(1, 'is empty; give the user name that POP3 clients type').describe('The user name that POP3 clients type'),
    password_hashes: z
      .array(passwordHash())
      .default([])
      .describe('App passwords, one per device, as "popbridge account hash" prints them; never the passwords themselves'),
    upstream_user: optionalText().default('').describe('The user name upstream; default: as upstream.username makes it'),
    upstream_password_file: optionalText().default('').describe('A file whose first line is the upstream password, not readable by others'),
    upstream_password_command: commandLine()
      .default([])
      .describe('A program and its arguments, run without a shell; the first line it prints is the upstream password'),
    upstream_credential: credentialName().default('').describe('The name of a systemd credential that is the upstream password'),
    oauth: z.boolean().default(false).describe('Signs in upstream with OAuth 2.0; see [oauth]'),
  })
  .describe('A local account, besides those of "popbridge account add"; exactly one source of upstream credentials');

export const oauth = z
  .strictObject({
    client_id: optionalText().default('').describe('The id of your own client registration at the provider'),
    client_secret_file: optionalText().default('').describe('A file with its secret, where it has one; not readable by others'),
    tenant: optionalText().default('common').describe('Microsoft: common, organizations, consumers, or the id of an organisation'),
    scopes: z.array(optionalText()).default([]).describe('What is asked for; default: as the preset has it'),
    issuer: issuerUrl().default('').describe('The provider, where the preset does not know it: its endpoints are discovered there'),
    flow: z
      .enum(['code', 'device', 'paste', 'client-credentials'])
      .default('code')
      .describe(
        'code: a browser on this machine; device: a code typed elsewhere; paste: a URL copied from a browser; client-credentials: nobody',
      ),
  })
  .optional()
  .describe('OAuth 2.0, with your own client registration');

export const secrets = z
  .strictObject({
    key_file: optionalText()
      .default('')
      .describe(
        'The key for tokens and passwords at rest; default: the systemd credential popbridge.key, else the variable POPBRIDGE_SECRETS_KEY, else secrets.key in the state directory',
      ),
  })
  .prefault({})
  .describe('Secrets at rest');

export type AccountTable = z.output<typeof account>;
export type OAuthTable = z.output<typeof oauth>;
