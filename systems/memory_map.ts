/**
 * Memory map: what exists, who owns it, what contains it, who pins it and what every space shows, as data for programs
 * (W14). Plain JSON: entities are named by their handles, so that references can be followed; addresses, sizes and offsets
 * are hexadecimal text, since 2^64 and most of what is near it is no number that JSON keeps. Absent is null: all fields are
 * always there. Lists are in creation order unless they say otherwise.
 */
import { allSpaces, type Space } from "../ecs/address_space.ts";
import { containers } from "../ecs/container.ts";
import { DirtyClient } from "../ecs/dirty_bitmap.ts";
import { type FlatView, type Range, rangesOf } from "../ecs/flat_view.ts";
import { creationOf, entitiesOf, handleOf, type Kind, nameOf } from "../ecs/handle.ts";
import type { IoEvent } from "../ecs/io_event.ts";
import { type ListenerCallbacks, ListenerKind, listenerRecord, listenersOf } from "../ecs/listener.ts";
import { Life, OwnerKind, owners } from "../ecs/owner.ts";
import type { GuestMemory, RamBlock } from "../ecs/ram_block.ts";
import { countOf, refCounts, REFERENCE_KINDS, type ReferenceKind } from "../ecs/ref_count.ts";
import { Flag, RegionKind, regions } from "../ecs/region.ts";
import type { World } from "../ecs/world.ts";
import { joinBits } from "./access.ts";
import { openReaders } from "./epoch.ts";
import { currentMask } from "./log_masks.ts";
import { kindName, type RegionKindName } from "./mtree.ts";

/** Bytes, such as `0x80000000`; up to `0x10000000000000000`, which is 2^64. `BigInt` reads it. */
export type Hex = `0x${string}`;

/** Where an entity stands: `dying` waits for readers, `dropped` for whoever counts on it. */
export type LifeName = "live" | "dropped" | "dying";

/** What every entity has. */
export interface EntityEntry {
  /** Handle: no other entity of the world ever has it. */
  readonly id: number;
  readonly name: string;
  /** Handle of the owner. */
  readonly owner: number | null;
  readonly life: LifeName;
  /** How many references of each kind keep it; kinds without any are left out. */
  readonly references: Readonly<Partial<Record<ReferenceKind, number>>>;
}

export interface OwnerEntry extends EntityEntry {
  readonly isDevice: boolean;
}

export interface RegionEntry extends EntityEntry {
  readonly kind: RegionKindName;
  /** Without an owner, for as long as its world; never counted. */
  readonly isStatic: boolean;
  readonly size: Hex;
  /** Handle of the container. */
  readonly container: number | null;
  /** In the container, or where it was or will be; null: an address that is not exact, where it shows nothing. */
  readonly address: Hex | null;
  readonly priority: number;
  /** Handles of what it contains, the topmost first. */
  readonly children: readonly number[];
  readonly alias: { readonly target: number | null; readonly offset: Hex } | null;
  readonly enabled: boolean;
  readonly readonly: boolean;
  readonly nonvolatile: boolean;
  readonly unmergeable: boolean;
  /** A ROM device that reads as memory. */
  readonly romd: boolean;
  readonly ram: RamEntry | null;
  readonly ioEvents: readonly IoEventEntry[];
  /** Parts in which writes may be collected. */
  readonly coalesced: readonly { readonly offset: Hex; readonly size: Hex }[];
  /** Handles of the address spaces that show some of it. */
  readonly shownIn: readonly number[];
}

export interface RamEntry {
  /** Which guest memory it is in, the same number for the same one; null: it has bytes of its own. */
  readonly memory: number | null;
  /** In that memory, or in its buffer. */
  readonly offset: Hex;
  readonly size: Hex;
  /** What of a resizable block is in use. */
  readonly used: Hex;
  readonly isBorrowed: boolean;
  readonly isMigratable: boolean;
  /** Which clients log its stores. */
  readonly log: readonly (keyof typeof DirtyClient)[];
}

export interface IoEventEntry {
  readonly offset: Hex;
  /** Bytes of the write; 0: any. */
  readonly size: number;
  /** null: every value. */
  readonly data: Hex | null;
  /** Handle of the notifier. */
  readonly notifier: number;
}

export interface RangeEntry {
  readonly start: Hex;
  readonly size: Hex;
  readonly region: number;
  /** In the region. */
  readonly offset: Hex;
  readonly readonly: boolean;
  readonly nonvolatile: boolean;
  readonly unmergeable: boolean;
  readonly romd: boolean;
}

