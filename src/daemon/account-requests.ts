/** What `popbridge account` may ask, by name: over the control socket, or where no daemon runs directly. */
import { z } from 'zod';
import { asTokenSet, tokenSet } from '../accounts/oauth/tokens.ts';
import type { AccountAdmin } from './account-admin.ts';
import type { ControlRequests } from './control-socket.ts';

/** As users type it; what is stored of it goes into logs and listings. */
const name = z.string().regex(/^[^\0-\x1f\x7f]{1,200}$/);
const target = z.object({ user: name, upstream: z.string().optional() });
const newAccount = target.extend({
  upstreamUser: name.optional(),
  upstreamPassword: z.string().min(1).optional(),
  tokens: tokenSet.optional(),
  device: name,
  password: z.string().optional(),
  isUntried: z.boolean(),
});
const devicePassword = target.extend({ device: name, password: z.string().optional() });
const upstreamPassword = target.extend({ password: z.string().min(1), isUntried: z.boolean() });

/** Requests throw BridgeError, Error with what to tell the user, and ZodError where their parameters make no sense. */
export function accountRequests(admin: AccountAdmin): ControlRequests {
  return {
    'account-list': () => admin.list(),
    'account-target': (params) => admin.target(target.parse(params)),
    'account-add': (params) => {
      const { tokens, upstreamPassword, ...account } = newAccount.parse(params);
      return admin.add({ ...account, upstreamPassword, tokens: tokens && asTokenSet(tokens) });
    },
    'account-signed-in': (params) => {
      const { tokens, ...whose } = target.extend({ tokens: tokenSet }).parse(params);
      return admin.signedIn(whose, asTokenSet(tokens));
    },
    'account-set-password': (params) => {
      const { device, password, ...whose } = devicePassword.parse(params);
      return admin.setPassword(whose, device, password);
    },
    'account-remove-device': (params) => {
      const { device, ...whose } = devicePassword.parse(params);
      return admin.removeDevice(whose, device);
    },
    'account-set-upstream-password': (params) => {
      const { password, isUntried, ...whose } = upstreamPassword.parse(params);
      return admin.setUpstreamPassword(whose, password, isUntried);
    },
    'account-remove': (params) => admin.remove(target.parse(params)),
    'account-inspect': (params) => admin.inspect(target.parse(params)),
    'account-rotate-key': () => admin.rotateKey(),
  };
}
