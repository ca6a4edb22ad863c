/**
 * Worker readers: slots of readers on other threads. A worker announces and leaves by itself, in shared memory, and
 * reclaim looks there. One that never leaves is named by `stalledReaders`.
 */
import type { World } from "../ecs/world.ts";
import { addSlot, currentEpoch, type ReaderSlot, shareEpoch } from "./epoch.ts";
import { QUIESCENT, sharedForm, type SharedView, Slot, SLOT_BYTES } from "./published_reader.ts";
import type { PublishedView } from "./published_view.ts";

/** A reader on a worker, as the main thread sees it. */
export interface WorkerReader extends ReaderSlot {
  /** To be sent to the worker, which calls `openPublishedView` with it. */
  readonly shared: SharedView;
}

/**
 * Admits a reader of a published view; it is quiescent until the worker enters. `unregisterReader` ends it: when the
 * worker has left for good, or was terminated, wherever it was. One that still runs is refused when it enters again.
 */
export function registerWorkerReader(world: World, published: PublishedView, name: string): WorkerReader {
  const epoch = shareEpoch(world);
  const slot = new Int32Array(new SharedArrayBuffer(SLOT_BYTES));
  const reader = new WorkerSlot(world, name, slot, {
    pages: published.pages,
    memory: published.memory,
    epoch,
    slot: slot.buffer,
  });
  addSlot(world, reader);
  return reader;
}

class WorkerSlot implements WorkerReader {
  readonly isRemote = true;
  readonly name: string;
  readonly shared: SharedView;
  readonly #world: World;
  readonly #slot: Int32Array;
  /** What was last seen in the slot, and the epoch that it stood for. */
  #announced = QUIESCENT;
  #epoch = Infinity;

  constructor(world: World, name: string, slot: Int32Array, shared: SharedView) {
    this.#world = world;
    this.name = name;
    this.#slot = slot;
    this.shared = shared;
  }

  /** A reader that stays for so long that 31 bits of epochs pass is not mistaken for a new one: its slot has not changed. */
  get epoch(): number {
    const announced = Atomics.load(this.#slot, Slot.EPOCH);
    if (announced === this.#announced) return this.#epoch;
    const current = currentEpoch(this.#world);
    this.#announced = announced;
    this.#epoch = announced === QUIESCENT ? Infinity : current - ((sharedForm(current) - announced) >>> 1);
    return this.#epoch;
  }

  dismiss(): void {
    Atomics.store(this.#slot, Slot.DISMISSED, 1);
  }
}
