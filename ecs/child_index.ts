/**
 * Child index: the placed children of a container by address, so that those which meet a window are found in
 * O(log n + found). A treap ordered by (start, id), each node with the greatest end of its subtree.
 */
import { sumAbove } from "./address.ts";
import { defineColumns, type World } from "./world.ts";

const treaps = defineColumns((capacity) => ({
  root: new Int32Array(capacity),
  left: new Int32Array(capacity),
  right: new Int32Array(capacity),
  start: new Float64Array(capacity),
  end: new Float64Array(capacity),
  /** Greatest end in the subtree. */
  reach: new Float64Array(capacity),
  /** Heap order; hashed from the insertion count, so that runs repeat. */
  rank: new Uint32Array(capacity),
  inserted: 0,
}));

type Treaps = ReturnType<typeof treaps>;

export function clearChildIndex(world: World, region: number): void {
  const t = treaps(world);
  t.root[region] = t.left[region] = t.right[region] = 0;
}

/** Adds a child that covers `[address, address + size)` of its container. */
export function indexChild(world: World, container: number, child: number, address: number, size: number): void {
  const t = treaps(world);
  t.start[child] = address;
  // An end that is not exact may only be too far: the renderer decides what is visible.
  t.end[child] = t.reach[child] = sumAbove(address, size);
  t.left[child] = t.right[child] = 0;
  t.rank[child] = Math.imul(++t.inserted, 0x9e3779b1) >>> 0;
  t.root[container] = insert(t, t.root[container]!, child);
}

export function unindexChild(world: World, container: number, child: number): void {
  const t = treaps(world);
  t.root[container] = remove(t, t.root[container]!, child);
}

/** Appends to `into` the children that meet `[start, end)`, by ascending address. */
export function childrenIn(world: World, container: number, start: number, end: number, into: number[]): number[] {
  const t = treaps(world);
  collect(t, t.root[container]!, start, end, into);
  return into;
}

function collect(t: Treaps, node: number, start: number, end: number, into: number[]): void {
  if (node === 0 || t.reach[node]! <= start) return;
  collect(t, t.left[node]!, start, end, into);
  if (t.start[node]! >= end) return;
  if (t.end[node]! > start) into.push(node);
  collect(t, t.right[node]!, start, end, into);
}

function comesBefore(t: Treaps, a: number, b: number): boolean {
  const difference = t.start[a]! - t.start[b]!;
  return difference < 0 || (difference === 0 && a < b);
}

function update(t: Treaps, node: number): number {
  let reach = t.end[node]!;
  const left = t.left[node]!;
  const right = t.right[node]!;
  if (left !== 0 && t.reach[left]! > reach) reach = t.reach[left]!;
  if (right !== 0 && t.reach[right]! > reach) reach = t.reach[right]!;
  t.reach[node] = reach;
  return node;
}

function insert(t: Treaps, node: number, child: number): number {
  if (node === 0) return child;
  if (comesBefore(t, child, node)) {
    const left = t.left[node] = insert(t, t.left[node]!, child);
    if (t.rank[left]! <= t.rank[node]!) return update(t, node);
    t.left[node] = t.right[left]!;
    t.right[left] = update(t, node);
    return update(t, left);
  }
  const right = t.right[node] = insert(t, t.right[node]!, child);
  if (t.rank[right]! <= t.rank[node]!) return update(t, node);
  t.right[node] = t.left[right]!;
  t.left[right] = update(t, node);
  return update(t, right);
}

function remove(t: Treaps, node: number, child: number): number {
  if (node === child) return merge(t, t.left[node]!, t.right[node]!);
  if (comesBefore(t, child, node)) t.left[node] = remove(t, t.left[node]!, child);
  else t.right[node] = remove(t, t.right[node]!, child);
  return update(t, node);
}

function merge(t: Treaps, left: number, right: number): number {
  if (left === 0) return right;
  if (right === 0) return left;
  if (t.rank[left]! > t.rank[right]!) {
    t.right[left] = merge(t, t.right[left]!, right);
    return update(t, left);
  }
  t.left[right] = merge(t, left, t.left[right]!);
  return update(t, right);
}

/** A contained region has a new size. */
export function resizeIndexedChild(world: World, container: number, child: number, size: number): void {
  const t = treaps(world);
  const address = t.start[child]!;
  unindexChild(world, container, child);
  indexChild(world, container, child, address, size);
}
