/** Every provider and server product there is a preset of. */
import type { Preset } from './preset.ts';

/** Defaults in tables of the file, with what each provider is known to want. */
export const PRESETS: readonly Preset[] = [
  {
    name: 'gmail',
    title: 'Gmail and Google Workspace',
    domains: ['gmail.com', 'googlemail.com'],
    // Expunging would only take a message out of the inbox; it stays in All Mail.
    tables: { upstream: { host: 'imap.gmail.com' }, delete: { action: 'trash' } },
    oauth: {
      issuer: 'https://accounts.google.com',
      authorization: 'https://accounts.google.com/o/oauth2/v2/auth',
      token: 'https://oauth2.googleapis.com/token',
      // Google's device flow takes no mail scopes.
      device: undefined,
      scopes: ['https://mail.google.com/'],
      applicationScopes: undefined,
      parameters: { access_type: 'offline', prompt: 'consent' },
    },
    login: 'app password or OAuth 2.0',
    hints: [
      'With 2-step verification on, make an app password: https://myaccount.google.com/apppasswords',
      'For OAuth 2.0 register a client of type "Desktop app" with the Gmail scope; while it is "in testing" a sign-in lasts 7 days',
      'In Gmail\'s settings, "limit IMAP folders" hides the rest from popbridge too',
    ],
    quirks: { connections: 15, expungeLeaves: 'in All Mail', trash: '[Gmail]/Trash, or [Gmail]/Bin, in the language of the account' },
  },
  {
    name: 'outlook',
    title: 'Microsoft 365, Outlook.com, Hotmail, Live',
    domains: ['outlook.com', 'hotmail.com', 'live.com', 'msn.com', 'outlook.de', 'outlook.fr', 'hotmail.co.uk', 'hotmail.fr', 'live.co.uk'],
    tables: { upstream: { host: 'outlook.office365.com' } },
    oauth: {
      issuer: 'https://login.microsoftonline.com/{tenant}/v2.0',
      authorization: 'https://login.microsoftonline.com/{tenant}/oauth2/v2.0/authorize',
      token: 'https://login.microsoftonline.com/{tenant}/oauth2/v2.0/token',
      device: 'https://login.microsoftonline.com/{tenant}/oauth2/v2.0/devicecode',
      scopes: ['https://outlook.office.com/IMAP.AccessAsUser.All', 'offline_access'],
      applicationScopes: ['https://outlook.office365.com/.default'],
      redirectHost: 'localhost',
      parameters: {},
    },
    login: 'OAuth 2.0',
    quirks: { trash: 'Deleted, or Deleted Items' },
    hints: [
      'Microsoft takes no passwords over IMAP, app passwords included: sign in with OAuth 2.0',
      'Register an application (Entra ID, "App registrations") with the redirect address http://localhost and public client flows allowed',
      'tenant = "consumers" for Outlook.com and Hotmail, "organizations" for work and school, or the id of one organisation',
      'Without a user: flow = "client-credentials", with the application permission IMAP.AccessAsApp and rights on the mailbox',
      '"User is authenticated but not connected": IMAP is off for that mailbox, or the token is another user\'s',
    ],
  },
  {
    name: 'icloud',
    title: 'Apple iCloud Mail',
    domains: ['icloud.com', 'me.com', 'mac.com'],
    tables: { upstream: { host: 'imap.mail.me.com', username: '{local}' } },
    login: 'app password',
    hints: ['Make an app-specific password: https://account.apple.com, "Sign-In and Security"'],
  },
  {
    name: 'yahoo',
    title: 'Yahoo Mail',
    domains: ['yahoo.com', 'yahoo.co.uk', 'yahoo.de', 'yahoo.fr', 'yahoo.it', 'yahoo.es', 'ymail.com', 'rocketmail.com'],
    tables: { upstream: { host: 'imap.mail.yahoo.com' } },
    oauth: {
      issuer: 'https://api.login.yahoo.com',
      authorization: 'https://api.login.yahoo.com/oauth2/request_auth',
      token: 'https://api.login.yahoo.com/oauth2/get_token',
      device: undefined,
      scopes: ['mail-w'],
      applicationScopes: undefined,
      parameters: {},
    },
    login: 'app password or OAuth 2.0',
    hints: ['Make an app password: account security, "Generate app password"; new OAuth 2.0 clients for mail are hardly given'],
    quirks: { messages: 10_000, connections: 5 },
  },
  {
    name: 'aol',
    title: 'AOL Mail',
    domains: ['aol.com', 'aim.com'],
    tables: { upstream: { host: 'imap.aol.com' } },
    oauth: {
      issuer: 'https://api.login.aol.com',
      authorization: 'https://api.login.aol.com/oauth2/request_auth',
      token: 'https://api.login.aol.com/oauth2/get_token',
      device: undefined,
      scopes: ['mail-w'],
      applicationScopes: undefined,
      parameters: {},
    },
    login: 'app password or OAuth 2.0',
    quirks: { messages: 10_000, connections: 5 },
    hints: ['Make an app password: account security, "Generate app password"'],
  },
  {
    name: 'fastmail',
    title: 'Fastmail',
    domains: ['fastmail.com', 'fastmail.fm', 'fastmail.org', 'sent.com'],
    tables: { upstream: { host: 'imap.fastmail.com' } },
    oauth: {
      issuer: 'https://api.fastmail.com',
      authorization: 'https://api.fastmail.com/oauth/authorize',
      token: 'https://api.fastmail.com/oauth/refresh',
      device: undefined,
      scopes: ['https://www.fastmail.com/dev/protocol-imap', 'offline_access'],
      applicationScopes: undefined,
      parameters: {},
    },
    login: 'app password or OAuth 2.0',
    hints: ['Make an app password that may use IMAP: "Privacy & Security", "Manage app passwords"'],
  },
  {
    name: 'zoho',
    title: 'Zoho Mail',
    domains: ['zoho.com', 'zohomail.com'],
    tables: { upstream: { host: 'imap.zoho.com' } },
    login: 'app password',
    hints: ['Switch IMAP on in the settings; own domains on paid plans use host = "imappro.zoho.com"'],
  },
  {
    name: 'zoho-eu',
    title: 'Zoho Mail, Europe',
    domains: ['zohomail.eu', 'zoho.eu'],
    tables: { upstream: { host: 'imap.zoho.eu' } },
    login: 'app password',
    hints: ['Switch IMAP on in the settings; own domains on paid plans use host = "imappro.zoho.eu"'],
  },
  {
    name: 'gmx',
    title: 'GMX',
    domains: ['gmx.de', 'gmx.net', 'gmx.at', 'gmx.ch'],
    tables: { upstream: { host: 'imap.gmx.net' } },
    login: 'password',
    hints: ['Switch on "POP3 & IMAP" in the settings; with two-factor authentication make an app password'],
  },
  {
    name: 'gmx-com',
    title: 'GMX, international',
    domains: ['gmx.com', 'gmx.us', 'gmx.co.uk'],
    tables: { upstream: { host: 'imap.gmx.com' } },
    login: 'password',
    hints: ['Switch on "POP3 & IMAP" in the settings; with two-factor authentication make an app password'],
  },
  {
    name: 'webde',
    title: 'WEB.DE',
    domains: ['web.de'],
    tables: { upstream: { host: 'imap.web.de' } },
    login: 'password',
    hints: ['Switch on "POP3 & IMAP" in the settings; with two-factor authentication make an app password'],
  },
  {
    name: 'yandex',
    title: 'Yandex Mail',
    domains: ['yandex.com', 'yandex.ru', 'ya.ru'],
    tables: { upstream: { host: 'imap.yandex.com' } },
    login: 'app password',
    hints: ['Switch IMAP on in the settings and make an app password for mail'],
  },
  {
    name: 'netease',
    title: 'NetEase 163',
    domains: ['163.com'],
    tables: { upstream: { host: 'imap.163.com', client_id: true } },
    login: 'app password',
    quirks: { needsId: true },
    hints: ['Switch IMAP on and make an authorisation code'],
  },
  {
    name: 'netease-126',
    title: 'NetEase 126',
    domains: ['126.com'],
    tables: { upstream: { host: 'imap.126.com', client_id: true } },
    login: 'app password',
    quirks: { needsId: true },
    hints: ['Switch IMAP on and make an authorisation code'],
  },
  {
    name: 'netease-yeah',
    title: 'NetEase yeah',
    domains: ['yeah.net'],
    tables: { upstream: { host: 'imap.yeah.net', client_id: true } },
    login: 'app password',
    quirks: { needsId: true },
    hints: ['Switch IMAP on and make an authorisation code'],
  },
  {
    name: 'proton-bridge',
    title: 'Proton Mail, through Proton Mail Bridge on this machine',
    domains: ['proton.me', 'protonmail.com', 'pm.me'],
    // Bridge decrypts before it answers.
    tables: { upstream: { host: '127.0.0.1', port: 1143, security: 'starttls', command_timeout: '2m' } },
    login: 'password',
    quirks: { signsItself: true },
    hints: [
      'User name and password are those that Bridge shows, not those of the Proton account',
      'Bridge signs its own certificate: `popbridge account add` pins the one it finds; a file of your own needs certificate_sha256',
    ],
  },
  {
    name: 'dovecot',
    title: 'A Dovecot server',
    domains: [],
    tables: { upstream: {} },
    login: 'password',
    hints: [
      'Give host',
      'After refused logins Dovecot delays all logins from that address; its authentication penalty can be switched off for the bridge',
    ],
  },
  {
    name: 'cyrus',
    title: 'A Cyrus server',
    domains: [],
    tables: { upstream: {} },
    login: 'password',
    quirks: { trash: 'INBOX.Trash, which [delete] folder has to name where it has no special use' },
    hints: ['Give host'],
  },
  {
    name: 'courier',
    title: 'A Courier server',
    domains: [],
    tables: { upstream: {} },
    login: 'password',
    quirks: { trash: 'INBOX.Trash, which [delete] folder has to name where it has no special use' },
    hints: ['Give host'],
  },
  {
    name: 'exchange',
    title: 'An Exchange server of your own',
    domains: [],
    tables: { upstream: {} },
    login: 'password',
    hints: ['Give host', 'Switch on IMAP4 and basic authentication for it; sizes are learned, as Exchange tells wrong ones'],
  },
];

export function presetNamed(name: string): Preset | undefined {
  return PRESETS.find((preset) => preset.name === name);
}

/** The preset of the provider that has addresses of that domain. */
export function presetOfDomain(domain: string): Preset | undefined {
  return PRESETS.find(({ domains }) => domains.includes(domain.toLowerCase()));
}

/** The preset of the provider whose server that is: its own domains are not the only ones that are served there. */
export function presetOfHost(host: string): Preset | undefined {
  const name = host.toLowerCase().replace(/\.$/, '');
  return PRESETS.find(({ domains, tables }) => domains.length > 0 && tables.upstream.host === name && name !== LOOPBACK);
}

const LOOPBACK = '127.0.0.1';
