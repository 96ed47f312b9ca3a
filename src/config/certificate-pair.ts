/** Which certificate an address uses. Pure. */
import type { FileTables, ListenTable } from './schema.ts';

type PairTable = FileTables['tls'];

/** The pair of the address itself, else that of [tls]; undefined where neither is complete. */
export function certificatePair(listen: ListenTable, tls: PairTable): PairTable | undefined {
  const pair = hasCertificateKeys(listen) ? listen : tls;
  return pair.certificate_file !== '' && pair.key_file !== '' ? pair : undefined;
}

/** True where one of both keys is set, complete or not. */
export function hasCertificateKeys(table: PairTable): boolean {
  return table.certificate_file !== '' || table.key_file !== '';
}

/** What `listen.security` is when it isn't set: starttls wherever there is a certificate. */
export function securityOf(listen: ListenTable, tls: PairTable): 'none' | 'starttls' | 'tls' {
  return listen.security ?? (certificatePair(listen, tls) === undefined ? 'none' : 'starttls');
}
