/** Facts: what there is, as the model keeps it: objects that point at each other, and no counts. */
import type { AddressSpace } from "../../../ecs/address_space.ts";
import type { Holding } from "../../../ecs/holding.ts";
import type { Notifier } from "../../../ecs/io_event.ts";
import type { Listener } from "../../../ecs/listener.ts";
import type { Owner } from "../../../ecs/owner.ts";
import { Flag, INHERITED, type Region } from "../../../ecs/region.ts";
import type { TranslationCache } from "../../../systems/cache.ts";
import type { MapWaiter } from "../../../systems/map_waiter.ts";
import type { Reader } from "../../../systems/epoch.ts";
import type { IommuEvent } from "../../../ecs/iommu_notifier.ts";
import type { Fold } from "./folds.ts";

export interface OwnerModel {
  readonly handle: Owner;
  readonly name: string;
  readonly above: OwnerModel | undefined;
  /** Its regions share a re-entrancy guard. */
  readonly isDevice: boolean;
  /** Made by the device kit: ends by being unplugged, which takes this region out. */
  registers?: RegionModel;
  dropped: boolean;
  /** How often its destructor ran. */
  finalized: number;
}

/** Bits of `Flag` that listeners are told. */
export const ATTRIBUTES = INHERITED | Flag.ROMD;

export type RegionKind = "container" | "ram" | "mmio" | "romDevice" | "reservation" | "iommu" | "alias";

export interface RegionModel {
  readonly handle: Region;
  readonly name: string;
  readonly kind: RegionKind;
  /** undefined: RAM that outlives its owner. */
  owner: OwnerModel | undefined;
  size: number;
  address: number;
  priority: number;
  /** The greater is on top among equals. */
  order: number;
  enabled: boolean;
  /** READONLY, NONVOLATILE and UNMERGEABLE of its own, and ROMD, as bits of `Flag`. */
  flags: number;
  container: RegionModel | undefined;
  readonly children: RegionModel[];
  target: RegionModel | undefined;
  offset: number;
  readonly memory: MemoryModel | undefined;
  /** Of an IOMMU, by page. */
  readonly pages: Map<number, PageModel>;
  /** Of an IOMMU. */
  readonly mirrors: Set<MirrorModel>;
  events: IoEventModel[];
  extents: readonly ExtentModel[];
  /** Accesses deliver collected writes first. */
  drains: boolean;
  dropped: boolean;
}

/** A region that is nothing special yet. */
export function newRegionModel(
  made: Pick<RegionModel, "handle" | "name" | "kind" | "owner" | "size"> & Partial<RegionModel>,
): RegionModel {
  return {
    address: 0,
    priority: 0,
    order: 0,
    enabled: true,
    flags: made.kind === "romDevice" ? Flag.ROMD : 0,
    container: undefined,
    children: [],
    target: undefined,
    offset: 0,
    memory: undefined,
    pages: new Map(),
    mirrors: new Set(),
    events: [],
    extents: [],
    drains: false,
    dropped: false,
    ...made,
  };
}

export interface MemoryModel {
  /** Bytes that are not 0, by offset. */
  readonly bytes: Map<number, number>;
  readonly capacity: number;
  readonly isResizable: boolean;
  readonly isMigratable: boolean;
  /** Bytes that the dirty log is about. */
  used: number;
  /** How often VGA and CODE were switched on. */
  readonly counts: [vga: number, code: number];
  /** Of VGA, CODE and MIGRATION: sets of pages, as bits. */
  readonly dirty: [vga: number, code: number, migration: number];
  discard: DiscardModel | undefined;
}

export interface DiscardModel {
  readonly granularity: number;
  readonly populated: boolean[];
  readonly followers: Set<FollowerModel>;
}

/** A discard listener: what it was told is populated, by granule. */
export interface FollowerModel {
  readonly name: string;
  readonly start: number;
  readonly end: number;
  readonly told: Set<number>;
  /** Refuses what it is told next. */
  refuses: boolean;
  isOver: boolean;
}

/** Where a page of an IOMMU leads. */
export interface PageModel {
  readonly space: SpaceModel;
  readonly address: number;
  readonly permission: number;
}

/** An IOMMU notifier, and what it was told is mapped, by page. */
export interface MirrorModel {
  readonly name: string;
  /** Of `NotifierEvent`. */
  readonly events: number;
  /** In pages. */
  readonly start: number;
  readonly end: number;
  readonly told: Map<number, IommuEvent["translation"]>;
  /** How many pages it was told came or went. */
  heard: number;
  /** How many pages it was told to forget. */
  forgotten: number;
  isOver: boolean;
}

