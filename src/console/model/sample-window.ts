/** What a sample has to plot: everything but its time. */
export type ColumnOf<S> = Exclude<keyof S, 'atMs'>;

/** The newest samples. */
export class SampleWindow<S extends { readonly atMs: number }> {
  readonly #capacity: number;
  readonly #samples: S[] = [];

  constructor(capacity: number = 300) {
    this.#capacity = capacity;
  }

  get all(): readonly S[] {
    return this.#samples;
  }

  add(sample: S): void {
    this.#samples.push(sample);
    if (this.#samples.length > this.#capacity) this.#samples.shift();
  }

  /** Columns for a plot: seconds since 1970, then one for each name. */
  columns<C extends ColumnOf<S>>(names: readonly C[]): [number[], ...S[C][][]] {
    return [
      this.#samples.map(({ atMs }) => atMs / 1_000),
      ...names.map((name) => this.#samples.map((sample) => sample[name])),
    ];
  }
}
