/**
 * A method of a client as a method of what stands for it: where it gives the client itself, as `on`
 * and `connect` do, it gives the other, or the caller would go on with the one that knows of nothing.
 */
export function asIts(
  method: (...args: never) => unknown,
  client: object,
  standsForIt: () => object,
): (...args: unknown[]) => unknown {
  const own = (result: unknown): unknown => (result === client ? standsForIt() : result);
  return (...args) => {
    const result: unknown = Reflect.apply(method, client, args);
    return result instanceof Promise ? result.then(own) : own(result);
  };
}
