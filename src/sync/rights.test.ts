import { describe, expect, it } from 'vitest';
import { bytes } from '../../test/support/bytes.ts';
import { contents, Line } from '../../test/support/sync-world.ts';
import { memory } from '../drivers/memory/index.ts';
import { type SimulatedEnv, simulatedEnv } from '../testing/index.ts';
import {
  type Publication,
  publish,
  type Rights,
  type SubscribeOptions,
  subscribe,
} from './index.ts';

type Answer = Rights | false | undefined;

/** A server whose rights can be changed, by token. */
class World {
  readonly env = simulatedEnv(3);
  readonly store = memory<Uint8Array>({ env: this.env });
  readonly rights = new Map<string, Answer | Promise<Answer>>();
  readonly publication: Publication;
  asked = 0;

  constructor() {
    this.publication = publish(this.store, {
      authorize: ({ token }) => {
        this.asked++;
        return this.rights.get(token);
      },
    });
  }

  async fill(keys: readonly string[]): Promise<void> {
    await this.store.setMany(keys.map((key) => [key, bytes(key)] as const));
  }

  join(token: string, options: SubscribeOptions<Uint8Array> = {}) {
    const line = new Line(this.publication);
    const local = memory<Uint8Array>({ env: this.env });
    const subscription = subscribe(line, local, { token, ...options });
    return { line, local, subscription, remote: subscription.remote };
  }
}

async function within<T>(world: SimulatedEnv, promise: Promise<T>, ms = 50): Promise<T> {
  promise.catch(() => undefined);
  await world.advance(ms);
  return await promise;
}

const keys = (content: Record<string, string>): string[] => Object.keys(content).sort();

