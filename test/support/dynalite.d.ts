declare module 'dynalite' {
  import type { Server } from 'node:http';

  /** A server of DynamoDB's protocol that keeps its tables in memory, not yet listening. */
  export default function dynalite(options?: {
    /** How long a table is being made, in ms; default 500. */
    readonly createTableMs?: number;
  }): Server;
}
