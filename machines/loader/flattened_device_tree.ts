/**
 * Device trees and their flattened form: what a board tells its firmware and kernel about itself.
 *
 * Source: Devicetree Specification 0.4, chapter 5 (flattened format version 17). The reader takes untrusted files: size,
 * depth and every offset are checked.
 */

/** A node: named properties with raw values, and child nodes. Order is kept, because kernels probe in it. */
export interface DeviceTreeNode {
  readonly name: string;
  readonly properties: Map<string, Uint8Array>;
  readonly children: DeviceTreeNode[];
}

/** A whole tree; `reservations` are `[address, size]` ranges of memory that nobody may use. */
export interface DeviceTree {
  readonly root: DeviceTreeNode;
  readonly reservations: readonly (readonly [bigint, bigint])[];
}

/** A device tree file that can't be read. The message is a sentence without a subject: "is cut short". */
export class DeviceTreeError extends Error {
  override name = "DeviceTreeError";
}

const MAGIC = 0xd00dfeed;
const HEADER_BYTES = 40;
const VERSION = 17;
const LAST_COMPATIBLE_VERSION = 16;
const TOKEN = { beginNode: 1, endNode: 2, property: 3, nop: 4, end: 9 } as const;
/** The largest tree that is written or read: QEMU's own limit. */
export const MAX_DEVICE_TREE_BYTES = 1 << 20;
const MAX_DEPTH = 64;

/** A node from literals, for boards that spell out their tree. */
export function node(
  name: string,
  properties: Readonly<Record<string, Uint8Array>>,
  children: readonly DeviceTreeNode[] = [],
): DeviceTreeNode {
  return { name, properties: new Map(Object.entries(properties)), children: [...children] };
}

/** 32-bit cells, big-endian. */
export function cells(...values: readonly number[]): Uint8Array {
  const view = new DataView(new ArrayBuffer(4 * values.length));
  values.forEach((value, i) => view.setUint32(4 * i, value));
  return new Uint8Array(view.buffer);
}

/** Two cells for each value, as `#address-cells = <2>` and `#size-cells = <2>` want them. Values below 2^53. */
export function doubleCells(...values: readonly number[]): Uint8Array {
  return cells(...values.flatMap((value) => [Math.floor(value / 2 ** 32), value % 2 ** 32]));
}

/** A list of NUL-terminated strings. */
export function text(...strings: readonly string[]): Uint8Array {
  return new TextEncoder().encode(strings.map((s) => s + "\0").join(""));
}

/** The value of a property whose presence is its meaning. */
export const present: Uint8Array = new Uint8Array(0);

/** The node at a path such as "/cpus/cpu@0", if there is one. */
export function findNode(tree: DeviceTree, path: string): DeviceTreeNode | undefined {
  let found: DeviceTreeNode | undefined = tree.root;
  for (const part of path.split("/").filter((p) => p !== "")) {
    found = found?.children.find((child) => child.name === part);
  }
  return found;
}

/** `/chosen`, made if it is missing: where a loader leaves the command line, the initrd and the seed. */
export function chosenNode(tree: DeviceTree): DeviceTreeNode {
  const found = findNode(tree, "/chosen");
  if (found !== undefined) return found;
  const chosen = node("chosen", {});
  tree.root.children.push(chosen);
  return chosen;
}

/** The flattened form, version 17. */
export function writeDeviceTree(tree: DeviceTree): Uint8Array {
  const strings = new StringBlock();
  const structure = new BigEndianBytes();
  writeNode(structure, strings, tree.root);
  structure.u32(TOKEN.end);

  const reservations = HEADER_BYTES;
  const structureAt = reservations + 16 * (tree.reservations.length + 1);
  const stringsAt = structureAt + structure.length;
  const total = stringsAt + strings.bytes.length;

  const out = new BigEndianBytes();
  for (const word of [MAGIC, total, structureAt, stringsAt, reservations, VERSION, LAST_COMPATIBLE_VERSION]) {
    out.u32(word);
  }
  out.u32(0); // boot_cpuid_phys
  out.u32(strings.bytes.length);
  out.u32(structure.length);
  for (const [address, size] of [...tree.reservations, [0n, 0n] as const]) {
    for (const value of [address, size]) {
      out.u32(Number(value >> 32n));
      out.u32(Number(value & 0xffffffffn));
    }
  }
  out.append(structure.take());
  out.append(strings.bytes.take());
  return out.take();
}

function writeNode(out: BigEndianBytes, strings: StringBlock, item: DeviceTreeNode): void {
  out.u32(TOKEN.beginNode);
  out.append(text(item.name));
  out.align4();
  for (const [name, value] of item.properties) {
    out.u32(TOKEN.property);
    out.u32(value.length);
    out.u32(strings.offsetOf(name));
    out.append(value);
    out.align4();
  }
  for (const child of item.children) writeNode(out, strings, child);
  out.u32(TOKEN.endNode);
}

