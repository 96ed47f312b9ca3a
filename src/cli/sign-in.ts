/** Signs in at an OAuth 2.0 provider on the terminal: with a browser here, a code on another device, or an address that is pasted. */
import { listenOnLoopback } from '../accounts/oauth/loopback-listener.ts';
import { Provider } from '../accounts/oauth/provider.ts';
import type { TokenSet } from '../accounts/oauth/tokens.ts';
import { systemClock } from '../clock.ts';
import type { OAuthConfig, OAuthFlow } from '../config/oauth-config.ts';
import type { CliEnvironment } from './environment.ts';
import { harmless } from './maildrop-text.ts';
import { ask } from './prompt.ts';

const SIGN_IN_MS = 10 * 60_000;
/**
 * Nobody listens there, and the browser shows the address that it could not open. Not a low one: browsers refuse those, and need not say where
 * they were sent. Whoever listens all the same gets a code that is worth nothing without the verifier (RFC 7636).
 */
const PASTE_PORT = 21_110;

/** Tokens of the user who signs in. Rejects with BridgeError, or Error where nobody does. */
export async function signIn(environment: CliEnvironment, config: OAuthConfig, flow: OAuthFlow): Promise<TokenSet> {
  const provider = await Provider.open(config, systemClock);
  const signal = AbortSignal.timeout(SIGN_IN_MS);
  switch (flow) {
    case 'device':
      return withDevice(environment, provider);
    case 'paste':
      return withPaste(environment, provider, config);
    case 'code':
      return withBrowser(environment, provider, config, signal);
    case 'client-credentials':
      throw new Error('flow = "client-credentials" needs no sign-in: the daemon asks for tokens itself');
  }
}

async function withBrowser(environment: CliEnvironment, provider: Provider, config: OAuthConfig, signal: AbortSignal): Promise<TokenSet> {
  await using listener = await listenOnLoopback(config.redirectHost, (reason) => environment.warn(reason));
  const request = await provider.requestCode(listener.redirectUri);
  environment.writeQuestion(`Open this address in a browser on this machine and sign in:\n\n    ${request.url}\n\n`);
  const { url, tell } = await listener.returned(request.state, signal);
  try {
    const tokens = await provider.exchangeCode(request, url);
    tell('You are signed in. This window can be closed.', true);
    return tokens;
  } catch (error) {
    tell('The sign-in failed; popbridge says why.', false);
    throw error;
  }
}

async function withPaste(environment: CliEnvironment, provider: Provider, config: OAuthConfig): Promise<TokenSet> {
  const request = await provider.requestCode(`http://${config.redirectHost}:${PASTE_PORT}/`);
  environment.writeQuestion(
    `Open this address in any browser and sign in; then the browser shows an address that it can not open:\n\n    ${request.url}\n\n`,
  );
  const pasted = (await ask(environment.stdin, 'Paste that address here: ', (text) => environment.writeQuestion(text))).trim();
  if (!environment.stdin.isTTY) environment.writeQuestion('\n');
  const returned = URL.parse(pasted);
  if (returned === null || !pasted.startsWith(request.redirectUri)) {
    throw new Error(`that is not the address; it must begin with ${request.redirectUri}`);
  }
  return provider.exchangeCode(request, returned);
}

async function withDevice(environment: CliEnvironment, provider: Provider): Promise<TokenSet> {
  const request = await provider.requestDeviceCode();
  const minutes = Math.ceil(request.expiresIn / 60);
  const invitation = harmless(`On any device, open ${request.uri} and type the code ${request.code} (good for ${minutes} minutes)`);
  environment.writeQuestion(`${invitation}\n`);
  const signal = AbortSignal.timeout(request.expiresIn * 1000);
  return request.granted(signal).catch((error: unknown) => {
    throw signal.aborted ? new Error('nobody signed in within the time for it') : error;
  });
}
