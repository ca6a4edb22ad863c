/**
 * Discard manager: RAM of which parts are not there, as of a memory device that plugs blocks (1.2). Listeners follow the
 * populated parts of a stretch. A populated part may be refused by a listener; those told before are told that it went.
 */
import { formatAddress } from "../ecs/address.ts";
import { containers } from "../ecs/container.ts";
import { nameOf, resolve } from "../ecs/handle.ts";
import type { Holding } from "../ecs/holding.ts";
import type { DiscardCallbacks, DiscardState, RamBlock } from "../ecs/ram_block.ts";
import type { Pin } from "../ecs/ref_count.ts";
import { type Region, RegionKind, regions } from "../ecs/region.ts";
import type { World } from "../ecs/world.ts";
import { closeHolding, openHolding, resolveHolder } from "./holding.ts";
import { ramOf } from "./create_region.ts";

/** A discard manager or a change of it that makes no sense, or that a listener refuses. Nothing has changed. */
export class DiscardError extends Error {
  override readonly name = "DiscardError";
}

/** A listener of populated parts. */
export class DiscardListener implements Holding, DiscardCallbacks {
  pin: Pin | undefined;
  isOpen = true;

  constructor(
    readonly name: string,
    readonly holder: number,
    /** Entity id. */
    readonly region: number,
    readonly state: DiscardState,
    readonly start: number,
    readonly end: number,
    private readonly callbacks: Pick<DiscardCallbacks, "populated" | "discarded">,
  ) {}

  populated(offset: number, size: number): void {
    this.callbacks.populated(offset, size);
  }

  discarded(offset: number, size: number): void {
    this.callbacks.discarded(offset, size);
  }

  describe(world: World): string {
    return `discard listener "${this.name}" of "${nameOf(world, this.region)}"`;
  }

  ended(): void {
    const { state } = this;
    state.listeners = state.listeners.filter((other) => other !== this);
  }
}

/**
 * Makes RAM discardable: nothing of it is populated any more.
 *
 * @param granularity Bytes, a divisor of the RAM's size.
 * @throws {DiscardError} if it has a manager, or is visible somewhere: that would change under its users.
 */
export function createDiscardManager(world: World, region: Region, { granularity }: { granularity: number }): void {
  const block = ramOf(world, region);
  const id = resolve(world, region, RegionKind);
  const name = `"${nameOf(world, id)}"`;
  const { firstAlias, spaces } = regions(world);
  if (block.discard !== undefined) throw new DiscardError(`${name} has a discard manager`);
  if (containers(world).container[id] !== 0 || firstAlias[id] !== 0 || (spaces[id]?.length ?? 0) > 0) {
    throw new DiscardError(`${name} is mapped, so it cannot get a discard manager`);
  }
  const count = block.size / granularity;
  if (!(granularity > 0) || !Number.isInteger(granularity) || !Number.isInteger(count)) {
    throw new DiscardError(`granules of ${granularity} bytes do not fill ${name}`);
  }
  block.discard = { granularity, populated: new Uint8Array(count), listeners: [] };
}

/** Whether all of `size` bytes at `offset` is populated. */
export function isPopulated(world: World, region: Region, offset: number, size: number): boolean {
  const { state } = managed(world, region);
  const { granularity, populated } = state;
  return !populated.subarray(Math.floor(offset / granularity), Math.ceil((offset + size) / granularity)).includes(0);
}

/**
 * Tells `listener` of what is populated of `[offset, offset + size)`, run by run, and of changes from now on. It pins the
 * region, and ends with its holder.
 *
 * @throws {DiscardError} if it refuses a run: it was told that the earlier ones went, and is not registered.
 */
export function addDiscardListener(
  world: World,
  region: Region,
  options: Pick<DiscardCallbacks, "populated" | "discarded"> & {
    readonly name: string;
    readonly offset?: number;
    readonly size?: number;
    readonly holder?: number;
  },
): DiscardListener {
  const { id, block, state } = managed(world, region);
  const { name, offset = 0, size = block.size - offset, holder } = options;
  const by = resolveHolder(world, holder);
  const listener = new DiscardListener(name, by, id, state, offset, offset + size, options);
  tell(world, id, "populated", runsOf(state, 1, offset, offset + size).map((run) => ({ listener, ...run })));
  openHolding(world, listener, "listener", id);
  state.listeners = [...state.listeners, listener];
  return listener;
}

