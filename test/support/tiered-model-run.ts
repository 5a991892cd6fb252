/** Carries out commands on a tiered store and on its model, one by one or several at once, and compares. */
import { TieredModelCalls } from './tiered-model-calls.ts';
import { type Command, KEYS } from './tiered-model-commands.ts';
import { CALL_MS } from './tiered-model-steps.ts';
import { LEASE_MS, PARTS, type PartName } from './tiered-model-world.ts';

export class TieredModelRun extends TieredModelCalls {
  async do(command: Command): Promise<void> {
    if (this.world.landing === 0) this.model.landed();
    await this.act(command);
    if (command.waits) await this.s.waitIdle();
    this.throwWrong();
    if (this.count % 8 === 0) this.model.prune(this.world.env.now());
  }

  /** Lets everything heal: nothing acknowledged is missing anywhere, and nothing is left. */
  async end(): Promise<void> {
    const world = this.world;
    world.heal();
    await this.pass(CALL_MS + 1);
    this.model.landed();
    this.throwWrong();
    if (this.open > 0) throw new Error(`${this.open} calls have not ended`);
    await this.pass(3_000);
    if (this.rules.write === 'behind') {
      const left = await this.given(world.store.flush());
      if (left.keys > 0 || left.deadLetters > 0)
        throw new Error(`${left.keys} keys are left in the journal, ${left.deadLetters} refused`);
    }
    for (const key of KEYS) await this.agrees(key);
    await this.given(world.store.close());
    if (world.process.timers.size > 0) await this.pass(2 * CALL_MS);
    if (world.process.timers.size > 0) throw new Error('timers are left');
    await this.crash();
    for (const key of KEYS) await this.agrees(key);
    await this.given(world.store.close());
    this.throwWrong();
  }

  /** What this store wrote last is shown, also where nobody had an answer, or the front has lost it. */
  protected async showsLast(key: string): Promise<void> {
    const { store, inBack } = this.world;
    const shown = await this.given(store.get(key));
    const truth = inBack.blocking.get(key);
    const isOwn = truth !== undefined && this.model.writeOf(key, truth)?.own === true;
    const mayMiss = shown === undefined && this.rules.read === 'front-only';
    if (isOwn && shown !== truth && !mayMiss)
      throw new Error(`${key}=${shown} is shown, older than ${truth}`);
  }

  protected async agrees(key: string): Promise<void> {
    const { store, inBack, inFront } = this.world;
    if (this.rules.write !== 'front-only') await this.showsLast(key);
    await this.given(this.get(key, false));
    await this.given(this.get(key, true));
    const shown = await this.given(store.get(key, { fresh: true }));
    await this.s.waitIdle();
    this.throwWrong();
    const [copy, truth] = [inFront.blocking.get(key), inBack.blocking.get(key)];
    if (this.rules.write !== 'front-only') {
      if (truth !== shown) throw new Error(`the back has ${key}=${truth}, and ${shown} is shown`);
      // A front that is read alone is not filled again: what is fenced in it stays, and is not served.
      const fenced = this.rules.read === 'front-only' && store.status().fenced > 0;
      if (copy !== undefined && copy !== truth && !fenced)
        throw new Error(`the front has ${key}=${copy}, the back ${truth}`);
    } else if (truth !== undefined && this.model.writeOf(key, truth)?.own === true)
      throw new Error(`an overlay has written ${key}=${truth} to the back`);
  }

  protected act({ kind, key, dice }: Command): unknown {
    const { env } = this.world;
    switch (kind) {
      case 'get':
      case 'fresh':
        return void this.get(key, kind === 'fresh');
      case 'entry':
        return void this.entry(key);
      case 'many':
        return void this.many();
      case 'has':
        return void this.has(key);
      case 'list':
      case 'keys':
        return void this.list(kind, dice % 2 === 0);
      case 'set':
      case 'brief':
        return void this.set(key, this.options(kind, dice));
      case 'delete':
        return void this.delete(key);
      case 'batch':
        return void this.batch(key, dice);
      case 'absent':
        return void this.conditional(key, undefined, dice);
      case 'good':
      case 'stale':
        return this.onVersion(key, kind, dice);
      case 'update':
        return void this.update(key, dice % 8 === 0);
      case 'others set':
        return void this.others(key, ++this.count);
      case 'others delete':
        return void this.others(key, undefined);
      case 'others brief':
        return void this.others(key, ++this.count, env.now() + 20 + dice);
      case 'flush':
        return void this.world.store.flush({ timeoutMs: 100 }).catch(() => {});
      default:
        return this.disturb(kind, dice);
    }
  }

  protected async disturb(kind: Command['kind'], dice: number): Promise<void> {
    const { plans, ways } = this.world;
    const s = this.s;
    if (kind === 'idle') return s.waitIdle();
    if (kind === 'step') {
      for (let left = dice % 4; left > 0 && s.count() > 0; left--) await s.waitNext(1);
      return;
    }
    this.disturbed = true;
    if (kind === 'pass') return this.world.env.advance([5, 50, 300, 2_500][dice % 4] as number);
    if (kind === 'release') this.world.release();
    if (kind === 'crash') return this.crash();
    if (kind === 'reopen') return this.reopen();
    if (kind !== 'fail' && kind !== 'hang') return;
    const part = PARTS[dice % 3] as PartName;
    const where = (['read', 'commit', 'commit', 'scan'] as const)[(dice >> 2) % 4] ?? 'read';
    const steady = this.keepsFront && this.rules.write !== 'front-only';
    if (part === 'front' && steady) return;
    const times = {
      applied: where === 'commit' && (dice & 16) > 0,
      after: (dice >> 5) % 3,
      times: dice > 200 ? 4 : 1,
    };
    if (kind === 'fail') plans[part].failNext(where, undefined, times);
    else if (where === 'commit' && dice % 2 === 1) ways[part].hangNext(where, times);
    else plans[part].hangNext(where, times);
  }

  protected crash(): Promise<void> {
    this.model.crash();
    this.open = 0;
    this.world.restart();
    return this.world.env.advance(this.rules.write === 'behind' ? LEASE_MS : 0);
  }

  protected async reopen(): Promise<void> {
    this.world.heal();
    await this.given(this.world.store.close());
    await this.s.waitIdle();
    if (this.open > 0) await this.pass(CALL_MS + 1);
    if (this.open > 0) throw new Error(`${this.open} calls have not ended, and all is closed`);
    return this.crash();
  }
}