/** Property names, each stored once. */
class StringBlock {
  readonly bytes: BigEndianBytes = new BigEndianBytes();
  readonly #offsets = new Map<string, number>();

  offsetOf(name: string): number {
    let offset = this.#offsets.get(name);
    if (offset === undefined) {
      offset = this.bytes.length;
      this.#offsets.set(name, offset);
      this.bytes.append(text(name));
    }
    return offset;
  }
}

class BigEndianBytes {
  length = 0;
  #buffer = new Uint8Array(4096);

  u32(value: number): void {
    this.append(cells(value));
  }

  append(bytes: Uint8Array): void {
    while (this.length + bytes.length > this.#buffer.length) {
      const grown = new Uint8Array(2 * this.#buffer.length);
      grown.set(this.#buffer);
      this.#buffer = grown;
    }
    this.#buffer.set(bytes, this.length);
    this.length += bytes.length;
  }

  align4(): void {
    this.append(new Uint8Array(-this.length & 3));
  }

  take(): Uint8Array {
    return this.#buffer.slice(0, this.length);
  }
}

/**
 * Reads a flattened device tree.
 *
 * @throws {DeviceTreeError} if the bytes are not one, are cut short, or nest deeper than 64 nodes.
 */
export function readDeviceTree(bytes: Uint8Array): DeviceTree {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (bytes.length < HEADER_BYTES || view.getUint32(0) !== MAGIC) {
    throw new DeviceTreeError("is not a flattened device tree");
  }
  const total = view.getUint32(4);
  if (total > bytes.length) {
    throw new DeviceTreeError(`is cut short: its header says ${total} bytes, it has ${bytes.length}`);
  }
  if (total < HEADER_BYTES) throw new DeviceTreeError(`says that it has ${total} bytes, less than its header`);
  if (total > MAX_DEVICE_TREE_BYTES) throw new DeviceTreeError("is larger than 1 MiB");
  if (view.getUint32(24) > VERSION || view.getUint32(20) < LAST_COMPATIBLE_VERSION) {
    throw new DeviceTreeError(`has format version ${view.getUint32(20)}, and only 16 and 17 are known`);
  }
  return new Reader(bytes.subarray(0, total)).tree();
}

class Reader {
  readonly #bytes: Uint8Array;
  readonly #view: DataView;
  readonly #stringsAt: number;
  #at: number;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.#at = this.#view.getUint32(8);
    this.#stringsAt = this.#view.getUint32(12);
  }

  tree(): DeviceTree {
    const reservations = this.#reservations();
    if (this.#token() !== TOKEN.beginNode) throw new DeviceTreeError("has no root node");
    const root = this.#node(0);
    return { root, reservations };
  }

  #reservations(): (readonly [bigint, bigint])[] {
    const list: (readonly [bigint, bigint])[] = [];
    for (let at = this.#view.getUint32(16);; at += 16) {
      this.#need(at, 16);
      const entry = [this.#view.getBigUint64(at), this.#view.getBigUint64(at + 8)] as const;
      if (entry[0] === 0n && entry[1] === 0n) return list;
      list.push(entry);
    }
  }

  #node(depth: number): DeviceTreeNode {
    if (depth > MAX_DEPTH) throw new DeviceTreeError(`nests deeper than ${MAX_DEPTH} nodes`);
    const item = node(this.#string(this.#at), {});
    this.#skip(item.name.length + 1);
    for (;;) {
      const token = this.#token();
      if (token === TOKEN.endNode) return item;
      if (token === TOKEN.beginNode) item.children.push(this.#node(depth + 1));
      else if (token === TOKEN.property) this.#property(item);
      else throw new DeviceTreeError(`has the unknown token ${token} in node "${item.name}"`);
    }
  }

  #property(item: DeviceTreeNode): void {
    this.#need(this.#at, 8);
    const length = this.#view.getUint32(this.#at);
    const name = this.#string(this.#stringsAt + this.#view.getUint32(this.#at + 4));
    this.#at += 8;
    this.#need(this.#at, length);
    item.properties.set(name, this.#bytes.slice(this.#at, this.#at + length));
    this.#skip(length);
  }

  #token(): number {
    for (;;) {
      this.#need(this.#at, 4);
      const token = this.#view.getUint32(this.#at);
      this.#at += 4;
      if (token !== TOKEN.nop) return token;
    }
  }

  /** Latin-1, so that the length in characters is the length in bytes. */
  #string(at: number): string {
    const end = this.#bytes.indexOf(0, at);
    if (at > this.#bytes.length || end < 0) throw new DeviceTreeError("is cut short in a name");
    return String.fromCharCode(...this.#bytes.subarray(at, end).subarray(0, 256));
  }

  #skip(length: number): void {
    this.#at = (this.#at + length + 3) & ~3;
  }

  #need(at: number, length: number): void {
    if (at + length > this.#bytes.length) throw new DeviceTreeError("is cut short");
  }
}
