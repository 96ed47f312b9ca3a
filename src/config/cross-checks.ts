/** What several keys of one file mean together. Each check names the keys it looks at, so that none speaks about a key that is itself faulty. Pure. */
import { isPattern, isSameMailbox, unescapedName } from '../maildrop/folder-name.ts';
import { tellsFolders } from '../maildrop/unique-id.ts';
import { checkAccounts, checkOAuth } from './account-checks.ts';
import { certificatePair, hasCertificateKeys, securityOf } from './certificate-pair.ts';
import { shown } from './fault-text.ts';
import { formatKeyPath, type KeyPath } from './key-path.ts';
import { formatAddress, isLoopbackHost } from './network-address.ts';
import { presetNamed } from './presets/presets.ts';
import type { FileTables, ListenTable } from './schema.ts';
import type { KeyFault } from './tolerant-parse.ts';
import { viewsOf, type NamedView } from './views.ts';

export interface CrossFault extends KeyFault {
  /** The other keys that the fault depends on. */
  readonly reads: readonly KeyPath[];
}

/** Every fault between keys of one file. */
export function crossCheck(tables: FileTables): CrossFault[] {
  return [
    ...checkUpstream(tables.upstream),
    ...checkQuirks(tables.upstream),
    ...checkPair(['tls'], tables.tls),
    ...tables.listen.flatMap((listen, index) => checkListen(['listen', index], listen, tables.tls)),
    ...checkAddresses(tables.listen),
    ...checkDomains(tables.login.domains),
    ...checkAccounts(tables),
    ...checkOAuth(tables),
    ...checkViews(tables),
  ];
}

/** What the provider refuses in any case. */
function checkQuirks(upstream: FileTables['upstream']): CrossFault[] {
  const most = presetNamed(upstream?.preset ?? '')?.quirks?.connections;
  if (upstream === undefined || most === undefined || upstream.connections_per_account <= most) return [];
  const problem = `is more than ${upstream.preset} takes; must be 1 to ${most}`;
  return [{ path: ['upstream', 'connections_per_account'], problem, reads: [['upstream', 'preset']] }];
}

function checkUpstream(upstream: FileTables['upstream']): CrossFault[] {
  if (upstream?.security !== 'none') return [];
  const { host } = upstream;
  const security = ['upstream', 'security'];
  const faults: CrossFault[] = [];
  if (!upstream.allow_cleartext && !isLoopbackHost(host)) {
    const problem = `"none" would send passwords in clear to ${host}; must be "tls" or "starttls", or set allow_cleartext = true`;
    faults.push({
      path: security,
      problem,
      reads: [
        ['upstream', 'host'],
        ['upstream', 'allow_cleartext'],
      ],
    });
  }
  for (const key of ['ca_file', 'certificate_sha256'] as const) {
    if (upstream[key] === '') continue;
    faults.push({
      path: ['upstream', key],
      problem: 'has no use with security = "none"; leave it out, or use "tls" or "starttls"',
      reads: [security],
    });
  }
  return faults;
}

function checkPair(table: KeyPath, pair: FileTables['tls']): CrossFault[] {
  const certificate = [...table, 'certificate_file'];
  const key = [...table, 'key_file'];
  if (pair.certificate_file !== '' && pair.key_file === '')
    return [{ path: certificate, problem: 'is set without key_file; give both', reads: [key] }];
  if (pair.certificate_file === '' && pair.key_file !== '')
    return [{ path: key, problem: 'is set without certificate_file; give both', reads: [certificate] }];
  return [];
}

function checkListen(table: KeyPath, listen: ListenTable, tls: FileTables['tls']): CrossFault[] {
  const faults = checkPair(table, listen);
  const isPairBroken = faults.length > 0;
  const key = (name: string): KeyPath => [...table, name];
  const certificateKeys = [key('certificate_file'), key('key_file'), ['tls']];
  const add = (name: string, problem: string, reads: readonly KeyPath[]): void => void faults.push({ path: key(name), problem, reads });

  const security = securityOf(listen, tls);
  if (security !== 'none' && !isPairBroken && certificatePair(listen, tls) === undefined) {
    add('security', `"${security}" needs a certificate; give certificate_file and key_file, here or in [tls]`, certificateKeys);
  }
  if (listen.security === 'none' && hasCertificateKeys(listen)) {
    add(
      listen.certificate_file === '' ? 'key_file' : 'certificate_file',
      'has no use with security = "none"; leave it out, or use "starttls" or "tls"',
      [key('security')],
    );
  }
  if (!listen.legacy) return faults;
  if (security === 'none' && !isPairBroken) {
    add('legacy', 'is about TLS, and this address has none; set security to "starttls" or "tls", with a certificate', [
      key('security'),
      ...certificateKeys,
    ]);
  }
  if (!listen.legacy_network && !isLoopbackHost(listen.address.host)) {
    add('legacy', `old TLS is allowed on loopback only, not on ${listen.address.host}; set legacy_network = true if it must be`, [
      key('address'),
      key('legacy_network'),
    ]);
  }
  return faults;
}