/** What spaces with the same view show. */
export interface ViewEntry {
  /** Handles. */
  readonly spaces: readonly number[];
  /** By ascending address; what lies between is unassigned. */
  readonly ranges: readonly RangeEntry[];
}

export interface SpaceEntry extends EntityEntry {
  readonly root: number | null;
  /** Index in `views`. */
  readonly view: number;
  /** Handles, in the order in which they hear of what comes. */
  readonly listeners: readonly number[];
  /** Bytes that bounce buffers may take, and have taken. */
  readonly bounce: { readonly limit: number; readonly used: number };
}

export interface ListenerEntry extends EntityEntry {
  readonly space: number;
  readonly priority: number;
  /** What it wants to hear. */
  readonly callbacks: readonly (keyof ListenerCallbacks)[];
}

/** A pin that says who holds it. */
export interface PinEntry {
  /** Handles. */
  readonly holder: number;
  readonly target: number;
  readonly kind: ReferenceKind;
  /** Such as a mapping; null: the holder itself. */
  readonly what: string | null;
  /** Where it was taken, in debug worlds. */
  readonly site: string | null;
}

export interface MemoryMap {
  readonly format: "freehold memory map";
  /** Goes up when a field changes its meaning or goes; new fields may come without. */
  readonly version: 1;
  readonly owners: readonly OwnerEntry[];
  readonly regions: readonly RegionEntry[];
  readonly spaces: readonly SpaceEntry[];
  readonly views: readonly ViewEntry[];
  readonly listeners: readonly ListenerEntry[];
  readonly pins: readonly PinEntry[];
  /** Open scopes, harts and workers that hold back what is dying. */
  readonly readers: readonly string[];
}

/** The memory map of a world as it is now. It only looks. */
export function memoryMap(world: World): MemoryMap {
  const spaces = allSpaces(world);
  const views = [...new Set(spaces.map(({ view }) => view))];
  const shownIn = spacesByRegion(spaces);
  const memories = new Map<GuestMemory, number>();
  return {
    format: "freehold memory map",
    version: 1,
    owners: entries(world, OwnerKind, (id) => ({ isDevice: owners(world).guard[id] !== undefined })),
    regions: entries(world, RegionKind, (id) => ({
      ...regionFacts(world, id),
      ...regionExtras(world, id, memories),
      shownIn: shownIn.get(id) ?? [],
    })),
    spaces: spaces.map((space) => ({ ...entityEntry(world, space.id), ...spaceFacts(world, space, views) })),
    views: views.map((view) => ({
      spaces: spaces.filter((space) => space.view === view).map(({ handle }) => handle),
      ranges: [...rangesOf(view)].map((range) => rangeEntry(world, range)),
    })),
    listeners: entries(world, ListenerKind, (id) => listenerFacts(world, id)),
    pins: pinEntries(world),
    readers: openReaders(world),
  };
}

function entries<E>(world: World, kind: Kind, facts: (id: number) => E): (EntityEntry & E)[] {
  return entitiesOf(world, kind).map((id) => ({ ...entityEntry(world, id), ...facts(id) }));
}

const LIVES: Readonly<Record<number, LifeName>> = {
  [Life.LIVE]: "live",
  [Life.DROPPED]: "dropped",
  [Life.DYING]: "dying",
};

function entityEntry(world: World, id: number): EntityEntry {
  const { owner, life } = owners(world);
  const references: Partial<Record<ReferenceKind, number>> = {};
  for (const kind of REFERENCE_KINDS) {
    const count = countOf(world, id, kind);
    if (count > 0) references[kind] = count;
  }
  return {
    id: handleOf(world, id),
    name: nameOf(world, id),
    owner: handleOrNull(world, owner[id]!),
    life: LIVES[life[id]!]!, // all lives are named
    references,
  };
}

function regionFacts(world: World, id: number) {
  const { flags, size, window } = regions(world);
  const { container, address, priority, firstChild, next } = containers(world);
  const has = (flag: number) => (flags[id]! & flag) !== 0;
  const shown = window[id];
  const children: number[] = [];
  for (let child = firstChild[id]!; child !== 0; child = next[child]!) children.push(handleOf(world, child));
  return {
    kind: kindName(flags[id]!),
    isStatic: has(Flag.STATIC),
    size: hex(size[id]!),
    container: handleOrNull(world, container[id]!),
    address: Number.isNaN(address[id]) ? null : hex(address[id]!),
    priority: priority[id]!,
    children,
    alias: shown === undefined ? null : { target: handleOrNull(world, shown.target), offset: hex(shown.offset) },
    enabled: has(Flag.ENABLED),
    ...attributes(flags[id]!),
  };
}