/** Tells the listener that all went, and forgets it. @throws {ClosedError} if it was removed before. */
export function removeDiscardListener(world: World, listener: DiscardListener): void {
  const { region, state, start, end } = listener;
  closeHolding(world, listener, () => {
    tell(world, region, "discarded", runsOf(state, 1, start, end).map((run) => ({ listener, ...run })));
  });
}

/**
 * Populates what is not populated of `size` bytes at `offset`; they are zero.
 *
 * @throws {DiscardError} if the bytes are no whole granules of the RAM, or a listener refuses.
 */
export function populate(world: World, region: Region, offset: number, size: number): void {
  const { id, state } = granules(world, region, offset, size);
  tell(world, id, "populated", changes(state, 0, offset, offset + size));
  mark(state, offset, size, 1);
}

/** Discards what is populated of `size` bytes at `offset`: listeners hear of it first, then the bytes are zero. */
export function discard(world: World, region: Region, offset: number, size: number): void {
  const { id, state, block } = granules(world, region, offset, size);
  tell(world, id, "discarded", changes(state, 1, offset, offset + size));
  mark(state, offset, size, 0);
  block.bytes.fill(0, offset, offset + size);
  if (size > 0) block.observer?.(offset, size);
}

interface Change {
  readonly listener: DiscardCallbacks;
  readonly offset: number;
  readonly size: number;
}

/** What becomes of the granules that are in the state `from`, by listener in the order of registration. */
function changes(state: DiscardState, from: 0 | 1, start: number, end: number): Change[] {
  return state.listeners.flatMap((listener) =>
    runsOf(state, from, Math.max(start, listener.start), Math.min(end, listener.end)).map((run) => ({
      listener,
      ...run,
    }))
  );
}

/** Tells of changes one by one. A refusal takes back those before it, the last first. */
function tell(world: World, region: number, what: "populated" | "discarded", all: readonly Change[]): void {
  for (const [told, { listener, offset, size }] of all.entries()) {
    try {
      listener[what](offset, size);
    } catch (cause) {
      const reason = cause instanceof Error ? cause.message : String(cause);
      const where = `${size} bytes at ${formatAddress(offset)} of "${nameOf(world, region)}"`;
      const error = new DiscardError(`a listener refuses that ${where} are ${what}: ${reason}`, { cause });
      if (what === "discarded") {
        world.reportFault(error);
        continue;
      }
      for (const earlier of all.slice(0, told).reverse()) earlier.listener.discarded(earlier.offset, earlier.size);
      throw error;
    }
  }
}

/** Runs of granules in one state, clipped to `[start, end)`, ascending. */
function runsOf(
  { granularity, populated }: DiscardState,
  wanted: 0 | 1,
  start: number,
  end: number,
): { offset: number; size: number }[] {
  const runs: { offset: number; size: number }[] = [];
  for (let at = start; at < end;) {
    const stop = Math.min(end, (Math.floor(at / granularity) + 1) * granularity);
    const last = runs.at(-1);
    if (populated[Math.floor(at / granularity)] === wanted) {
      if (last !== undefined && last.offset + last.size === at) last.size += stop - at;
      else runs.push({ offset: at, size: stop - at });
    }
    at = stop;
  }
  return runs;
}

function mark({ granularity, populated }: DiscardState, offset: number, size: number, value: 0 | 1): void {
  populated.fill(value, offset / granularity, (offset + size) / granularity);
}

function managed(world: World, region: Region): { id: number; block: RamBlock; state: DiscardState } {
  const block = ramOf(world, region);
  const id = resolve(world, region, RegionKind);
  if (block.discard === undefined) throw new DiscardError(`"${nameOf(world, id)}" has no discard manager`);
  return { id, block, state: block.discard };
}

function granules(world: World, region: Region, offset: number, size: number): ReturnType<typeof managed> {
  const found = managed(world, region);
  const { granularity } = found.state;
  const isWhole = Number.isInteger(offset / granularity) && Number.isInteger(size / granularity);
  if (isWhole && offset >= 0 && size >= 0 && offset + size <= found.block.size) return found;
  const name = nameOf(world, found.id);
  throw new DiscardError(`${size} bytes at ${formatAddress(offset)} are no whole granules of "${name}"`);
}
