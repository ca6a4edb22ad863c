/** Address space: a root region as something looks at it: a hart, a DMA master. Dispatch finds its view here. */
import { roundDown } from "./address.ts";
import { EMPTY_VIEW, type FlatView, type Range, rangeAt } from "./flat_view.ts";
import { defineKind, handleOf, ID_LIMIT, newEntity, resolve, StaleHandleError } from "./handle.ts";
import type { ListedIoEvent } from "./io_event.ts";
import { linkOwned } from "./owner.ts";
import { addRootOf, removeRootOf } from "./region.ts";
import { defineColumns, type World } from "./world.ts";

declare const addressSpace: unique symbol;
/** Handle of an address space. */
export type AddressSpace = number & { readonly [addressSpace]: true };

export const AddressSpaceKind = defineKind("address space");

/** Default of the bytes that bounce buffers of a space may take together. */
const BOUNCE_LIMIT = 4096;

/** Slots of the lookup cache; a power of two. */
const CACHE = 64;

export interface Space {
  readonly id: number;
  readonly handle: AddressSpace;
  /** For messages of what outlives it. */
  readonly name: string;
  /** Region entity; 0: the space was destroyed. */
  root: number;
  /** The region whose rendering the space shares (1.6); 0: empty. */
  physicalRoot: number;
  view: FlatView;
  /** Ranges that lookups found lately in `view`, by page number. */
  cache: (Range | undefined)[];
  /** Windows to be re-rendered: start, end, start, end … */
  windows: number[];
  /** Io events as its listeners know them; undefined: nobody asks for them (E3). */
  ioEvents: readonly ListedIoEvent[] | undefined;
  /** Told each view as it becomes the current one: a copy of it is kept elsewhere. undefined: nobody wants it. */
  mirror: ((view: FlatView) => void) | undefined;
  /** Bytes that bounce buffers may take and have taken (U3). */
  readonly bounce: { limit: number; used: number };
}

const spaces = defineColumns((capacity) => ({
  record: new Array<Space | undefined>(capacity),
  /** In registration order. */
  all: [] as Space[],
}));

/** A space that shows nothing until its first commit. */
export function newAddressSpace(world: World, name: string, root: number, owner: number): Space {
  const id = newEntity(world, AddressSpaceKind, name);
  linkOwned(world, id, owner);
  const space: Space = {
    id,
    handle: handleOf(world, id),
    name,
    root,
    physicalRoot: 0,
    view: EMPTY_VIEW,
    cache: new Array(CACHE).fill(undefined),
    windows: [],
    ioEvents: undefined,
    mirror: undefined,
    bounce: { limit: BOUNCE_LIMIT, used: 0 },
  };
  spaces(world).record[id] = space;
  spaces(world).all.push(space);
  addRootOf(world, root, id);
  return space;
}

/** The space is gone for lookups, though readers may still hold its last view. */
export function detachAddressSpace(world: World, space: Space): void {
  const columns = spaces(world);
  removeRootOf(world, space.root, space.id);
  columns.all.splice(columns.all.indexOf(space), 1);
  columns.record[space.id] = undefined;
  if (world.lastSpace === space) world.lastSpace = undefined;
  space.root = space.physicalRoot = 0;
  space.windows = [];
  publishView(space, EMPTY_VIEW);
}

/** A dead space has no record; its id may be used again. */
export function clearAddressSpace(world: World, id: number): void {
  spaces(world).record[id] = undefined;
}

/** Makes `view` the current one. */
export function publishView(space: Space, view: FlatView): void {
  space.view = view;
  space.cache.fill(undefined);
  if (space.mirror !== undefined) space.mirror(view);
}

/** Whom {@linkcode publishView} tells; it must not throw. */
export function writeMirror(space: Space, mirror: Space["mirror"]): void {
  space.mirror = mirror;
}

export function writePhysicalRoot(space: Space, root: number): void {
  space.physicalRoot = root;
}

export function addWindow(space: Space, start: number, end: number): void {
  space.windows.push(start, end);
}

/** Takes the windows that were marked since the last commit. */
export function takeWindows(space: Space): number[] {
  const { windows } = space;
  space.windows = [];
  return windows;
}

/** All spaces, in registration order. */
export function allSpaces(world: World): readonly Space[] {
  return spaces(world).all;
}

/**
 * The space of a handle; one comparison, since every access asks.
 *
 * @throws {StaleHandleError} if it was destroyed.
 */
export function spaceOf(world: World, handle: AddressSpace): Space {
  const { lastSpace } = world;
  return lastSpace !== undefined && lastSpace.handle === handle ? lastSpace : findSpace(world, handle);
}

function findSpace(world: World, handle: AddressSpace): Space {
  return world.lastSpace = onwardSpace(world, handle);
}

/** As {@linkcode spaceOf}, for where an access goes on: the space from which it came stays the one that is compared first. */
export function onwardSpace(world: World, handle: AddressSpace): Space {
  const space = spaces(world).record[handle & (ID_LIMIT - 1)];
  if (space !== undefined && space.handle === handle) return space;
  resolve(world, handle, AddressSpaceKind);
  throw new StaleHandleError("the address space was destroyed and waits for its readers");
}

/** The range at the address (hi, lo) in the current view; undefined: unassigned. */
export function lookup(space: Space, hi: number, lo: number): Range | undefined {
  const slot = (lo >>> 12) & (CACHE - 1);
  const cached = space.cache[slot];
  const address = hi === 0 ? lo >>> 0 : roundDown(hi, lo);
  if (cached !== undefined && address >= cached.start && address < cached.end) return cached;
  return find(space, slot, address);
}

function find(space: Space, slot: number, address: number): Range | undefined {
  return space.cache[slot] = rangeAt(space.view, address);
}

/** Record of a space by entity id. */
export function spaceRecord(world: World, id: number): Space | undefined {
  return spaces(world).record[id];
}
