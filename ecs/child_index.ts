/**
 * Child index: the placed children of a container by address, so that those which meet a window are found in
 * O(log n + found). A treap ordered by (address, id), each node with the greatest end of its subtree. Its columns are part
 * of the containers' (`container.ts`), whose addresses it sorts by.
 */
import { sumAbove } from "./address.ts";

/** Columns of the index; a node is a child, by entity id. */
export interface ChildIndex {
  /** Bytes from the container's start; not to be changed while the child is indexed. */
  readonly address: Float64Array;
  readonly root: Int32Array;
  readonly left: Int32Array;
  readonly right: Int32Array;
  readonly end: Float64Array;
  /** Greatest end in the subtree. */
  readonly reach: Float64Array;
}

export function childIndexColumns(capacity: number): Omit<ChildIndex, "address"> {
  return {
    root: new Int32Array(capacity),
    left: new Int32Array(capacity),
    right: new Int32Array(capacity),
    end: new Float64Array(capacity),
    reach: new Float64Array(capacity),
  };
}

/** Adds a child that covers `size` bytes of its container, from its address. */
export function indexChild(t: ChildIndex, container: number, child: number, size: number): void {
  // An end that is not exact may only be too far: the renderer decides what is visible.
  t.end[child] = t.reach[child] = sumAbove(t.address[child]!, size);
  t.left[child] = t.right[child] = 0;
  t.root[container] = insert(t, t.root[container]!, child);
}

export function unindexChild(t: ChildIndex, container: number, child: number): void {
  t.root[container] = remove(t, t.root[container]!, child);
}

/** An indexed child has a new size. */
export function resizeIndexedChild(t: ChildIndex, container: number, child: number, size: number): void {
  unindexChild(t, container, child);
  indexChild(t, container, child, size);
}

/** Appends to `into` the children that meet `[start, end)`, by ascending address. */
export function childrenIn(t: ChildIndex, container: number, start: number, end: number, into: number[]): number[] {
  collect(t, t.root[container]!, start, end, into);
  return into;
}

function collect(t: ChildIndex, node: number, start: number, end: number, into: number[]): void {
  if (node === 0 || t.reach[node]! <= start) return;
  collect(t, t.left[node]!, start, end, into);
  if (t.address[node]! >= end) return;
  if (t.end[node]! > start) into.push(node);
  collect(t, t.right[node]!, start, end, into);
}

/** Heap order: ids hashed, so that they have nothing to do with addresses, and runs repeat. */
function rankOf(node: number): number {
  const mixed = Math.imul(node ^ (node >>> 15), 0x2c1b3c6d);
  return Math.imul(mixed ^ (mixed >>> 12), 0x297a2d39) >>> 0;
}

function comesBefore(t: ChildIndex, a: number, b: number): boolean {
  const difference = t.address[a]! - t.address[b]!;
  return difference < 0 || (difference === 0 && a < b);
}

function update(t: ChildIndex, node: number): number {
  let reach = t.end[node]!;
  const left = t.left[node]!;
  const right = t.right[node]!;
  if (left !== 0 && t.reach[left]! > reach) reach = t.reach[left]!;
  if (right !== 0 && t.reach[right]! > reach) reach = t.reach[right]!;
  t.reach[node] = reach;
  return node;
}

function insert(t: ChildIndex, node: number, child: number): number {
  if (node === 0) return child;
  if (comesBefore(t, child, node)) {
    const left = t.left[node] = insert(t, t.left[node]!, child);
    if (rankOf(left) <= rankOf(node)) return update(t, node);
    t.left[node] = t.right[left]!;
    t.right[left] = update(t, node);
    return update(t, left);
  }
  const right = t.right[node] = insert(t, t.right[node]!, child);
  if (rankOf(right) <= rankOf(node)) return update(t, node);
  t.right[node] = t.left[right]!;
  t.left[right] = update(t, node);
  return update(t, right);
}

function remove(t: ChildIndex, node: number, child: number): number {
  if (node === child) return merge(t, t.left[node]!, t.right[node]!);
  if (comesBefore(t, child, node)) t.left[node] = remove(t, t.left[node]!, child);
  else t.right[node] = remove(t, t.right[node]!, child);
  return update(t, node);
}

function merge(t: ChildIndex, left: number, right: number): number {
  if (left === 0) return right;
  if (right === 0) return left;
  if (rankOf(left) > rankOf(right)) {
    t.right[left] = merge(t, t.right[left]!, right);
    return update(t, left);
  }
  t.left[right] = merge(t, left, t.left[right]!);
  return update(t, right);
}
