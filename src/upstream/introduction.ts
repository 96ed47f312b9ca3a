/** What client and server tell one another once, by commands of our own: ID (RFC 2971) and NAMESPACE (RFC 2342). */
import { namespacesIn, type NamespaceResponse } from '../imap/namespace-response.ts';
import type { ImapflowClient } from './imapflow-client.ts';
import type { Pipeline } from './pipeline.ts';

const TAKES_ID = { untagged: (line: Buffer): boolean => /^\* +ID\b/i.test(line.toString('latin1', 0, 8)) };

/** Tells who we are. Servers may refuse that; rejects only where the connection is lost. */
export async function tellId(pipeline: Pipeline, { name, version }: { readonly name: string; readonly version: string }): Promise<void> {
  await pipeline.ask(`ID ("name" ${quoted(name)} "version" ${quoted(version)})`, TAKES_ID);
}

export interface NamespaceLearner {
  readonly client: ImapflowClient;
  readonly pipeline: Pipeline;
  has(capability: string): boolean;
}

/** Asks for the namespaces, of which imapflow makes paths. */
export async function learnNamespaces(connection: NamespaceLearner): Promise<void> {
  const { client, pipeline } = connection;
  const { flow } = client;
  let found: NamespaceResponse | undefined;
  const take = (line: Buffer): boolean => {
    const namespaces = namespacesIn(line.toString('latin1'));
    found ??= namespaces;
    return namespaces !== undefined;
  };
  if (connection.has('NAMESPACE')) await pipeline.ask('NAMESPACE', { untagged: take });
  const personal = [...(found?.personal ?? [])].map(({ prefix, delimiter }) => ({ prefix, delimiter: delimiter ?? '' }));
  const [first = { prefix: '', delimiter: '' }] = personal;
  const others = (namespaces: NamespaceResponse['other'] = []): { prefix: string; delimiter: string }[] | false =>
    namespaces.length > 0 && namespaces.map(({ prefix, delimiter }) => ({ prefix, delimiter: delimiter ?? '' }));
  flow.namespaces = { personal: personal.length > 0 ? personal : [first], other: others(found?.other), shared: others(found?.shared) };
  flow.namespace = first;
}

function quoted(text: string): string {
  return `"${text.replace(/[^\x20-\x7e]/g, '').replace(/["\\]/g, '\\$&')}"`;
}