describe('rights of a connected subscriber', () => {
  it('shrink: what may no longer be read goes, and nothing of it comes again', async () => {
    const world = new World();
    await world.fill(['a/1', 'a/2', 'b/1', 'b/2']);
    world.rights.set('t', { read: ['a/', 'b/'] });
    const { local, line, subscription } = world.join('t');
    await local.set('own', bytes('mine'));
    await world.env.advance(5);
    expect(keys(await contents(local))).toEqual(['a/1', 'a/2', 'b/1', 'b/2', 'own']);
    world.rights.set('t', { read: ['a/'] });
    expect(await within(world.env, world.publication.reauthorize())).toBe(1);
    expect(keys(await contents(local))).toEqual(['a/1', 'a/2', 'own']);
    await world.fill(['a/3', 'b/3']);
    await world.env.advance(50);
    expect(keys(await contents(local))).toEqual(['a/1', 'a/2', 'a/3', 'own']);
    expect(line.connections).toBe(2);
    expect(world.publication.stats().endings).toEqual({ 'rights-changed': 1 });
    await subscription.close();
  });

  it('grow: what may be read now comes', async () => {
    const world = new World();
    await world.fill(['a/1', 'b/1']);
    world.rights.set('t', { read: ['a/'] });
    const { local, subscription } = world.join('t');
    await world.env.advance(5);
    world.rights.set('t', { read: ['a/', 'b/'] });
    await within(world.env, world.publication.reauthorize());
    expect(keys(await contents(local))).toEqual(['a/1', 'b/1']);
    await subscription.close();
  });

  it('of many keys are compared, not sent anew', async () => {
    const world = new World();
    await world.fill(Array.from({ length: 5_000 }, (_, i) => `a/${i}`));
    await world.fill(Array.from({ length: 100 }, (_, i) => `b/${i}`));
    world.rights.set('t', { read: true });
    const { local, subscription } = world.join('t');
    await world.env.advance(100);
    const before = subscription.status().receivedBytes;
    world.rights.set('t', { read: ['a/'] });
    await within(world.env, world.publication.reauthorize(), 500);
    expect(keys(await contents(local))).toHaveLength(5_000);
    const { reconciles, receivedBytes } = subscription.status();
    expect(reconciles).toBe(1);
    expect(receivedBytes - before).toBeLessThan(before / 5);
    await subscription.close();
  });

  it('are taken away: the connection ends at once, and what is written then is refused', async () => {
    const world = new World();
    await world.fill(['a']);
    world.rights.set('t', { read: true, write: true });
    world.rights.set('u', { read: true });
    const errors: string[] = [];
    const revoked = world.join('t', {
      onError: (error) => errors.push((error as never as { code: string }).code),
    });
    const other = world.join('u');
    await world.env.advance(5);
    world.rights.delete('t');
    expect(
      await within(
        world.env,
        world.publication.reauthorize(({ token }) => token === 't'),
      ),
    ).toBe(1);
    expect(revoked.subscription.status().state).toBe('closed');
    expect(errors).toEqual(['denied']);
    await expect(revoked.remote.set('b', bytes('1'))).rejects.toMatchObject({ code: 'denied' });
    await world.fill(['c']);
    await world.env.advance(50);
    expect(keys(await contents(revoked.local))).toEqual(['a']);
    expect(keys(await contents(other.local))).toEqual(['a', 'c']);
    expect(other.line.connections).toBe(1);
    await other.subscription.close();
  });

  it('to write change without a new connection, for the very next write', async () => {
    const world = new World();
    world.rights.set('t', { read: true, write: ['a/'] });
    const { line, subscription, remote } = world.join('t');
    await world.env.advance(5);
    await within(world.env, remote.set('a/1', bytes('')));
    world.rights.set('t', { read: true, write: ['b/'] });
    await within(world.env, world.publication.reauthorize());
    await expect(within(world.env, remote.set('a/2', bytes('')))).rejects.toMatchObject({
      code: 'denied',
      key: 'a/2',
    });
    await within(world.env, remote.set('b/1', bytes('')));
    world.rights.set('t', { read: true });
    await within(world.env, world.publication.reauthorize());
    expect(subscription.status().mayWrite).toBe(false);
    await expect(within(world.env, remote.set('b/2', bytes('')))).rejects.toMatchObject({
      code: 'denied',
    });
    world.rights.set('t', { read: true, write: true });
    await within(world.env, world.publication.reauthorize());
    expect(subscription.status().mayWrite).toBe(true);
    await within(world.env, remote.set('c', bytes('')));
    expect(line.connections).toBe(1);
    expect(keys(await contents(world.store))).toEqual(['a/1', 'b/1', 'c']);
    await subscription.close();
  });

  it('end later or earlier than was said first', async () => {
    const world = new World();
    const nowMs = world.env.now();
    world.rights.set('t', { read: true, expiresAt: nowMs + 5_000 });
    const { subscription, line } = world.join('t', { reconnect: { baseMs: 10, capMs: 20 } });
    await world.env.advance(5);
    world.rights.set('t', { read: true, expiresAt: nowMs + 60_000 });
    expect(await within(world.env, world.publication.reauthorize())).toBe(1);
    await world.env.advance(20_000);
    expect(line.connections).toBe(1);
    world.rights.set('t', { read: true, expiresAt: world.env.now() + 1_000 });
    await within(world.env, world.publication.reauthorize());
    world.rights.set('t', { read: true });
    await world.env.advance(2_000);
    expect(world.publication.stats().endings).toEqual({ 'rights-expired': 1 });
    expect(subscription.status().connected).toBe(true);
    await subscription.close();
  });

  it('are those of the last answer, also when an earlier one comes late', async () => {
    const world = new World();
    world.rights.set('t', { read: true });
    const { subscription, remote } = world.join('t');
    await world.env.advance(5);
    let answer: (rights: Answer) => void = () => undefined;
    const late = new Promise<Answer>((resolve) => {
      answer = resolve;
    });
    world.rights.set('t', late);
    const slow = world.publication.reauthorize();
    await world.env.advance(5);
    world.rights.set('t', { read: true });
    const quick = world.publication.reauthorize();
    await world.env.advance(50);
    answer({ read: true, write: true });
    await within(world.env, Promise.all([slow, quick]));
    expect(subscription.status().mayWrite).toBe(false);
    await expect(within(world.env, remote.set('a', bytes('')))).rejects.toMatchObject({
      code: 'denied',
    });
    await subscription.close();
  });

  it('are asked for again when they changed while somebody was on the way in', async () => {
    const world = new World();
    await world.fill(['a', 'b']);
    let answer: (rights: Answer) => void = () => undefined;
    world.rights.set(
      't',
      new Promise((resolve) => {
        answer = resolve;
      }),
    );
    const { local, subscription } = world.join('t');
    await world.env.advance(5);
    world.rights.set('t', { read: ['a'] });
    await within(world.env, world.publication.reauthorize());
    answer({ read: true });
    await world.env.advance(2_000);
    expect(keys(await contents(local))).toEqual(['a']);
    await subscription.close();
  });

  it('bring limits of their own', async () => {
    const world = new World();
    world.rights.set('small', { read: true, write: true, limits: { writeBytes: 1_000 } });
    world.rights.set('wrong', { read: true, limits: { writeBites: 1 } as never });
    const { subscription, remote, line } = world.join('small');
    await world.env.advance(5);
    await expect(within(world.env, remote.set('a', new Uint8Array(1_000)))).rejects.toMatchObject({
      code: 'invalid-argument',
      key: 'a',
    });
    world.rights.set('small', { read: true, write: true, limits: { writeBytes: 10_000 } });
    await within(world.env, world.publication.reauthorize());
    await within(world.env, remote.set('a', new Uint8Array(1_000)));
    expect(line.connections).toBe(2);
    const wrong = world.join('wrong');
    wrong.subscription.ready.catch(() => undefined);
    await world.env.advance(5);
    await expect(wrong.subscription.ready).rejects.toMatchObject({ code: 'denied' });
    await subscription.close();
  });

  it('a failing authorize takes them away, and is told to onError', async () => {
    const world = new World();
    world.rights.set('t', { read: true });
    const { subscription } = world.join('t');
    await world.env.advance(5);
    world.rights.set('t', Promise.reject(new Error('the user store is away')));
    await within(world.env, world.publication.reauthorize());
    expect(subscription.status()).toMatchObject({ state: 'closed', lastError: { code: 'denied' } });
    await expect(world.publication.reauthorize('t' as never)).rejects.toMatchObject({
      code: 'invalid-argument',
    });
  });
});
