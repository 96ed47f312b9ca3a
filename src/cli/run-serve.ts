/** What `popbridge serve` does: the daemon, until a signal ends it. */
import { pause, systemClock } from '../clock.ts';
import { configFromUpstreamUrl, defaultConfigPath, defaultStateDirectory, loadConfig } from '../config/load.ts';
import type { BridgeConfig } from '../config/schema.ts';
import { Daemon } from '../daemon/daemon.ts';
import { createLog, LiveSecrets, type Log, type LogStyle } from '../daemon/logging.ts';
import { notifyService, type ServiceState } from '../daemon/notify.ts';
import type { CliEnvironment } from './environment.ts';
import { UsageError } from './exit-code.ts';
import { fitSessions } from './fit-sessions.ts';
import type { ServeOptions } from './serve.ts';
import { prepareStateDirectory } from './state-directory.ts';
import { tuneV8 } from './tune-v8.ts';

/** A service manager that does not answer holds up the end no longer than this. */
const NOTIFY_GRACE_MS = 1_000;

/** Resolves when it has ended. Throws what kept it from starting. */
export async function serve(environment: CliEnvironment, options: ServeOptions): Promise<void> {
  tuneV8(environment.nodeVersion);
  if (options.upstream !== undefined && options.config.length > 0) throw new UsageError('give --upstream or --config, not both');
  const load = configLoader(environment, options);
  const config = load();
  const [secrets, tokens] = [new LiveSecrets(), new LiveSecrets()];
  const log = createLog({ ...logStyle(environment, config, options), write: environment.write }, tokens);
  const stateDirectory = options.state ?? defaultStateDirectory({ uid: environment.uid, env: environment.variables });
  prepareStateDirectory(stateDirectory, options.state === undefined ? stateDirectory : '--state', environment.uid);
  const signals = listenToSignals(environment, log.withSecrets(secrets));
  const daemon = await Daemon.start({
    loadConfig: () => fitted(load(), environment, log),
    stateDirectory,
    version: environment.version,
    pid: environment.pid,
    variables: environment.variables,
    killGroup: environment.killGroup,
    clock: systemClock,
    log,
    secrets,
    tokens,
    onReload: (next) => log.adjust(logStyle(environment, next, options)),
  });
  await untilStopped(environment, daemon, log, signals);
}

/** Signals that come while the daemon starts count too. */
interface Signals {
  readonly stopped: Promise<void>;
  onReload: () => void;
}

function listenToSignals(environment: CliEnvironment, log: Log): Signals {
  const { promise, resolve } = Promise.withResolvers<void>();
  const signals: Signals = { stopped: promise, onReload: () => {} };
  environment.onSignals({
    stop: () => resolve(),
    reload: () => signals.onReload(),
    bug: (reason) => log.error('bug', { error: reason }),
    outputLost: once((error) => environment.warn(`the log is lost, the daemon goes on: ${error.message}`)),
  });
  return signals;
}

/** Every line that can't be written would say the same. */
function once(tell: (error: Error) => void): (error: Error) => void {
  let isTold = false;
  return (error) => {
    if (!isTold) tell(error);
    isTold = true;
  };
}

function configLoader(environment: CliEnvironment, options: ServeOptions): () => BridgeConfig {
  const { upstream, listen } = options;
  if (upstream !== undefined) return () => configFromUpstreamUrl(upstream, listen);
  const paths = options.config.length > 0 ? options.config : [defaultConfigPath({ uid: environment.uid, env: environment.variables })];
  return () => loadConfig({ paths, listen });
}

function fitted(config: BridgeConfig, { descriptors }: CliEnvironment, log: Log): BridgeConfig {
  const fitting = fitSessions(config, descriptors);
  const [wanted, sessions] = [config, fitting].map((one) => one.process.limits.sessions);
  if (sessions !== wanted) log.warn('sessions-reduced', { wanted, sessions, descriptors });
  return fitting;
}

function logStyle(environment: CliEnvironment, config: BridgeConfig, options: ServeOptions): LogStyle {
  const { level, format } = config.process.log;
  const pretty = format === 'pretty' || (format === 'auto' && environment.isTerminal);
  return { level: options['log-level'] ?? level, pretty };
}

async function untilStopped(environment: CliEnvironment, daemon: Daemon, log: Log, signals: Signals): Promise<void> {
  const tell = (state: ServiceState, status: string): Promise<void> =>
    notifyService(environment.variables, state, status, (reason) => log.warn('notify-failed', { reason }));
  const reload = async (): Promise<void> => {
    await daemon.reload();
    await tell('READY=1', 'serving');
  };
  signals.onReload = () => void reload();
  // Never waited for: a service manager that does not answer must not hold up mail.
  void tell('READY=1', 'serving');
  await signals.stopped;
  const told = tell('STOPPING=1', 'stopping');
  await daemon.stop();
  await Promise.race([told, pause(systemClock, NOTIFY_GRACE_MS)]);
}
