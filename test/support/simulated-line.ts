/** A connection in simulated time that is cut, held up in either direction, or falls silent. */
import {
  type Connector,
  channelPair,
  type Transport,
  type TransportHandlers,
} from '../../src/sync/index.ts';
import { decodeMessage, encodeMessage, type Message } from '../../src/sync/protocol.ts';

export type Direction = 'up' | 'down';

/** Looks at a message on its way, and gives what is delivered in its place. */
export type Tamper = (message: Message, direction: Direction) => readonly Message[];

interface Joined {
  readonly ends: readonly Transport[];
  /** Nothing comes through any more, and nobody is told. */
  silent: boolean;
}

/** Connections to whoever accepts them, one after the other. */
export class SimulatedLine implements Connector {
  /** When set, connecting fails. */
  isDown = false;
  connections = 0;
  readonly #accept: (transport: Transport) => void;
  readonly #tamper: Tamper | undefined;
  #joined: Joined | undefined;
  readonly #held: Record<Direction, (() => void)[] | undefined> = {
    up: undefined,
    down: undefined,
  };

  constructor(accept: (transport: Transport) => void, tamper?: Tamper) {
    this.#accept = accept;
    this.#tamper = tamper;
  }

  connect(): Transport {
    this.connections++;
    const [here, there] = channelPair();
    const joined: Joined = { ends: [here, there], silent: false };
    this.#joined = joined;
    if (this.isDown) here.close(1006, 'down');
    else this.#accept(this.#watched(there, joined, 'up'));
    return this.#watched(here, joined, 'down');
  }

  /** Ends the connection as a broken cable does. */
  cut(): void {
    for (const end of this.#joined?.ends ?? []) end.close(1006, 'cut');
  }

  /** From now on the connection passes on nothing, not even its end. */
  fallSilent(): void {
    if (this.#joined !== undefined) this.#joined.silent = true;
  }

  /** Frames wait from now on. */
  hold(direction: Direction): void {
    this.#held[direction] ??= [];
  }

  /** They go on, all or so many; then everything flows again unless some are left. */
  release(direction: Direction, count: number = Number.POSITIVE_INFINITY): void {
    const held = this.#held[direction] ?? [];
    for (const deliver of held.splice(0, count)) deliver();
    if (held.length === 0) this.#held[direction] = undefined;
  }

  /** One end, to which frames come in a direction. */
  #watched(transport: Transport, joined: Joined, direction: Direction): Transport {
    return {
      get bufferedBytes(): number {
        return transport.bufferedBytes;
      },
      start: (handlers: TransportHandlers) =>
        transport.start({
          message: (frame) => this.#arrived(frame, direction, joined, handlers),
          drain: () => {
            if (!joined.silent) handlers.drain();
          },
          close: (how) => {
            if (!joined.silent) handlers.close(how);
          },
        }),
      send: (frame) => {
        if (!joined.silent) transport.send(frame);
      },
      close: (code, reason) => transport.close(code, reason),
    };
  }

  #arrived(
    frame: Uint8Array,
    direction: Direction,
    joined: Joined,
    handlers: TransportHandlers,
  ): void {
    const deliver = (): void => {
      if (joined.silent) return;
      if (this.#tamper === undefined) handlers.message(frame);
      else
        for (const message of this.#tamper(decodeMessage(frame), direction))
          handlers.message(encodeMessage(message));
    };
    const held = this.#held[direction];
    if (held === undefined) deliver();
    else held.push(deliver);
  }
}