/** Port 0 may come more than once: each time it is another free port. */
function checkAddresses(listen: readonly ListenTable[]): CrossFault[] {
  const addresses = listen.map(({ address }) => formatAddress(address));
  return addresses.flatMap((address, index) => {
    const first = addresses.indexOf(address);
    if (first === index || listen[index]?.address.port === 0) return [];
    return [
      {
        path: ['listen', index, 'address'],
        problem: `${address} is listened on twice; leave one out`,
        reads: [['listen', first, 'address']],
      },
    ];
  });
}

function checkDomains(domains: readonly string[]): CrossFault[] {
  return domains.flatMap((domain, index) =>
    domains.indexOf(domain) === index
      ? []
      : [{ path: ['login', 'domains', index], problem: `${shown(domain)} is named twice; leave one out`, reads: [] }],
  );
}

/** A key that a view takes from the tables of the file is faulty there, and named once. */
function checkViews(tables: FileTables): CrossFault[] {
  const views = viewsOf(tables);
  const faults = views.flatMap((view) => checkDelete(view).concat(checkFolders(view), checkWhen(view, views.length > 1)));
  const named = new Set<string>();
  return faults.filter(({ path }) => named.size < named.add(formatKeyPath(path)).size);
}

function checkDelete({ name, table: { action, folder, folders, after }, pathOf }: NamedView): CrossFault[] {
  const path = pathOf('folder');
  const actionKey = pathOf('action');
  // What a view takes from the file's own tables may be of use there alone.
  const isOwn = (key: KeyPath): boolean => name === '' || key[0] === 'views';
  if (action === 'hide' && after > 0 && isOwn(pathOf('after')))
    return [
      { path: pathOf('after'), problem: 'has no use with action = "hide": nothing is ever removed; leave it out', reads: [actionKey] },
    ];
  if (action === 'move' && folder === '')
    return [
      {
        path: actionKey[0] === 'views' ? ['views', name, 'folder'] : path,
        problem: 'is missing; action = "move" needs the folder to move to',
        reads: [actionKey],
      },
    ];
  if (folder === '') return [];
  if (action === 'expunge' || action === 'flag' || action === 'hide') {
    if (!isOwn(path)) return [];
    return [{ path, problem: `has no use with action = "${action}"; leave it out`, reads: [actionKey] }];
  }
  if (!folders.some((own) => isSameMailbox(own, folder) || isSameMailbox(unescapedName(own), folder))) return [];
  const problem = `${shown(folder)} is the folder that clients see; deleted messages need another one`;
  return [{ path, problem, reads: [actionKey, pathOf('folders')] }];
}

function checkFolders({ table: { folders, unique_id: template }, pathOf }: NamedView): CrossFault[] {
  const path = pathOf('folders');
  const twice = folders.find((folder, index) => folders.indexOf(folder) < index);
  if (twice !== undefined) return [{ path, problem: `${shown(twice)} is named twice; leave one out`, reads: [] }];
  if ((folders.length === 1 && !folders.some(isPattern)) || tellsFolders(template)) return [];
  const problem = 'could give messages of two folders the same unique-id; must hold {folder}, as "popbridge" does, or name one folder';
  const key = pathOf('unique_id');
  // A view with more folders than the file's own maildrop: that one's template is good where it stands.
  if (path[0] === 'views' && key[0] !== 'views') {
    return [{ path, problem: `need a unique_id of the view's own: that of [maildrop] ${problem}`, reads: [key] }];
  }
  return [{ path: key, problem, reads: [path] }];
}

function checkWhen({ table, pathOf }: NamedView, hasViews: boolean): CrossFault[] {
  if (table.when === 'any-view' || hasViews) return [];
  return [{ path: pathOf('when'), problem: '"all-views" needs views; add tables [views.NAME], or use "any-view"', reads: [['views']] }];
}
