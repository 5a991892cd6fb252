import { describe, expect, test } from 'vitest';
import type { Shape } from '../../store/primitives.ts';
import type { SubscriberStats } from '../../sync/index.ts';
import { drawShape, shorten } from './layout.ts';
import { type Group, layScene, type Scene } from './scene.ts';

const tiers: Shape = {
  type: 'tiered',
  details: { write: 'through' },
  parts: {
    front: { type: 'memory' },
    back: { type: 'encoded', parts: { inner: { type: 'lmdb', details: { path: './data' } } } },
  },
};

const subscriber = (id: string, lag = 0): SubscriberStats => ({
  id,
  state: 'live',
  rev: 1,
  lag,
  lagMs: 0,
  bufferedBytes: 0,
  sentBytes: 1_500,
  sentOperations: 1,
  connectedMs: 1,
  mayWrite: true,
});

const scene = (widthPx: number, subscribers: readonly SubscriberStats[]): Scene =>
  layScene({ widthPx, server: tiers, version: '1', copy: tiers, subscribers, ownId: 'own' });

type Area = Pick<Group, 'x' | 'y' | 'width' | 'height'>;
const within = (inner: Area, outer: Area): boolean =>
  inner.x >= outer.x &&
  inner.y >= outer.y &&
  inner.x + inner.width <= outer.x + outer.width &&
  inner.y + inner.height <= outer.y + outer.height;
const apart = (a: Area, b: Area): boolean =>
  a.x + a.width <= b.x || b.x + b.width <= a.x || a.y + a.height <= b.y || b.y + b.height <= a.y;

describe('drawShape', () => {
  test('draws every part, with its role on the arrow to it', () => {
    const { boxes, arrows } = drawShape(tiers, 600);
    expect(boxes.map(({ title, kind }) => [title, kind])).toEqual([
      ['tiered', 'made'],
      ['memory', 'store'],
      ['encoded', 'made'],
      ['lmdb', 'store'],
    ]);
    expect(arrows.map(({ id, label }) => [id, label])).toEqual([
      ['root>root.front', 'front'],
      ['root.back>root.back.inner', 'inner'],
      ['root>root.back', 'back'],
    ]);
    for (const { from, to } of arrows) expect(to.y).toBeGreaterThan(from.y);
    for (const a of boxes) for (const b of boxes) if (a !== b) expect(apart(a, b)).toBe(true);
  });

  test('keeps to the width where boxes can be so small', () => {
    expect(drawShape(tiers, 280).width).toBeLessThanOrEqual(280);
    expect(drawShape(tiers, 100).width).toBeGreaterThan(200);
  });

  test('shortens in the middle', () => {
    expect(shorten('path: /a/very/long/path/to/data', 17)).toBe('path: /a…/to/data');
    expect(shorten('short', 5)).toBe('short');
  });
});

describe('layScene', () => {
  test.each([1_200, 900, 320])('in %d px nothing overlaps or leaves the picture', (widthPx) => {
    const { groups, width, height } = scene(
      widthPx,
      ['own', 'b', 'c'].map((id) => subscriber(id)),
    );
    expect(groups.map(({ kind }) => kind)).toEqual(['server', 'page', 'subscriber', 'subscriber']);
    expect(width).toBeLessThanOrEqual(Math.max(widthPx, 330));
    for (const group of groups) {
      expect(within(group, { x: 0, y: 0, width, height })).toBe(true);
      for (const box of group.drawing?.boxes ?? []) expect(within(box, group)).toBe(true);
      for (const other of groups) if (other !== group) expect(apart(group, other)).toBe(true);
    }
  });

  test('tells the page from the others, and who is behind', () => {
    const { groups } = scene(1_200, [subscriber('b', 5), subscriber('own')]);
    expect(groups[1]).toMatchObject({ kind: 'page', behind: false });
    expect(groups[1]?.lines[0]).toBe('up to date');
    expect(groups[2]).toMatchObject({ id: 'b', behind: true });
    expect(groups[2]?.lines[0]).toBe('5 commits behind');
    expect(scene(1_200, []).groups[1]?.lines).toEqual(['not connected']);
  });

  test('counts those for whom there is no room', () => {
    const many = Array.from({ length: 50 }, (_, i) => subscriber(`s${i}`));
    const { groups, arrows } = scene(1_200, many);
    expect(groups.at(-1)?.title).toBe('and 43 more');
    expect(arrows).toHaveLength(groups.length - 1);
  });
});
