/** Orders the test files of a run so that none that takes long is left for the end, when nothing is beside it. */
import { relative, sep } from 'node:path';
import { BaseSequencer, type TestSpecification } from 'vitest/node';

/**
 * Seconds that a file takes alone on two cores, for those of five and more. It need not be exact: a
 * file that is missing here only begins later than it could.
 */
export const SECONDS: Readonly<Record<string, number>> = {
  'src/drivers/s3/s3.test.ts': 65,
  'src/compositions/archive/proof.test.ts': 37,
  'src/drivers/s3/outages.test.ts': 36,
  'src/compositions/replica/drivers.test.ts': 35,
  'src/compositions/tiered/behind/kills.test.ts': 34,
  'src/drivers/dynamodb/dynamodb.test.ts': 30,
  'src/drivers/s3/upload.test.ts': 29,
  'test/console.test.ts': 29,
  'src/compositions/archive/model.test.ts': 27,
  'src/compositions/tiered/model.test.ts': 27,
  'src/compositions/tiered/behind/model.test.ts': 26,
  'src/drivers/indexeddb/conformance.browser.test.ts': 26,
  'src/cli/commands/commands.test.ts': 25,
  'src/sync/every-byte.test.ts': 25,
  'src/compositions/tiered/behind/conformance.test.ts': 22,
  'src/testing/conformance.test.ts': 21,
  'src/compositions/tiered/redis-outage.test.ts': 20,
  'src/layers/sealed/sealed.browser.test.ts': 20,
  'src/compositions/replica/kills.test.ts': 19,
  'test/large-groups.test.ts': 19,
  'src/compositions/tiered/conformance.test.ts': 18,
  'src/drivers/file/processes.test.ts': 18,
  'src/sync/simulation.test.ts': 18,
  'src/layers/sealed/sealed.test.ts': 17,
  'src/cli/serve/serve.test.ts': 16,
  'src/sync/transports/conformance.browser.test.ts': 16,
  'test/console-archive.test.ts': 16,
  'test/server-under-load.test.ts': 15,
  'src/compositions/archive/kills.test.ts': 14,
  'src/cli/commands/archive.test.ts': 13,
  'src/compositions/archive/cluster/cluster.test.ts': 13,
  'src/drivers/file/file.test.ts': 13,
  'src/drivers/lmdb/lmdb.test.ts': 11,
  'src/testing/transport-conformance.test.ts': 11,
  'test/shared-tabs.test.ts': 11,
  'src/cli/commands/import-export.test.ts': 10,
  'src/compositions/tiered/drivers.test.ts': 10,
  'src/drivers/sqlite/sqlite.test.ts': 10,
  'src/compositions/archive/redis/command-table.test.ts': 9,
  'src/compositions/tiered/tiered.browser.test.ts': 9,
  'src/drivers/lmdb/processes.test.ts': 9,
  'src/sync/transports/conformance.test.ts': 9,
  'test/examples.test.ts': 9,
  'src/cli/usage.test.ts': 8,
  'src/drivers/redis/conformance.test.ts': 8,
  'src/drivers/redis/plain/plain.test.ts': 8,
  'src/compositions/archive/logical/restore.test.ts': 7,
  'src/compositions/replica/conformance.test.ts': 7,
  'src/compositions/tiered/follow-races.test.ts': 7,
  'src/drivers/file/faults.test.ts': 7,
  'src/sync/reconcile.test.ts': 7,
  'src/cli/commands/blob.test.ts': 6,
  'src/compositions/archive/beside.test.ts': 6,
  'src/compositions/archive/cluster/moves.test.ts': 6,
  'src/compositions/archive/store/store.test.ts': 6,
  'src/drivers/redis/failures.test.ts': 6,
  'src/compositions/archive/cluster/slot-list.test.ts': 5,
  'src/drivers/lmdb/commits.test.ts': 5,
  'src/drivers/lmdb/opening.test.ts': 5,
  'src/drivers/redis/redis.test.ts': 5,
  'src/drivers/sqlite/processes.test.ts': 5,
  'src/sync/ancestor-faults.test.ts': 5,
  'src/sync/ancestor-flows.test.ts': 5,
  'src/sync/replication.test.ts': 5,
};

/** The longest first; the others as Vitest has them. */
export class LongestFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const rest = await super.sort(files);
    const secondsOf = (file: TestSpecification): number =>
      SECONDS[relative(this.ctx.config.root, file.moduleId).split(sep).join('/')] ?? 0;
    // Stable, so that equals stay as they were.
    return rest.sort((a, b) => secondsOf(b) - secondsOf(a));
  }
}
