/** What several files mean together (CONTRACT section 4, [login]): upstreams are told apart, and files that share an address agree on it. Pure. */
import type { ConfigFault } from '../errors.ts';
import type { FileConfig, ListenConfig } from './schema.ts';

interface Sharer {
  readonly file: FileConfig;
  readonly listen: ListenConfig;
  /** `listen[0]`. */
  readonly key: string;
}

/** Every fault between files, named in the later one of two. */
export function checkSharing(files: readonly FileConfig[]): ConfigFault[] {
  const sharers = files.flatMap((file) => file.listen.map((listen, index): Sharer => ({ file, listen, key: `listen[${index}]` })));
  const addresses = Map.groupBy(sharers, ({ listen }) => listen.name);
  const perAddress = [...addresses.values()].filter((sharing) => sharing.length > 1).flatMap(checkAddress);
  return [...checkIds(files), ...withoutRepeats(perAddress)];
}

function checkIds(files: readonly FileConfig[]): ConfigFault[] {
  const owners = new Map<string, string>();
  return files.flatMap(({ upstream: { id, file } }) => {
    const owner = owners.get(id);
    if (owner === undefined) {
      owners.set(id, file);
      return [];
    }
    return [{ file, key: 'upstream.id', problem: `"${id}" is the upstream of ${owner} already; give each file an id of its own` }];
  });
}

function checkAddress(sharers: readonly Sharer[]): ConfigFault[] {
  const [first, ...others] = sharers;
  if (first === undefined) return [];
  return [...others.flatMap((other) => checkAgreement(first, other)), ...checkDomains(sharers), ...checkDefaults(sharers)];
}

function checkAgreement(first: Sharer, other: Sharer): ConfigFault[] {
  const differing = AGREED.filter(({ show }) => show(first.listen) !== show(other.listen));
  return differing.map(({ key, show }) => ({
    file: other.file.upstream.file,
    key: `${other.key}.${key}`,
    problem: `is ${show(other.listen)}, but ${show(first.listen)} in ${first.file.upstream.file}; files that share ${first.listen.name} must agree`,
  }));
}

/** What one listener can have only once, as text to compare and to show. */
const AGREED: readonly { readonly key: string; readonly show: (listen: ListenConfig) => string }[] = [
  { key: 'security', show: ({ security }) => `"${security}"` },
  { key: 'certificate_file', show: ({ certificateFile }) => JSON.stringify(certificateFile ?? '') },
  { key: 'key_file', show: ({ keyFile }) => JSON.stringify(keyFile ?? '') },
  { key: 'legacy', show: ({ legacy }) => String(legacy) },
  { key: 'allow_cleartext_login', show: ({ allowCleartextLogin }) => String(allowCleartextLogin) },
  { key: 'allow', show: ({ allow }) => JSON.stringify(allow.toSorted()) },
];

/** Each file takes the users of its domains, one may take the rest: a file with neither would never be chosen. */
function checkDomains(sharers: readonly Sharer[]): ConfigFault[] {
  const owners = new Map<string, string>();
  return sharers.flatMap(({ file, listen }) => {
    const { upstream, login } = file;
    if (login.domains.length === 0 && !login.default) {
      const others = sharers.filter((other) => other.file !== file).map((other) => other.file.upstream.file);
      const problem = `is empty, but ${listen.name} is shared with ${others.join(', ')}; give the domains of this upstream's users, or default = true`;
      return [{ file: upstream.file, key: 'login.domains', problem }];
    }
    return login.domains.flatMap((domain) => {
      const owner = owners.get(domain);
      if (owner === undefined) owners.set(domain, upstream.file);
      if (owner === undefined) return [];
      return [
        { file: upstream.file, key: 'login.domains', problem: `"${domain}" is taken by ${owner} on ${listen.name}; only one may have it` },
      ];
    });
  });
}

function checkDefaults(sharers: readonly Sharer[]): ConfigFault[] {
  const [first, ...others] = sharers.filter(({ file }) => file.login.default).map(({ file }) => file.upstream.file);
  if (first === undefined) return [];
  return others.map((file) => ({
    file,
    key: 'login.default',
    problem: `is true in ${first} too, on the same address; only one may take the rest`,
  }));
}

/** Two files may share more than one address; what they do wrong is said once. */
function withoutRepeats(faults: readonly ConfigFault[]): ConfigFault[] {
  const byText = new Map(faults.map((fault) => [JSON.stringify([fault.file, fault.key, fault.problem]), fault]));
  return [...byText.values()];
}
