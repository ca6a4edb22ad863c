/**
 * Epochs: who may still see what was retired: the read scopes that are open on this thread, and readers that keep what
 * they have seen. A field of the world instead of a slot, since every access to a handler opens a scope.
 */
import type { Access } from "./world.ts";

/** What reclaim waits for. */
export interface ReaderSlot {
  readonly name: string;
  /** Sees nothing that was retired before this epoch; Infinity: quiescent, sees nothing at all. */
  readonly epoch: number;
  /** The slot is on another thread's account: it changes without a call here. */
  readonly isRemote?: boolean;
  /** Nobody waits for the reader any more. */
  dismiss?(): void;
}

/** A slot of this thread. Harts keep uncounted pins on RAM (TLB entries, decoded pages); announcing says that they were dropped. */
export interface Reader extends ReaderSlot {
  epoch: number;
}

/** An open read scope, with the access of the handler that runs in it: the accesses that it makes have frames of their own. */
export interface Frame extends Access {
  /** Who opened the scope: a name, or the region whose handler runs. */
  opener: string | number;
}

export interface Epochs {
  current: number;
  readonly readers: ReaderSlot[];
  /** `current` where workers see it; undefined: there never was one. */
  shared: Int32Array<SharedArrayBuffer> | undefined;
  /** Read scopes that are open on this thread's stack, which close in reverse order. */
  depth: number;
  /** Epoch of the outermost scope, while one is open. */
  scopeEpoch: number;
  /** Frame of the outermost scope: nearly every access is there, so it is reached without a list. */
  readonly outermost: Frame;
  /** Frames of the scopes inside it, from depth 2. */
  readonly inner: Frame[];
  /** Stamp of the oldest thing that waits to be reclaimed; 0 if nothing does. */
  oldestRetired: number;
}

export function newEpochs(): Epochs {
  return {
    current: 1,
    readers: [],
    shared: undefined,
    depth: 0,
    scopeEpoch: 0,
    outermost: newFrame(),
    inner: [],
    oldestRetired: 0,
  };
}

function newFrame(): Frame {
  return { attrs: 0, result: 0, hi: 0, opener: 0 };
}

/** Opens a scope where none is open, and returns its frame. Tiny, as all on the way to a handler: then it is inlined. */
export function openOutermost(epochs: Epochs): Frame {
  epochs.depth = 1;
  epochs.scopeEpoch = epochs.current;
  return epochs.outermost;
}

/** Opens a scope inside another, and returns its frame. */
export function openInner(epochs: Epochs): Frame {
  return epochs.inner[epochs.depth++ - 1] ??= newFrame();
}

/** Makes a frame ready for the handler that is about to run. */
export function resetFrame(frame: Frame, opener: string | number, attrs: number): Frame {
  frame.opener = opener;
  frame.attrs = attrs;
  frame.result = frame.hi = 0;
  return frame;
}
