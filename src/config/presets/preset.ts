/** What is known of a mail provider or a server product. Pure data; a configuration file wins over it key by key. */

/** OAuth 2.0 at a provider. */
export interface PresetOAuth {
  /** As it names itself in answers (RFC 9207). */
  readonly issuer: string;
  /** `{tenant}` stands for `oauth.tenant`. */
  readonly authorization: string;
  readonly token: string;
  /** RFC 8628; undefined where the provider gives none for mail. */
  readonly device: string | undefined;
  readonly scopes: readonly string[];
  /** For client credentials; undefined where the provider has none. */
  readonly applicationScopes: readonly string[] | undefined;
  /** How it wants loopback addresses to be written (RFC 8252 section 7.3 says 127.0.0.1). */
  readonly redirectHost?: 'localhost';
  /** What an authorization request needs besides, to be given a refresh token. */
  readonly parameters: Readonly<Record<string, string>>;
}

export interface PresetQuirks {
  /** So many of an account at a time; more are refused. */
  readonly connections?: number;
  /** Only so many of a folder are shown, the newest. */
  readonly messages?: number;
  /** Nothing is given to who has not told ID (RFC 2971). */
  readonly needsId?: true;
  /** Where a message is still, after an expunge in its folder. */
  readonly expungeLeaves?: string;
  /** What the trash folder is called. */
  readonly trash?: string;
  /** No authority has signed its certificate, on this machine: it is to be pinned. */
  readonly signsItself?: true;
}

export interface Preset {
  readonly name: string;
  readonly title: string;
  /** Mail domains whose addresses are there. */
  readonly domains: readonly string[];
  /** Defaults for a configuration file's tables, as they would stand there. */
  readonly tables: {
    readonly upstream: {
      readonly host?: string;
      readonly port?: number;
      readonly security?: 'tls' | 'starttls';
      readonly username?: string;
      readonly client_id?: boolean;
      readonly command_timeout?: string;
    };
    readonly delete?: { readonly action?: string };
  };
  readonly oauth?: PresetOAuth;
  /** What it does otherwise than others. */
  readonly quirks?: PresetQuirks;
  /** What POP3 clients, or accounts here, log in with. */
  readonly login: 'password' | 'app password' | 'OAuth 2.0' | 'app password or OAuth 2.0';
  /** What a user has to know, a line each. */
  readonly hints: readonly string[];
}
