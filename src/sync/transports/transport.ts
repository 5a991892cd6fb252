/** How a connection ended: a WebSocket close code, and the words that came with it. */
export interface TransportClose {
  readonly code: number;
  readonly reason: string;
}

/** What a transport tells of. Called one at a time, never from inside `start` or `send`, and must not throw. */
export interface TransportHandlers {
  /** One message, whole. Its bytes are the receiver's to read, not to change. */
  message(bytes: Uint8Array): void;
  /** What waits to be sent has become little again, after `bufferedBytes` was high. */
  drain(): void;
  /** The connection has ended, by either side or by itself. Called once, last. */
  close(how: TransportClose): void;
}

/**
 * One connection that carries whole binary messages both ways, in order, and nothing else.
 * `channelPair` and `webSocket` make them; anything of this shape serves.
 */
export interface Transport {
  /** Bytes given to `send` that have not left this process. */
  readonly bufferedBytes: number;
  /** Begins to deliver; what came before is delivered then. Called once. */
  start(handlers: TransportHandlers): void;
  /** Sends a message; before the connection is open it waits, after its end it is dropped. The bytes must not change afterwards. */
  send(bytes: Uint8Array): void;
  /** Ends the connection after what was sent; `handlers.close` follows. */
  close(code: number, reason: string): void;
}

/** Makes a connection whenever one is needed: what a subscription that reconnects is given. */
export interface Connector {
  connect(): Transport;
}
