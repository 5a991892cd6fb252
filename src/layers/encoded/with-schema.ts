import { delegate, delegateBlocking } from '../../kernel/delegate.ts';
import { Turns } from '../../kernel/turns.ts';
import type { Awaitable } from '../../store/awaitable.ts';
import type { Change, Entry } from '../../store/entry.ts';
import { StrataError } from '../../store/errors.ts';
import { RESERVED_PREFIX } from '../../store/keys.ts';
import type { BlockingPrimitives, Feed, Primitives, Write } from '../../store/primitives.ts';
import { pathOf, type SchemaResult, type StandardSchema } from './standard-schema.ts';

/** What validates one store. */
interface SchemaOptions<V> {
  readonly schema: StandardSchema<V>;
  readonly validateReads: boolean;
  /** A copy that the caller cannot reach, for validations that take their time. */
  readonly copy: (value: V) => V;
}

/** Validates what is written, and what is read where wanted; keys of StrataKV's own are passed over. */
export function withSchema<V>(inner: Primitives<V>, options: SchemaOptions<V>): Primitives<V> {
  const checks = new SchemaChecks(options);
  const turns = new Turns();
  const { blocking, bytes, codec } = inner;
  return {
    ...delegate(inner),
    ...(codec !== undefined && { codec }),
    ...(bytes !== undefined && { bytes }),
    ...(options.validateReads && validatedReads(inner, checks)),
    commit(writes, call) {
      const valid = checks.writes(call.operation, writes);
      return turns.take(valid, call, (ready) => inner.commit(ready, call));
    },
    ...(blocking !== undefined && {
      blocking: validatedBlocking(blocking, checks, options.validateReads),
    }),
  };
}

function validatedReads<V>(inner: Primitives<V>, checks: SchemaChecks<V>): Partial<Primitives<V>> {
  const { feed } = inner;
  return {
    readOne: (key, call) =>
      then(inner.readOne(key, call), (entry) => entry && checks.entry(call.operation, entry)),
    ...(inner.readValue !== undefined && {
      readValue: (key, call) =>
        then(inner.readValue?.(key, call), (value) =>
          value === undefined ? undefined : checks.stored(call.operation, key, value),
        ),
    }),
    readMany: (keys, call) =>
      then(inner.readMany(keys, call), (entries) =>
        all(entries.map((entry) => entry && checks.entry(call.operation, entry))),
      ),
    async *scan(range, call) {
      for await (const page of inner.scan(range, call))
        yield await all(page.map((entry) => checks.entry(call.operation, entry)));
    },
    ...(feed !== undefined && { feed: validatedFeed(feed, checks) }),
  };
}

function validatedFeed<V>(feed: Feed<V>, checks: SchemaChecks<V>): Feed<V> {
  return {
    state: (call) => feed.state(call),
    async *read(after, call) {
      for await (const page of feed.read(after, call)) {
        const changes = await all(
          page.changes.map(
            (change): Awaitable<Change<V>> =>
              change.type === 'delete'
                ? change
                : then(checks.entry(call.operation, change), (entry) => ({
                    ...entry,
                    type: 'set',
                  })),
          ),
        );
        yield { ...page, changes };
      }
    },
    wait: (after, call) => feed.wait(after, call),
    epochOf: (rev) => feed.epochOf(rev),
  };
}

function validatedBlocking<V>(
  inner: BlockingPrimitives<V>,
  checks: SchemaChecks<V>,
  reads: boolean,
): BlockingPrimitives<V> {
  const commit: BlockingPrimitives<V>['commit'] = (writes, operation) =>
    inner.commit(now(operation, checks.writes(operation, writes)), operation);
  if (!reads) return { ...delegateBlocking(inner), commit };
  return {
    ...delegateBlocking(inner),
    commit,
    readOne: (key) => {
      const entry = inner.readOne(key);
      return entry && now('get', checks.entry('get', entry));
    },
    ...(inner.readValue !== undefined && {
      readValue: (key) => {
        const value = inner.readValue?.(key);
        return value === undefined ? undefined : now('get', checks.stored('get', key, value));
      },
    }),
    *scan(range) {
      for (const entry of inner.scan(range)) yield now('list', checks.entry('list', entry));
    },
  };
}

