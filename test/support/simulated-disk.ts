/** A file system in memory that loses power, fails and folds names on demand. */
import type { Disk, FileStart } from '../../src/drivers/file/disk.ts';

interface File {
  data: Uint8Array;
  flushed: Uint8Array | undefined;
}

interface Folder {
  readonly names: Map<string, Node>;
  /** What a loss of power leaves of the names. */
  flushed: Map<string, Node>;
}

type Node = File | Folder;

/** A failure: of one call of the disk or of all from one on, by the system's word. */
export interface DiskFault {
  /** The first call that fails, from 1. */
  readonly at: number;
  readonly code: string;
  readonly forGood: boolean;
}

export interface SimulatedDiskOptions {
  /** Names that differ in case or in Unicode's normal form are one, as on some systems. */
  readonly folding?: boolean;
}

const isFolder = (node: Node): node is Folder => 'names' in node;

export class SimulatedDisk implements Disk {
  fault: DiskFault | undefined;
  /** Calls made so far. */
  calls = 0;
  readonly #folding: boolean;
  #root: Folder = { names: new Map(), flushed: new Map() };

  constructor(options: SimulatedDiskOptions = {}) {
    this.#folding = options.folding === true;
  }

  /**
   * What is there after the power was lost: what was flushed, and of the rest what `survives` says,
   * asked for each name and each content that was not.
   */
  afterPowerLoss(survives: () => boolean): SimulatedDisk {
    const disk = new SimulatedDisk({ folding: this.#folding });
    const copies = new Map<Node, Node>();
    const copy = (node: Node): Node => {
      const known = copies.get(node);
      if (known !== undefined) return known;
      if (!isFolder(node)) {
        const kept = node.flushed === node.data || survives() ? node.data : node.flushed;
        const data = kept ?? new Uint8Array(0);
        const file: File = { data, flushed: data };
        copies.set(node, file);
        return file;
      }
      const names = new Map<string, Node>();
      const folder: Folder = { names, flushed: names };
      copies.set(node, folder);
      for (const name of new Set([...node.flushed.keys(), ...node.names.keys()])) {
        const [was, is] = [node.flushed.get(name), node.names.get(name)];
        const kept = was === is || survives() ? is : was;
        if (kept !== undefined) names.set(name, copy(kept));
      }
      folder.flushed = new Map(names);
      return folder;
    };
    disk.#root = copy(this.#root) as Folder;
    return disk;
  }

  /** Every file's path. */
  files(): string[] {
    const paths: string[] = [];
    const visit = (folder: Folder, path: string): void => {
      for (const [name, node] of folder.names)
        if (isFolder(node)) visit(node, `${path}/${name}`);
        else paths.push(`${path}/${name}`);
    };
    visit(this.#root, '');
    return paths;
  }

  /** Puts other bytes in the place of a file's, unnoticed. */
  damage(path: string, bytes: Uint8Array): void {
    const file = this.#find(path) as File;
    file.data = bytes;
    file.flushed = bytes;
  }

  read(path: string): Uint8Array | undefined {
    this.#call('open');
    return (this.#find(path) as File | undefined)?.data.slice();
  }

  readStart(path: string, length: number): FileStart | undefined {
    this.#call('open');
    const file = this.#find(path) as File | undefined;
    return file && { bytes: file.data.slice(0, length), size: file.data.length };
  }

  list(folder: string): string[] | undefined {
    this.#call('scandir');
    const found = this.#find(folder) as Folder | undefined;
    return found && [...found.names.keys()];
  }

  write(path: string, parts: readonly Uint8Array[], flush: boolean): void {
    this.#call('open');
    const [folder, name] = this.#place(path);
    if (folder.names.has(name)) throw systemError('EEXIST', 'open');
    const file: File = { data: new Uint8Array(0), flushed: undefined };
    folder.names.set(name, file);
    for (const part of parts) {
      this.#call('write');
      file.data = Buffer.concat([file.data, part]);
    }
    if (!flush) return;
    this.#call('fsync');
    file.flushed = file.data;
  }

  async writeLater(path: string, parts: readonly Uint8Array[], flush: boolean): Promise<void> {
    this.write(path, parts, flush);
  }

  rename(from: string, to: string): void {
    this.#call('rename');
    const [source, name] = this.#place(from);
    const [target, newName] = this.#place(to);
    const node = source.names.get(name);
    if (node === undefined) throw systemError('ENOENT', 'rename');
    source.names.delete(name);
    target.names.set(newName, node);
  }

  link(from: string, to: string): void {
    this.#call('link');
    const node = this.#find(from);
    const [folder, name] = this.#place(to);
    if (node === undefined) throw systemError('ENOENT', 'link');
    if (folder.names.has(name)) throw systemError('EEXIST', 'link');
    folder.names.set(name, node);
  }

  remove(path: string): boolean {
    this.#call('unlink');
    if (this.#find(path) === undefined) return false;
    const [folder, name] = this.#place(path);
    return folder.names.delete(name);
  }

  makeFolder(path: string): void {
    this.#call('mkdir');
    let at = this.#root;
    for (const name of this.#parts(path)) {
      let next = at.names.get(name) as Folder | undefined;
      if (next === undefined) {
        next = { names: new Map(), flushed: new Map() };
        at.names.set(name, next);
      }
      at = next;
    }
  }

  removeFolder(path: string): boolean {
    this.#call('rmdir');
    const folder = this.#find(path) as Folder | undefined;
    if (folder === undefined || folder.names.size > 0) return false;
    const [parent, name] = this.#place(path);
    return parent.names.delete(name);
  }

  flushFolder(path: string): void {
    this.#call('fsync');
    const folder = this.#find(path) as Folder;
    folder.flushed = new Map(folder.names);
  }

  async flushFolderLater(path: string): Promise<void> {
    this.flushFolder(path);
  }

  #call(syscall: string): void {
    this.calls++;
    const { fault } = this;
    if (fault === undefined || this.calls < fault.at) return;
    if (fault.forGood || this.calls === fault.at) throw systemError(fault.code, syscall);
  }

  #parts(path: string): string[] {
    const parts: string[] = [];
    for (const part of path.split('/'))
      if (part === '..') parts.pop();
      else if (part !== '') parts.push(this.#folding ? part.normalize('NFC').toLowerCase() : part);
    return parts;
  }

  #find(path: string): Node | undefined {
    let node: Node | undefined = this.#root;
    for (const name of this.#parts(path))
      node = node !== undefined && isFolder(node) ? node.names.get(name) : undefined;
    return node;
  }

  #place(path: string): [Folder, string] {
    const parts = this.#parts(path);
    const name = parts.pop() as string;
    const folder = this.#find(`/${parts.join('/')}`);
    if (folder === undefined || !isFolder(folder)) throw systemError('ENOENT', 'open');
    return [folder, name];
  }
}

function systemError(code: string, syscall: string): Error {
  return Object.assign(new Error(`${code}: simulated, ${syscall}`), { code, syscall });
}
