import type { Env, Timer } from '../store/env.ts';
import type { StrataError } from '../store/errors.ts';
import type { Group } from './apply-group.ts';
import {
  type Asking,
  type ClientEffect,
  type ClientEvent,
  ClientSession,
  type ClientSessionInit,
} from './client-session.ts';
import type { StagedPart } from './group-stage.ts';
import { encodeMessage, type MessageOf } from './protocol.ts';
import type { Transport } from './transports/transport.ts';

/** Why a connection is over. */
export interface ConnectionEnd {
  readonly error: StrataError;
  /** The server asked to come back within so long. */
  readonly spreadMs?: number;
}

export interface ClientConnectionInit extends ClientSessionInit {
  readonly transport: Transport;
  readonly env: Env;
  readonly asking: Asking;
  ready(ready: MessageOf<'ready'>): void;
  stage(part: StagedPart): void;
  apply(group: Group): void;
  head(rev: number): void;
  /** A step of the comparison of ranges. */
  range(body: Uint8Array): void;
  /** What writes may do from now on. */
  terms(terms: MessageOf<'terms'>): void;
  answer(answer: MessageOf<'result'> | MessageOf<'error'>): void;
}

/** One connection of a subscriber: drives the session, and does what it says. */
export class ClientConnection {
  /** Resolves once the connection is over. */
  readonly ended: Promise<ConnectionEnd>;
  receivedBytes = 0;
  sentBytes = 0;
  readonly #init: ClientConnectionInit;
  readonly #session: ClientSession;
  #resolve: ((end: ConnectionEnd) => void) | undefined;
  #timer: Timer | undefined;

  constructor(init: ClientConnectionInit) {
    this.#init = init;
    this.#session = new ClientSession(init, init.env.monotonicMs());
    this.ended = new Promise((resolve) => {
      this.#resolve = resolve;
    });
    init.transport.start({
      message: (frame) => {
        this.receivedBytes += frame.length;
        this.step({ type: 'frame', frame });
      },
      drain: () => {},
      close: (how) => this.step({ type: 'closed', how }),
    });
    this.send(encodeMessage(this.#session.hello(init.asking)));
    this.#setTimer();
  }

  get isOpen(): boolean {
    return this.#session.isOpen;
  }

  send(frame: Uint8Array): void {
    this.sentBytes += frame.length;
    this.#init.transport.send(frame);
  }

  step(event: ClientEvent): void {
    for (const effect of this.#session.step(event, this.#init.env.monotonicMs())) this.#do(effect);
  }

  #do(effect: ClientEffect): void {
    if (effect.do === 'send') this.send(encodeMessage(effect.message));
    else if (effect.do === 'stage') this.#init.stage(effect.part);
    else if (effect.do === 'apply') this.#init.apply(effect.group);
    else if (effect.do === 'head') this.#init.head(effect.rev);
    else if (effect.do === 'range') this.#init.range(effect.body);
    else if (effect.do === 'terms') this.#init.terms(effect.terms);
    else if (effect.do === 'answer') this.#init.answer(effect.answer);
    else if (effect.do === 'ready') {
      this.#setTimer();
      this.#init.ready(effect.ready);
    } else this.#end(effect);
  }

  /** Whoever is gone may never say so: the end does not wait for the transport. */
  #end({ code, error, spreadMs }: Extract<ClientEffect, { do: 'end' }>): void {
    this.#timer?.cancel();
    this.#init.transport.close(code, error.code);
    this.#resolve?.({ error, ...(spreadMs !== undefined && { spreadMs }) });
    this.#resolve = undefined;
  }

  #setTimer(): void {
    this.#timer?.cancel();
    if (this.#resolve === undefined) return;
    this.#timer = this.#init.env.setTimer(() => {
      this.#timer = undefined;
      this.step({ type: 'tick' });
      this.#setTimer();
    }, this.#session.tickMs);
  }
}
