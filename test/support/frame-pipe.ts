/** Joins WebSockets two by two: what comes from one goes to the other. So both ends can be in one page. */
import type { Hub, Transport } from '../../src/sync/index.ts';
import { serveWebSocket } from '../../src/sync/node.ts';

export interface FramePipe {
  /** Two that connect to `url/id` are joined; nothing is read of those whose id begins with `stalled`. */
  readonly url: string;
  /** Reads of them from now on, or from when both are there. */
  resume(id: string): void;
  close(): Promise<void>;
}

export async function servePipe(): Promise<FramePipe> {
  const firsts = new Map<string, Transport>();
  const stalled = new Map<string, () => void>();
  const resumed = new Set<string>();
  const hub = {
    accept: (second: Transport, { storeId = '' }: { readonly storeId?: string }) => {
      const first = firsts.get(storeId);
      if (first === undefined) {
        firsts.set(storeId, second);
        return;
      }
      firsts.delete(storeId);
      const run = (): void => {
        forward(first, second);
        forward(second, first);
      };
      if (storeId.startsWith('stalled') && !resumed.delete(storeId)) stalled.set(storeId, run);
      else run();
    },
  };
  // Nothing else of a hub is asked for.
  const service = await serveWebSocket({ hub: hub as unknown as Hub, port: 0 });
  return {
    url: service.url,
    resume: (id) => {
      const run = stalled.get(id);
      if (run === undefined) resumed.add(id);
      else run();
      stalled.delete(id);
    },
    close: () => service.close(),
  };
}

function forward(from: Transport, to: Transport): void {
  from.start({
    message: (bytes) => to.send(bytes),
    drain: () => undefined,
    close: ({ code, reason }) => to.close(code, reason),
  });
}
