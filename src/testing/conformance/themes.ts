import { aliasing } from './aliasing.ts';
import { basics } from './basics.ts';
import { batch } from './batch.ts';
import { blocking } from './blocking.ts';
import { bounds } from './bounds.ts';
import type { Case } from './case.ts';
import { closed } from './closed.ts';
import { conditional } from './conditional.ts';
import { door } from './door.ts';
import { durability } from './durability.ts';
import { expiry } from './expiry.ts';
import { feed } from './feed.ts';
import { handles } from './handles.ts';
import { immutable } from './immutable.ts';
import { keys } from './keys.ts';
import { metadata } from './metadata.ts';
import { options } from './options.ts';
import { range } from './range.ts';
import { resume } from './resume.ts';
import { update } from './update.ts';
import { values } from './values.ts';

/** All cases, by theme. */
export const themes: Readonly<Record<string, readonly Case[]>> = {
  basics,
  keys,
  values,
  aliasing,
  'conditional writes': conditional,
  update,
  batch,
  expiry,
  metadata,
  'immutable entries': immutable,
  ranges: range,
  feed,
  'cursors and resuming': resume,
  'signals and timeouts': bounds,
  options,
  closing: closed,
  'synchronous view': blocking,
  'internal door': door,
  reopening: durability,
  'two handles': handles,
};
