/** What the process tells a daemon. */
export interface ProcessHandlers {
  readonly stop: () => void;
  readonly reload: () => void;
  /** A promise was rejected and nobody listened: our fault, to be logged; the sessions of others go on. */
  readonly bug: (reason: unknown) => void;
  /** Standard output takes no more: its reader is gone, or the disk is full. Without this handler the process ends. */
  readonly outputLost: (error: Error) => void;
}

/** What a command gets from the process: streams, environment, signals. Passed in, so that commands never touch `process`. */
export interface CliEnvironment {
  readonly version: string;
  readonly nodeVersion: string;
  readonly pid: number;
  readonly uid: number;
  /** So many files and sockets may be open at a time; undefined where nobody knows. */
  readonly descriptors: number | undefined;
  readonly variables: Readonly<Record<string, string | undefined>>;
  /** Ends a process with all of its group that are left. */
  readonly killGroup: (pid: number) => void;
  readonly stdin: NodeJS.ReadStream;
  readonly isTerminal: boolean;
  /** Writes to standard output. */
  readonly write: (text: string) => void;
  /** Writes to the terminal on standard error, to show progress; undefined where that is none. */
  readonly writeProgress: ((text: string) => void) | undefined;
  /** As root: becomes the user to whom that state directory belongs, for good. As anybody else: throws StoreError unless it is theirs. */
  readonly becomeOwnerOf: (folder: string) => void;
  /** Writes a question to standard error, so that standard output holds nothing but results. */
  readonly writeQuestion: (text: string) => void;
  /** Writes one line `popbridge: …` to standard error. */
  readonly warn: (line: string) => void;
  /** Calls back on SIGTERM and SIGINT, on SIGHUP, on a failure that nobody caught, and where standard output is lost. */
  readonly onSignals: (handlers: ProcessHandlers) => void;
}

/** Options that every command has. */
export interface GlobalOptions {
  readonly config: readonly string[];
  readonly 'log-level': string | undefined;
}
