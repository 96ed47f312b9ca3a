/** The text of dovecot.conf (2.3) for the two roles Dovecot plays in the tests: an IMAP server, and a POP3 bridge to compare with. */

/** Loopback ports of one Dovecot. */
export interface DovecotPorts {
  readonly imap: number;
  readonly imaps: number;
  readonly pop3: number;
  readonly pop3s: number;
}

/** What both roles need to know. */
export interface DovecotSite {
  /** Holds everything; the settings below are paths in it. */
  readonly folder: string;
  readonly ports: DovecotPorts;
  readonly runUser: string;
  readonly runGroup: string;
  readonly protocols: readonly ('imap' | 'pop3')[];
  readonly extra: string;
}

/** A mail server with Maildirs below `folder/mail` and the users of `folder/users`. */
export function serverConfig(site: DovecotSite, capabilities: string | undefined, folders: readonly string[]): string {
  return `${common(site)}
mail_location = maildir:~/Maildir
mail_plugins = zlib
${capabilities === undefined ? '' : `imap_capability = ${capabilities}`}
protocol imap {
  mail_plugins = zlib imap_zlib
}
protocol pop3 {
  pop3_uidl_format = %08Xu%08Xv
}
namespace inbox {
  inbox = yes
  separator = /
${['Drafts', 'Sent', 'Trash'].map((name) => mailbox(name, `special_use = \\${name}`)).join('')}${folders.map((name) => mailbox(name, '')).join('')}}
passdb {
  driver = passwd-file
  args = username_format=%u ${site.folder}/users
}
userdb {
  driver = static
  args = uid=${site.runUser} gid=${site.runGroup} home=${site.folder}/mail/%u
}
${site.extra}
`;
}

/** A POP3 service whose mail is read from the IMAP server on `upstreamPort` by the imapc driver, as a migration would set it up. */
export function imapcConfig(site: DovecotSite, upstreamPort: number, tls: boolean): string {
  return `${common(site)}
mail_location = imapc:~/imapc
mail_home = ${site.folder}/mail/%u
imapc_host = 127.0.0.1
imapc_port = ${upstreamPort}
${tls ? 'imapc_ssl = imaps\nimapc_ssl_verify = no' : ''}
imapc_features = rfc822.size fetch-headers delay-login modseq
namespace inbox {
  inbox = yes
  separator = /
}
passdb {
  driver = imap
  args = host=127.0.0.1 port=${upstreamPort}${tls ? ' ssl=imaps allow_invalid_cert=yes' : ''}
  default_fields = userdb_imapc_user=%u userdb_imapc_password=%w
}
userdb {
  driver = prefetch
}
${site.extra}
`;
}

/**
 * Every user Dovecot would switch to is the one user of the tests and nothing is chrooted, so that it also runs without root. anvil-auth-penalty is
 * taken away because the delay after failed logins grows to 15 s per client address, and here all clients share one.
 */
function common(site: DovecotSite): string {
  const { folder, ports, runUser, runGroup } = site;
  return `base_dir = ${folder}/run
state_dir = ${folder}/state
log_path = ${folder}/dovecot.log
protocols = ${site.protocols.join(' ')}
listen = 127.0.0.1
default_internal_user = ${runUser}
default_internal_group = ${runGroup}
default_login_user = ${runUser}
ssl = yes
ssl_cert = <${folder}/cert.pem
ssl_key = <${folder}/key.pem
disable_plaintext_auth = no
auth_mechanisms = plain login
auth_failure_delay = 0
mail_uid = ${runUser}
mail_gid = ${runGroup}
first_valid_uid = 1
first_valid_gid = 1
mail_fsync = never
mail_max_userip_connections = 1000
${loginService('imap', ports.imap, ports.imaps)}${loginService('pop3', ports.pop3, ports.pop3s)}service anvil {
  chroot =
  unix_listener anvil-auth-penalty {
    mode = 0
  }
}
service auth-worker {
  user = ${runUser}
}
service stats {
  chroot =
}`;
}

function loginService(protocol: 'imap' | 'pop3', plain: number, implicit: number): string {
  return `service ${protocol}-login {
  chroot =
  service_count = 0
  inet_listener ${protocol} {
    port = ${plain}
  }
  inet_listener ${protocol}s {
    port = ${implicit}
    ssl = yes
  }
}
`;
}

function mailbox(name: string, specialUse: string): string {
  return `  mailbox ${JSON.stringify(name)} {
    auto = create
    ${specialUse}
  }
`;
}