export interface ExtentModel {
  readonly start: number;
  readonly end: number;
}

export interface NotifierModel {
  readonly handle: Notifier;
  readonly name: string;
  readonly owner: OwnerModel;
  readonly order: number;
  dropped: boolean;
}

export interface IoEventModel {
  readonly offset: number;
  readonly size: 0 | 1 | 2 | 4;
  readonly data: number | undefined;
  readonly notifier: NotifierModel;
}

export interface SpaceModel {
  readonly handle: AddressSpace;
  readonly name: string;
  readonly root: RegionModel;
  readonly owner: OwnerModel;
  /** Bytes that bounce buffers take. */
  readonly bounce: { used: number };
  /** What it showed when the transaction began. */
  published: readonly RangeModel[];
  dropped: boolean;
}

export interface ListenerModel {
  readonly handle: Listener;
  readonly name: string;
  readonly space: SpaceModel;
  readonly owner: OwnerModel;
  readonly fold: Fold;
  registered: boolean;
  dropped: boolean;
}

/** Something that keeps others alive until it is given up. */
export interface PinModel {
  readonly name: string;
  readonly targets: readonly (OwnerModel | RegionModel)[];
  /** With whom it ends. */
  readonly holder: OwnerModel | undefined;
  /** What the world keeps for it. */
  readonly holding?: Holding;
  /** The space that it is a mapping of. */
  readonly maps?: SpaceModel;
  /** Gives it up in the world; undefined: it ends by itself. */
  readonly release?: () => void;
  /** It is over, in whichever way. */
  ended?(): void;
}

/** A cache, and what it showed when it was made. */
export interface CacheModel {
  readonly pin: PinModel;
  readonly cache: TranslationCache;
  readonly ranges: readonly RangeModel[];
  readonly address: number;
}

/** Somebody who waits for bounce buffers. */
export interface WaiterModel {
  readonly name: string;
  readonly holding: MapWaiter;
  readonly owner: OwnerModel;
  readonly space: SpaceModel;
  /** What it waits for is there: its bottom half is queued. */
  woken(): void;
}

/** Work that an owner owes to itself: a timer or a bottom half. */
export interface WorkModel {
  readonly name: string;
  readonly owner: OwnerModel;
  /** What is set while it runs. */
  readonly guard: OwnerModel | undefined;
  /** Of a timer that is armed. */
  deadline: number;
  /** The rank among equals; undefined: not known, since it was queued in the middle of something. */
  order: number | undefined;
  /** Until it has run; undefined: it is not due. */
  pin: PinModel | undefined;
  /** What it does. */
  step: readonly [number, number, number, number] | undefined;
  arm(deadline: number): void;
  /** undefined: it cannot be. */
  readonly cancel: (() => void) | undefined;
}

/** A write that waits in the ring. */
export interface CollectedModel {
  readonly region: RegionModel;
  readonly offset: number;
  readonly value: number;
  readonly guard: unknown;
  /** What its handler does. */
  readonly step: readonly [number, number, number, number];
}

export interface RangeModel {
  readonly start: number;
  end: number;
  readonly region: RegionModel;
  readonly base: number;
  readonly flags: number;
}

export interface Grave {
  readonly handle: number;
  readonly name: string;
  /** It is there until the last of these scopes, which were open when it died, closes. */
  readonly scopes: readonly Reader[];
  /** It may be there until these close: they opened in a callback of the commit that ended it. */
  readonly late: readonly Reader[];
  readonly of: object;
}

/** Whether RAM is to be counted for itself. */
export function isMemory(region: RegionModel): boolean {
  return region.kind === "ram";
}

/** Whether writes to it reach handlers. */
export function hasHandlers(region: RegionModel): boolean {
  return region.kind === "mmio" || region.kind === "romDevice";
}

/** What is set while a handler of the region runs; undefined: nothing. */
export function guardOf(region: RegionModel): unknown {
  if (region.kind !== "mmio") return undefined;
  return deviceOf(region.owner) ?? region;
}

/** The nearest device at or above an owner. */
export function deviceOf(owner: OwnerModel | undefined): OwnerModel | undefined {
  for (let at = owner; at !== undefined; at = at.above) if (at.isDevice) return at;
  return undefined;
}

export function isOrAbove(above: OwnerModel, owner: OwnerModel): boolean {
  for (let at: OwnerModel | undefined = owner; at !== undefined; at = at.above) if (at === above) return true;
  return false;
}