/** A schema applied to what goes in and what comes out. */
class SchemaChecks<V> {
  readonly #options: SchemaOptions<V>;
  /** Set once the schema has answered with a promise. */
  #slow = false;

  constructor(options: SchemaOptions<V>) {
    this.#options = options;
  }

  /** The writes with their values as the schema gives them. */
  writes(operation: string, writes: readonly Write<V>[]): Awaitable<readonly Write<V>[]> {
    return all(
      writes.map((write): Awaitable<Write<V>> => {
        if (write.type === 'delete' || isReserved(write.key)) return write;
        return then(this.#written(operation, write.key, write.value), (result) => ({
          ...write,
          value: accept(operation, write.key, 'invalid-argument', result),
        }));
      }),
    );
  }

  /** Validates the value as it is at the call, even when that takes time in which the caller may change it. */
  #written(operation: string, key: string, value: V): Awaitable<SchemaResult<V>> {
    if (!this.#slow) {
      const result = this.#validate(operation, key, value);
      if (!(result instanceof Promise)) return result;
      this.#slow = true;
      // The first to find out validates twice.
      result.catch(() => {});
    }
    return this.#validate(operation, key, this.#copy(operation, key, value));
  }

  #copy(operation: string, key: string, value: V): V {
    try {
      return this.#options.copy(value);
    } catch (cause) {
      throw failure(operation, key, 'the codec failed', cause);
    }
  }

  entry(operation: string, entry: Entry<V>): Awaitable<Entry<V>> {
    const value = this.stored(operation, entry.key, entry.value);
    return then(value, (valid) => ({ ...entry, value: valid }));
  }

  stored(operation: string, key: string, value: V): Awaitable<V> {
    if (isReserved(key)) return value;
    return then(this.#validate(operation, key, value), (result) =>
      accept(operation, key, 'corrupt', result),
    );
  }

  #validate(operation: string, key: string, value: V): Awaitable<SchemaResult<V>> {
    const failed = (cause: unknown): never => {
      throw failure(operation, key, 'the schema failed', cause);
    };
    try {
      const result = this.#options.schema['~standard'].validate(value);
      return result instanceof Promise ? result.catch(failed) : result;
    } catch (cause) {
      return failed(cause);
    }
  }
}

function failure(operation: string, key: string, what: string, cause: unknown): StrataError {
  const why = cause instanceof Error ? cause.message : String(cause);
  return new StrataError(
    'invalid-argument',
    `${operation}: ${what} on the value of ${JSON.stringify(key)}: ${why}`,
    { operation, key, cause },
  );
}

function accept<V>(
  operation: string,
  key: string,
  code: 'invalid-argument' | 'corrupt',
  result: SchemaResult<V>,
): V {
  if (result.issues === undefined) return result.value;
  const issues = result.issues.map((issue) => ({ path: pathOf(issue), message: issue.message }));
  const [first] = issues;
  const where = first?.path ? ` at ${first.path}` : '';
  const more = issues.length > 1 ? ` (and ${issues.length - 1} more)` : '';
  const verb = code === 'corrupt' ? 'does not match the schema' : 'is refused by the schema';
  throw new StrataError(
    code,
    `${operation}: the value of ${JSON.stringify(key)} ${verb}${where}: ${first?.message ?? 'no reason given'}${more}`,
    { operation, key, details: { issues } },
  );
}

const isReserved = (key: string): boolean => key.startsWith(RESERVED_PREFIX);

function then<A, B>(value: Awaitable<A>, fn: (value: A) => Awaitable<B>): Awaitable<B> {
  return value instanceof Promise ? value.then(fn) : fn(value);
}

function all<T>(items: readonly Awaitable<T>[]): Awaitable<T[]> {
  return items.some((item) => item instanceof Promise) ? Promise.all(items) : (items as T[]);
}

function now<T>(operation: string, value: Awaitable<T>): T {
  if (!(value instanceof Promise)) return value;
  value.catch(() => {});
  throw new StrataError(
    'unsupported',
    `${operation}: the schema is asynchronous, so the store cannot be used synchronously`,
    { operation },
  );
}
