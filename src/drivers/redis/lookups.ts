import type { Call } from '../../store/call.ts';
import type { RedisEngine } from './engine.ts';
import type { RedisPort } from './port.ts';

/** Bytes that one reply should hold, by what earlier ones held. */
const REPLY_BYTES = 1024 * 1024;
const MOST_KEYS = 128;

interface Waiting<T> {
  readonly key: string;
  readonly call: Call;
  resolve(value: T): void;
  reject(error: unknown): void;
}

/** How a kind of lookup is made: which fields a key has, and what their values mean. */
export interface Lookup<T> {
  fields(key: string): readonly string[];
  decode(key: string, values: readonly unknown[], nowMs: number): T;
}

/** Reads of one moment travel together: one HMGET for up to `MOST_KEYS` of them. */
export class Lookups<T> {
  readonly #engine: RedisEngine;
  readonly #lookup: Lookup<T>;
  #waiting: Waiting<T>[] = [];
  #bytesPerKey = 1_024;

  constructor(engine: RedisEngine, lookup: Lookup<T>) {
    this.#engine = engine;
    this.#lookup = lookup;
  }

  read(key: string, call: Call): Promise<T> {
    return new Promise((resolve, reject) => {
      if (this.#waiting.push({ key, call, resolve, reject }) > 1) return;
      queueMicrotask(() => this.#flush());
    });
  }

  #flush(): void {
    const { port } = this.#engine.connection;
    if (port !== undefined) {
      this.#sendAll(port);
      return;
    }
    const waiting = this.#waiting;
    this.#waiting = [];
    const operation = waiting[0]?.call.operation ?? 'get';
    this.#engine.connection.connect(operation).then(
      (made) => {
        this.#waiting.push(...waiting);
        this.#sendAll(made);
      },
      (error: unknown) => {
        for (const { call, reject } of waiting)
          reject(this.#engine.connection.failure(error, call));
      },
    );
  }

  #sendAll(port: RedisPort): void {
    const waiting = this.#waiting;
    this.#waiting = [];
    if (waiting.length === 1) {
      this.#sendOne(port, waiting[0] as Waiting<T>);
      return;
    }
    const step = Math.max(1, Math.min(MOST_KEYS, Math.floor(REPLY_BYTES / this.#bytesPerKey)));
    for (let at = 0; at < waiting.length; at += step)
      void this.#send(port, waiting.slice(at, at + step));
  }

  #sendOne(port: RedisPort, { key, call, resolve, reject }: Waiting<T>): void {
    port.send(['HMGET', this.#engine.layout.data, ...this.#lookup.fields(key)]).then(
      (reply) => {
        const values = reply as unknown[];
        this.#learn(values, 1);
        try {
          resolve(this.#lookup.decode(key, values, this.#engine.env.now()));
        } catch (error) {
          reject(error);
        }
      },
      (error: unknown) => reject(this.#engine.connection.failure(error, call)),
    );
  }

  async #send(port: RedisPort, group: readonly Waiting<T>[]): Promise<void> {
    const words = ['HMGET', this.#engine.layout.data];
    for (const { key } of group) words.push(...this.#lookup.fields(key));
    let values: unknown[];
    try {
      values = (await port.send(words)) as unknown[];
    } catch (error) {
      for (const { call, reject } of group) reject(this.#engine.connection.failure(error, call));
      return;
    }
    this.#learn(values, group.length);
    const nowMs = this.#engine.env.now();
    const width = values.length / group.length;
    for (let i = 0; i < group.length; i++) {
      const { key, resolve, reject } = group[i] as Waiting<T>;
      try {
        resolve(this.#lookup.decode(key, values.slice(i * width, (i + 1) * width), nowMs));
      } catch (error) {
        reject(error);
      }
    }
  }

  /** Follows the size of values, so that replies stay small where values are large. */
  #learn(values: readonly unknown[], keys: number): void {
    let bytes = 0;
    for (const value of values) if (value instanceof Uint8Array) bytes += value.length;
    this.#bytesPerKey += (bytes / keys - this.#bytesPerKey) / 8;
  }
}
