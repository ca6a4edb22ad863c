/**
 * A hart's bus that is an address space of a world: accesses go through dispatch, a listener keeps the table of what is
 * guest memory, and the hart is a reader with an epoch while it runs.
 */
import type { AddressSpace } from "../../ecs/address_space.ts";
import { resolve } from "../../ecs/handle.ts";
import type { Listener, Section } from "../../ecs/listener.ts";
import type { Owner } from "../../ecs/owner.ts";
import type { GuestMemory } from "../../ecs/ram_block.ts";
import { Flag, type Region, RegionKind, regions } from "../../ecs/region.ts";
import type { World } from "../../ecs/world.ts";
import { dispatchRead, dispatchWrite } from "../../systems/dispatch.ts";
import { currentEpoch, type Reader } from "../../systems/epoch.ts";
import { announce, quiesce, registerReader, unregisterReader } from "../../systems/scope.ts";
import { markDirty } from "../../systems/dirty_log.ts";
import { registerListener, unregisterListener } from "../../systems/address_spaces.ts";
import { observeStores } from "../../systems/create_region.ts";
import type { Bus, BusEvents, MemoryRange } from "./bus.ts";
import { PAGE_BYTES, STORES_DISPATCHED, STORES_LOST, STORES_WRITE } from "./layout.ts";

export interface SpaceBusOptions {
  readonly world: World;
  readonly space: AddressSpace;
  readonly owner: Owner;
  readonly memory: GuestMemory;
  readonly name: string;
}

/** Guest memory that shows a region. */
interface RegionRange extends MemoryRange {
  readonly region: Region;
  /** Of the region's first byte in guest memory. */
  readonly blockOffset: number;
}

export class SpaceBus implements Bus {
  high = 0;
  failed = false;
  readonly #options: SpaceBusOptions;
  readonly #events: BusEvents;
  readonly #listener: Listener;
  readonly #reader: Reader;
  /** By first address. */
  readonly #ranges: Map<number, RegionRange> = new Map();
  #isChanged = false;
  #isListening = false;

  constructor(options: SpaceBusOptions, events: BusEvents) {
    const { world, space, owner, name } = options;
    this.#options = options;
    this.#events = events;
    this.#reader = registerReader(world, name);
    this.#listener = registerListener(world, space, {
      name,
      owner,
      regionAdd: (section) => this.#add(section),
      regionDel: (section) => this.#remove(section),
      commit: () => this.#commit(),
    });
    this.#isListening = true;
  }

  dispose(): void {
    const { world } = this.#options;
    this.#isListening = false;
    unregisterListener(world, this.#listener);
    unregisterReader(world, this.#reader);
  }

  read(hi: number, lo: number, size: 1 | 2 | 4 | 8): number {
    const { world, space } = this.#options;
    const value = dispatchRead(world, space, hi, lo, size);
    this.high = world.access.hi;
    this.failed = world.access.result !== 0;
    this.#catchUp();
    return value;
  }

  write(hi: number, lo: number, size: 1 | 2 | 4 | 8, valueLo: number, valueHi: number): boolean {
    const { world, space } = this.#options;
    const failed = dispatchWrite(world, space, hi, lo, size, valueLo, valueHi) !== 0;
    this.#catchUp();
    return failed;
  }

  ranges(): readonly MemoryRange[] {
    const size = ({ first, last }: MemoryRange) => last - first;
    return [...this.#ranges.values()].sort((a, b) => size(a) < size(b) ? 1 : size(a) > size(b) ? -1 : 0);
  }

  logStore(offset: number): void {
    for (const range of this.#ranges.values()) {
      if (offset < range.offset || offset > range.offset + Number(range.last - range.first)) continue;
      return markDirty(this.#options.world, range.region, offset - range.blockOffset, 1);
    }
  }

  enter(): void {
    announce(this.#options.world, this.#reader);
  }

  leave(): void {
    quiesce(this.#options.world, this.#reader);
  }

  /** The listener has dropped what a commit made stale by now, so the hart has seen the present. */
  #catchUp() {
    const { world } = this.#options;
    if (this.#reader.epoch < currentEpoch(world)) announce(world, this.#reader);
  }

  #add(section: Section) {
    const range = this.#rangeOf(section);
    if (range === undefined) return;
    this.#ranges.set(section.address, range);
    observe(this.#options.world, section.region, this.#events, range.blockOffset);
    this.#isChanged = true;
  }

  #remove(section: Section) {
    const range = this.#ranges.get(section.address);
    if (range === undefined) return;
    this.#ranges.delete(section.address);
    unobserve(this.#options.world, section.region);
    this.#events.unmapped(range.offset, section.size);
    this.#isChanged = true;
  }

  #commit() {
    if (!this.#isChanged) return;
    this.#isChanged = false;
    if (this.#isListening) this.#events.mapChanged();
  }

  /** Nothing unless the section is readable as memory, is in the hart's guest memory, and pages line up. */
  #rangeOf({ region, address, size, offset, readonly, romd }: Section): RegionRange | undefined {
    const { world, memory } = this.#options;
    const id = resolve(world, region, RegionKind);
    const block = regions(world).ram[id];
    const reads = romd || ((regions(world).flags[id] ?? 0) & Flag.RAM) !== 0;
    if (!reads || block === undefined || block.memory !== memory) return undefined;
    const start = block.offset + offset;
    if ((start - address) % PAGE_BYTES !== 0 || offset + size > block.size) return undefined;
    const first = BigInt(address);
    return {
      first,
      last: first + BigInt(size) - 1n,
      offset: start,
      stores: romd ? STORES_DISPATCHED : readonly ? STORES_LOST : STORES_WRITE,
      region,
      blockOffset: block.offset,
    };
  }
}

/** How many mapped ranges of all harts show each region: its stores are observed while there is one. */
const OBSERVED: WeakMap<World, Map<Region, number>> = new WeakMap();

function observe(world: World, region: Region, events: BusEvents, blockOffset: number) {
  const counts = OBSERVED.get(world) ?? new Map<Region, number>();
  OBSERVED.set(world, counts);
  const count = counts.get(region) ?? 0;
  counts.set(region, count + 1);
  // Decoded pages are shared by the harts of a guest memory: telling one tells all.
  if (count > 0) return;
  observeStores(
    world,
    region,
    (offset, length) => events.stored(blockOffset + offset, length),
    (offset, length) => events.cleaned(blockOffset + offset, length),
  );
}

function unobserve(world: World, region: Region) {
  const counts = OBSERVED.get(world);
  const count = counts?.get(region) ?? 0;
  if (count > 1) counts?.set(region, count - 1);
  else {
    counts?.delete(region);
    observeStores(world, region, undefined);
  }
}
