import { readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';

/** Relative links of documents that lead nowhere, each with the document it stands in. */
export function deadLinks(
  documents: readonly string[],
  isThere: (path: string) => boolean,
  read: (path: string) => string = (path) => readFileSync(path, 'utf8'),
): string[] {
  return documents.flatMap((path) =>
    [...read(path).matchAll(/\]\((?!\w+:|#)([^)#\s]+)/g)]
      .map(([, target = '']) => join(dirname(path), target))
      .filter((target) => !isThere(target))
      .map((target) => `${path}: ${target}`),
  );
}

/** As `deadLinks`, of what is packed: a link to what stays behind is dead there. */
export function deadPackedLinks(packed: readonly string[]): string[] {
  const documents = packed.filter((path) => path.endsWith('.md'));
  return deadLinks(documents, (target) => {
    const folder = target.endsWith('/') ? target : `${target}/`;
    return packed.some((path) => path === target || path.startsWith(folder));
  });
}
