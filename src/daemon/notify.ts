/**
 * Tells the service manager (sd_notify). Node has no datagram sockets of the Unix kind, so `systemd-notify` is started for each
 * message; without NOTIFY_SOCKET nothing happens, and a failure is logged, never fatal.
 */
import { spawn } from 'node:child_process';

export type ServiceState = 'READY=1' | 'STOPPING=1';

/** Resolves when the message is on its way or could not be sent. `status` is the line shown by `systemctl status`. */
export function notifyService(
  environment: Readonly<Record<string, string | undefined>>,
  state: ServiceState,
  status: string,
  onFailure: (reason: string) => void,
): Promise<void> {
  if ((environment['NOTIFY_SOCKET'] ?? '') === '') return Promise.resolve();
  return new Promise((resolve) => {
    const child = spawn('systemd-notify', [state, `STATUS=${status}`], { stdio: 'ignore', env: { ...environment } });
    child.once('error', (error) => {
      onFailure(error.message);
      resolve();
    });
    child.once('exit', (code) => {
      if (code !== 0 && code !== null) onFailure(`systemd-notify exited with ${code}`);
      resolve();
    });
  });
}