/** Of a region, or of a range that is seen through others. */
function attributes(flags: number) {
  return {
    readonly: (flags & Flag.READONLY) !== 0,
    nonvolatile: (flags & Flag.NONVOLATILE) !== 0,
    unmergeable: (flags & Flag.UNMERGEABLE) !== 0,
    romd: (flags & Flag.ROMD) !== 0,
  };
}

function regionExtras(world: World, id: number, memories: Map<GuestMemory, number>) {
  const tap = regions(world).tap[id];
  const block = regions(world).ram[id];
  return {
    ram: block === undefined ? null : ramEntry(world, id, block, memories),
    ioEvents: (tap?.ioEvents ?? []).map(ioEventEntry),
    coalesced: (tap?.coalesced ?? []).map(({ start, end }) => ({ offset: hex(start), size: hex(end - start) })),
  };
}

function ramEntry(world: World, id: number, block: RamBlock, memories: Map<GuestMemory, number>): RamEntry {
  const { memory, offset, size, resizable, isBorrowed, isMigratable } = block;
  if (memory !== undefined && !memories.has(memory)) memories.set(memory, memories.size);
  const mask = currentMask(world, id);
  const clients = Object.keys(DirtyClient) as (keyof typeof DirtyClient)[];
  return {
    memory: memory === undefined ? null : memories.get(memory)!, // set just now
    offset: hex(offset),
    size: hex(size),
    used: hex(resizable?.used ?? size),
    isBorrowed,
    isMigratable,
    log: clients.filter((client) => (mask & (1 << DirtyClient[client])) !== 0),
  };
}

function ioEventEntry({ offset, size, matches, low, high, notifier }: IoEvent): IoEventEntry {
  const data = matches ? hex(joinBits(high, low)) : null;
  return { offset: hex(offset), size, data, notifier: notifier.handle };
}

function spaceFacts(world: World, space: Space, views: readonly FlatView[]) {
  return {
    root: handleOrNull(world, space.root),
    view: views.indexOf(space.view),
    listeners: listenersOf(world, space.id).map(({ id }) => handleOf(world, id)),
    bounce: { limit: space.bounce.limit, used: space.bounce.used },
  };
}

function rangeEntry(world: World, range: Range): RangeEntry {
  return {
    start: hex(range.start),
    size: hex(BigInt(range.end) - BigInt(range.start)),
    region: handleOf(world, range.region),
    offset: hex(BigInt(range.start) - BigInt(range.base)),
    ...attributes(range.flags),
  };
}

function listenerFacts(world: World, id: number) {
  const record = listenerRecord(world, id)!; // every listener has one until its id is free
  const callbacks = Object.entries(record.callbacks).filter(([, callback]) => typeof callback === "function");
  return {
    space: handleOf<number>(world, record.space),
    priority: record.priority,
    callbacks: callbacks.map(([name]) => name).sort() as (keyof ListenerCallbacks)[],
  };
}

function pinEntries(world: World): PinEntry[] {
  const found: PinEntry[] = [];
  const holders = [...refCounts(world).pins.entries()].filter(([, pins]) => pins !== undefined && pins.length > 0);
  holders.sort(([a], [b]) => creationOf(world, a) - creationOf(world, b));
  for (const [holder, pins] of holders) {
    for (const { target, kind, site, of } of pins ?? []) {
      const what = of?.describe(world) ?? null;
      found.push({ holder: handleOf(world, holder), target: handleOf(world, target), kind, what, site: site ?? null });
    }
  }
  return found;
}

function spacesByRegion(spaces: readonly Space[]): ReadonlyMap<number, number[]> {
  const shown = new Map<number, number[]>();
  for (const { handle, view } of spaces) {
    for (const region of new Set([...rangesOf(view)].map((range) => range.region))) {
      const known = shown.get(region);
      if (known === undefined) shown.set(region, [handle]);
      else known.push(handle);
    }
  }
  return shown;
}

function handleOrNull(world: World, id: number): number | null {
  return id === 0 ? null : handleOf(world, id);
}

function hex(bytes: number | bigint): Hex {
  return `0x${BigInt(bytes).toString(16)}`;
}
