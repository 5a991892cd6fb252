/** The little of PouchDB that the benchmarks use: its packages bring no types. */
declare module 'pouchdb-core' {
  interface Doc {
    readonly _id: string;
    readonly _rev?: string;
    readonly value: string;
  }
  interface Written {
    readonly id: string;
    readonly rev: string;
  }
  export interface Replication extends Promise<unknown> {
    cancel(): void;
  }
  export interface Database {
    get(id: string): Promise<Doc>;
    put(doc: Doc): Promise<Written>;
    bulkDocs(docs: readonly Doc[]): Promise<Written[]>;
    allDocs(options: { include_docs: true }): Promise<{ rows: { id: string; doc: Doc }[] }>;
    changes(options: { live: true; since: 'now' }): {
      on(event: 'change', heard: (change: { id: string }) => void): unknown;
    };
    destroy(): Promise<unknown>;
  }
  interface PouchDBStatic {
    new (
      name: string,
      options: { adapter: string; revs_limit: number; auto_compaction?: boolean },
    ): Database;
    plugin(plugin: unknown): PouchDBStatic;
    replicate(
      from: Database,
      to: Database,
      options: { live?: boolean; batch_size: number },
    ): Replication;
  }
  const PouchDB: PouchDBStatic;
  export default PouchDB;
}
declare module 'pouchdb-adapter-memory' {
  const plugin: unknown;
  export default plugin;
}
declare module 'pouchdb-replication' {
  const plugin: unknown;
  export default plugin;
}
