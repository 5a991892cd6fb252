/** Who in this process has which journal of which store open. */
const open = new WeakMap<object, Map<string, string>>();

/** Enters an owner; gives the one who is there already instead. */
export function enter(store: object, name: string, owner: string): string | undefined {
  let names = open.get(store);
  if (names === undefined) {
    names = new Map();
    open.set(store, names);
  }
  const other = names.get(name);
  if (other === undefined) names.set(name, owner);
  return other;
}

export function leave(store: object, name: string): void {
  open.get(store)?.delete(name);
}
