/**
 * The port to local accounts: who may log in, and what they have upstream, sealed. Whatever resolves is on disk. Rejects with StoreError.
 */

/** Injective over upstream and user name, domain in lower case. */
export interface AccountKey {
  readonly upstream: string;
  readonly user: string;
}

/** A mail program with an app password of its own. */
export interface Device {
  readonly name: string;
  /** scrypt, in PHC form. */
  readonly hash: string;
  /** Seconds since 1970. */
  readonly createdAt: number;
  /** Seconds since 1970; 0: never. */
  readonly usedAt: number;
}

/** How an account logs in upstream. */
export type AccountKind = 'password' | 'oauth';

export interface StoredAccount extends AccountKey {
  /** Its name there. */
  readonly upstreamUser: string;
  readonly kind: AccountKind;
  readonly createdAt: number;
}

/** What a secret is for. */
export type SecretPurpose = 'password' | 'tokens';

export interface SealedSecret extends AccountKey {
  readonly purpose: SecretPurpose;
  readonly sealed: Uint8Array;
}

/** What may be told of an OAuth 2.0 sign-in. */
export interface SignIn {
  /** `needed`: nothing is asked of the provider before somebody signs in again. */
  readonly state: 'ok' | 'needed';
  /** Seconds since 1970, of the access token; 0 where unknown. */
  readonly expiresAt: number;
  /** Why a sign-in is needed; '' else. */
  readonly reason: string;
}

export interface AccountStore extends AsyncDisposable {
  accounts(): Promise<StoredAccount[]>;
  account(key: AccountKey): Promise<StoredAccount | undefined>;
  devices(key: AccountKey): Promise<Device[]>;
  /** Adds an account with its devices and secrets in one transaction; replaces what was there under that name. */
  addAccount(account: StoredAccount, devices: readonly Device[], secrets: readonly SealedSecret[]): Promise<void>;
  /** With its devices, secrets and sign-in, also where these are all there is. False where there is nothing. */
  removeAccount(key: AccountKey): Promise<boolean>;
  /** Adds the device or replaces the one of that name. */
  putDevice(key: AccountKey, device: Device): Promise<void>;
  removeDevice(key: AccountKey, name: string): Promise<boolean>;
  noteUse(key: AccountKey, device: string, at: number): Promise<void>;
  secret(key: AccountKey, purpose: SecretPurpose): Promise<Uint8Array | undefined>;
  /** Every sealed secret. */
  secrets(): Promise<SealedSecret[]>;
  /** Replaces what `reseal` gives another for, all in one transaction that nothing comes between. Gives how many. */
  resealSecrets(reseal: (secret: SealedSecret) => Uint8Array | undefined): Promise<number>;
  /** In one transaction, with the state of the sign-in where it changes with them. Also of accounts that the configuration declares. */
  putSecrets(secrets: readonly SealedSecret[], signIn?: AccountKey & SignIn): Promise<void>;
  signIn(key: AccountKey): Promise<SignIn | undefined>;
  putSignIn(key: AccountKey, signIn: SignIn): Promise<void>;
}
