/** A server and its subscribers in one simulated world: connections that can be cut, slowed and watched. */
import type { Store } from '../../src/store/store.ts';
import {
  type Connector,
  channelPair,
  type Publication,
  type Transport,
  type TransportClose,
  type TransportHandlers,
} from '../../src/sync/index.ts';
import { words } from './bytes.ts';

/** Connections to one publication, made as a subscriber asks for them. */
export class Line implements Connector {
  readonly #accept: (transport: Transport) => void;
  #ends: [Transport, Transport] | undefined;
  /** Frames of the server are held back while this is set. */
  #held: (() => void)[] | undefined;
  connections = 0;
  /** When set, connecting fails. */
  down = false;

  constructor(publication: Pick<Publication, 'accept'>) {
    this.#accept = (transport) => publication.accept(transport);
  }

  connect(): Transport {
    this.connections++;
    const ends = channelPair();
    this.#ends = ends;
    const [here, there] = ends;
    if (this.down) here.close(1006, 'down');
    else this.#accept(there);
    return this.#slowed(here);
  }

  /** Ends the connection as a broken cable does. */
  cut(): void {
    for (const end of this.#ends ?? []) end.close(1006, 'cut');
  }

  /** Frames of the server wait from now on. */
  hold(): void {
    this.#held ??= [];
  }

  /** How many of them wait. */
  get waiting(): number {
    return this.#held?.length ?? 0;
  }

  /** They go on, all or so many; then everything flows again unless some are left. */
  release(count: number = Number.POSITIVE_INFINITY): void {
    const held = this.#held ?? [];
    for (const deliver of held.splice(0, count)) deliver();
    if (held.length === 0) this.#held = undefined;
  }

  #slowed(transport: Transport): Transport {
    return {
      get bufferedBytes(): number {
        return transport.bufferedBytes;
      },
      start: (handlers: TransportHandlers) =>
        transport.start({
          message: (frame: Uint8Array) => {
            if (this.#held === undefined) handlers.message(frame);
            else this.#held.push(() => handlers.message(frame));
          },
          drain: () => handlers.drain(),
          close: (how: TransportClose) => handlers.close(how),
        }),
      send: (frame: Uint8Array) => transport.send(frame),
      close: (code: number, reason: string) => transport.close(code, reason),
    };
  }
}

/** Everything in a store of texts. */
export async function contents(store: Store<Uint8Array>): Promise<Record<string, string>> {
  const found: Record<string, string> = {};
  for await (const { key, value } of store.list()) found[key] = words(value) ?? '';
  return found;
}
