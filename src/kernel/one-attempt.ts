/** What one attempt failed with, where no client looks for something to try again: they look into `cause`. */
class AttemptFailed extends Error {
  readonly reason: unknown;

  constructor(reason: unknown) {
    super('the attempt failed');
    this.reason = reason;
  }
}

/** A command of a client that is built of middleware. */
interface Command {
  readonly middlewareStack: { add(...args: never[]): void };
}

type Handler = (args: unknown) => Promise<unknown>;
type Add = (middleware: (next: Handler) => Handler, place: object) => void;

/**
 * Sends a write that the client must not send again of its own accord: the second answer would say
 * that the condition failed, where the first attempt was carried out and its answer lost. Rejects
 * with what the attempt failed with.
 */
export async function oneAttempt<C extends Command, T>(
  command: C,
  send: (command: C) => Promise<T>,
): Promise<T> {
  const stack = command.middlewareStack;
  const add: Add = stack.add.bind(stack) as unknown as Add;
  add(
    (next) => async (args) => {
      try {
        return await next(args);
      } catch (error) {
        throw new AttemptFailed(error);
      }
    },
    { step: 'finalizeRequest', priority: 'low', name: 'oneAttempt' },
  );
  try {
    return await send(command);
  } catch (error) {
    throw error instanceof AttemptFailed ? error.reason : error;
  }
}
