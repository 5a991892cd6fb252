/** How a connection ended: a WebSocket close code, and the words that came with it. */
export interface TransportClose {
  /** 1000 is an orderly end, 1006 a line that broke without a word, 1001 to 1013 as WebSocket numbers them, 3000 to 3999 and 4016 to 4999 those of applications. */
  readonly code: number;
  /** Short, for people; longer ones may arrive cut off. */
  readonly reason: string;
}

/** What a transport tells of. Called one at a time, never from inside `start`, `send` or `close`, and must not throw. */
export interface TransportHandlers {
  /** One message, whole. Its bytes are the receiver's to keep and read, not to change. */
  message(bytes: Uint8Array): void;
  /** What waits to be sent has become little again, after `bufferedBytes` was high. May be told oftener. */
  drain(): void;
  /** The connection has ended, by either side or by itself. Called once, last: no message follows. */
  close(how: TransportClose): void;
}

/**
 * One connection that carries whole binary messages both ways, in order, each once, and nothing
 * else. `channelPair`, `messagePort` and `webSocket` make them; anything of this shape serves, and
 * `transportConformance` of `stratakv/testing` tells whether it does.
 *
 * What it need not do: retry, authenticate, compress, split (messages have at most 1 MiB), or find
 * out that the other side is gone without a word. The protocol above acknowledges, beats and
 * limits what is under way; a transport that loses a message must end instead.
 */
export interface Transport {
  /**
   * Bytes given to `send` that nobody has taken over yet: they wait in this process, or, where the
   * other side tells, for that side to read. Above its limit a publication stops sending to this
   * connection until `drain`, or an acknowledgement.
   */
  readonly bufferedBytes: number;
  /** Begins to deliver; what came before is delivered then. Called once. */
  start(handlers: TransportHandlers): void;
  /**
   * Sends a message; before the connection is open it waits, after its end it is dropped, without
   * an error. The bytes must not change afterwards; they may be those of several connections, so
   * they are not the transport's to give away.
   */
  send(bytes: Uint8Array): void;
  /**
   * Ends the connection after what was sent. The other side is told code and reason;
   * `handlers.close` follows here with the same, and no message comes after this call. A second
   * call does nothing. One that does not open soon after it is given up, with what waited.
   */
  close(code: number, reason: string): void;
}

/** Makes a connection whenever one is needed: what a subscription that reconnects is given. */
export interface Connector {
  /** A new connection, at once; one that cannot be made is one that ends. */
  connect(): Transport;
}
