/** A line on the terminal that tells how far long work has come; nothing where nobody watches. */
import type { Progress } from '../daemon/control-socket.ts';

const WIDTH = 24;

/** `write` takes text for the terminal, undefined where there is none. */
export function progressBar(write: ((text: string) => void) | undefined): { readonly progress: Progress; readonly clear: () => void } {
  let isShown = false;
  return {
    progress: (done, total, what) => {
      if (write === undefined || total === 0) return;
      isShown = true;
      const share = Math.min(1, done / total);
      const filled = Math.round(share * WIDTH);
      write(`\r[${'='.repeat(filled)}${' '.repeat(WIDTH - filled)}] ${Math.floor(share * 100)} % ${what} (${done} of ${total})\u001b[K`);
    },
    clear: () => {
      if (isShown) write?.('\r\u001b[K');
      isShown = false;
    },
  };
}
