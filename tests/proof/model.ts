/**
 * Model: what the memory model must do, told a second time and as simply as possible: regions as objects, views rendered
 * from the top down, lives by marking. It shares no code with the systems; `compare` says where they disagree.
 */
import { assert, assertEquals } from "@std/assert";
import { type AddressSpace, spaceOf } from "../../ecs/address_space.ts";
import { rangesOf } from "../../ecs/flat_view.ts";
import { countEntities, isAlive } from "../../ecs/handle.ts";
import type { Listener, Section } from "../../ecs/listener.ts";
import type { Owner } from "../../ecs/owner.ts";
import { Flag, type Region } from "../../ecs/region.ts";
import { createWorld, type World } from "../../ecs/world.ts";
import type { Reader } from "../../systems/epoch.ts";
import type { Mapping } from "../../systems/map.ts";

export interface OwnerModel {
  readonly handle: Owner;
  readonly name: string;
  readonly above: OwnerModel | undefined;
  /** Its regions share a re-entrancy guard. */
  readonly isDevice: boolean;
  /** Made by the device kit: ends by being unplugged, which takes this region out. */
  readonly registers?: RegionModel;
  dropped: boolean;
}

export type RegionKind = "container" | "ram" | "mmio" | "reservation" | "alias";

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
  readonly: boolean;
  container: RegionModel | undefined;
  readonly children: RegionModel[];
  target: RegionModel | undefined;
  offset: number;
  readonly bytes: Uint8Array;
  dropped: boolean;
}

export interface SpaceModel {
  readonly handle: AddressSpace;
  readonly name: string;
  readonly root: RegionModel;
  readonly owner: OwnerModel;
  dropped: boolean;
}

export interface ListenerModel {
  readonly handle: Listener;
  readonly name: string;
  readonly space: SpaceModel;
  readonly owner: OwnerModel;
  /** What it was told, folded. */
  readonly shown: Map<number, Section>;
  registered: boolean;
  dropped: boolean;
}

export interface PinModel {
  readonly target: OwnerModel | RegionModel;
  readonly kind: "map" | "cache" | "callback" | "external";
  readonly holder: OwnerModel | undefined;
  /** The pin is that of a mapping. */
  readonly mapping?: Mapping;
}

export interface RangeModel {
  readonly start: number;
  end: number;
  readonly region: RegionModel;
  readonly base: number;
  readonly readonly: boolean;
}

interface Grave {
  readonly handle: number;
  readonly name: string;
  /** Scopes that were open when it died: it exists until the last of them closes. */
  readonly scopes: readonly Reader[];
}

export class Model {
  readonly faults: Error[] = [];
  readonly world: World = createWorld({ reportFault: (error) => this.faults.push(error) });
  readonly owners = new Set<OwnerModel>();
  readonly regions = new Set<RegionModel>();
  readonly spaces = new Set<SpaceModel>();
  readonly listeners = new Set<ListenerModel>();
  readonly scopes = new Set<Reader>();
  readonly pins = new Set<PinModel>();
  graves: Grave[] = [];

  /** Ends what nobody reaches any more, by marking; what dead holders held is given up, until nothing changes. */
  settle(): void {
    while (true) {
      const alive = this.#mark();
      const pinned = new Set([...this.pins].map((pin) => pin.target));
      let released = false;
      for (const pin of this.pins) {
        if (pin.holder !== undefined && !alive.has(pin.holder)) released = this.pins.delete(pin);
      }
      if (released) continue;
      const before = this.graves.length;
      this.#bury(alive, pinned);
      if (this.graves.length === before) return; // what died showed nothing that only lived for it
    }
  }

  #mark(): Set<OwnerModel> {
    const alive = new Set<OwnerModel>();
    const mark = (owner: OwnerModel | undefined) => owner !== undefined && alive.add(owner);
    for (const owner of this.owners) if (owner.above === undefined && !owner.dropped) mark(owner);
    for (const { target } of this.pins) mark(anchor(target));
    const edges: [OwnerModel, OwnerModel][] = [];
    for (const { container, owner } of this.regions) {
      if (container?.owner !== undefined && owner !== undefined) edges.push([container.owner, owner]);
    }
    for (const { owner, root } of this.spaces) if (root.owner !== undefined) edges.push([owner, root.owner]);
    for (const owner of alive) {
      mark(owner.above);
      for (const child of this.owners) if (child.above === owner && !child.dropped) mark(child);
      for (const [holder, target] of edges) if (holder === owner && !isOrAbove(target, holder)) mark(target);
    }
    return alive;
  }

  #bury(alive: ReadonlySet<OwnerModel>, pinned: ReadonlySet<unknown>): void {
    const scopes = [...this.scopes];
    const bury = ({ handle, name }: { handle: number; name: string }) => this.graves.push({ handle, name, scopes });
    for (const listener of this.listeners) {
      if (!listener.dropped && alive.has(listener.owner)) continue;
      this.listeners.delete(listener);
      bury(listener);
    }
    for (const space of this.spaces) {
      if (!space.dropped && alive.has(space.owner)) continue;
      this.spaces.delete(space);
      bury(space);
      for (const listener of this.listeners) if (listener.space === space) listener.registered = false;
    }
    for (const region of this.regions) {
      const isOwned = region.owner !== undefined && alive.has(region.owner);
      if (isOwned && (!region.dropped || pinned.has(region))) continue;
      if (region.owner !== undefined && !isOwned) this.#unlink(region);
      if (!isOwned && region.kind === "ram" && pinned.has(region)) {
        region.owner = undefined;
        region.dropped = true;
        continue;
      }
      this.#unlink(region);
      this.regions.delete(region);
      bury(region);
    }
    for (const owner of this.owners) {
      if (alive.has(owner)) continue;
      this.owners.delete(owner);
      bury(owner);
    }
  }

  #unlink(region: RegionModel): void {
    detach(region);
    for (const child of [...region.children]) detach(child);
    for (const alias of this.regions) if (alias.target === region) alias.target = undefined;
    region.target = undefined;
  }

  /** What a root shows, by ascending address. */
  render(root: RegionModel): RangeModel[] {
    const ranges: RangeModel[] = [];
    show(ranges, root, 0, 0, Infinity, false);
    return merge(ranges);
  }

  /** Compares everything that can be seen with what the model says. No operation is under way. */
  compare(): void {
    assertEquals(this.faults.map(String), [], "nothing goes wrong inside");
    for (const { space, shown, registered } of this.listeners) {
      if (registered) assertEquals(shown.size, this.#compareView(space, shown), `ranges that "${space.name}" told`);
    }
    for (const space of this.spaces) this.#compareView(space, undefined);
    this.graves = this.graves.filter(({ handle, name, scopes }) => {
      const waits = scopes.some((scope) => this.scopes.has(scope));
      if (isAlive(this.world, handle) !== waits) {
        throw new Error(`${name} is ${waits ? "gone already" : "still there"}`);
      }
      return waits;
    });
    for (const list of [this.owners, this.regions, this.spaces, this.listeners]) {
      for (const { handle, name } of list) assert(isAlive(this.world, handle), `${name} must be alive`);
    }
    const living = this.owners.size + this.regions.size + this.spaces.size + this.listeners.size;
    assertEquals(countEntities(this.world), living + this.graves.length, "nothing else exists");
  }

  #compareView(space: SpaceModel, fold: ReadonlyMap<number, Section> | undefined): number {
    const expected = this.render(space.root);
    let at = 0;
    for (const range of rangesOf(spaceOf(this.world, space.handle).view)) {
      const other = expected[at++];
      const isReadonly = (range.flags & Flag.READONLY) !== 0;
      const same = other !== undefined && other.start === range.start && other.end === range.end &&
        other.region.handle % 2 ** 24 === range.region && other.base === range.base && other.readonly === isReadonly;
      const told = fold?.get(range.start);
      const folds = fold === undefined || (told?.size === range.end - range.start && told.readonly === isReadonly &&
        told.region === other?.region.handle && told.offset === range.start - range.base);
      if (!same || !folds) {
        throw new Error(`"${space.name}" ${same ? "told" : "shows"} something else at ${range.start}`);
      }
    }
    assertEquals(at, expected.length, `ranges of "${space.name}"`);
    return at;
  }
}

/** The owner that a pin keeps; undefined: RAM keeps itself only. */
function anchor(target: OwnerModel | RegionModel): OwnerModel | undefined {
  if (!("kind" in target)) return target;
  return target.kind === "ram" ? undefined : target.owner;
}

export function isOrAbove(above: OwnerModel, owner: OwnerModel): boolean {
  for (let at: OwnerModel | undefined = owner; at !== undefined; at = at.above) if (at === above) return true;
  return false;
}

/** Puts a region among its siblings, from top to bottom. */
export function attach(container: RegionModel, region: RegionModel): void {
  region.container = container;
  const isBelow = (other: RegionModel) =>
    other.priority < region.priority || (other.priority === region.priority && other.order < region.order);
  const at = container.children.findIndex(isBelow);
  container.children.splice(at < 0 ? container.children.length : at, 0, region);
}

export function detach(region: RegionModel): void {
  const siblings = region.container?.children;
  if (siblings !== undefined) siblings.splice(siblings.indexOf(region), 1);
  region.container = undefined;
}

/** Whether `from` shows `sought`, or is it. */
export function shows(from: RegionModel, sought: RegionModel): boolean {
  if (from === sought || (from.target !== undefined && shows(from.target, sought))) return true;
  return from.children.some((child) => shows(child, sought));
}

function show(ranges: RangeModel[], region: RegionModel, base: number, from: number, to: number, isReadonly: boolean) {
  const start = Math.max(from, base);
  const end = Math.min(to, base + region.size);
  if (!region.enabled || start >= end) return;
  const inherited = isReadonly || region.readonly;
  if (region.kind === "alias") {
    if (region.target !== undefined) show(ranges, region.target, base - region.offset, start, end, inherited);
    return;
  }
  for (const child of region.children) show(ranges, child, base + child.address, start, end, inherited);
  if (region.kind !== "container") fill(ranges, { start, end, region, base, readonly: inherited });
}

/** Adds what of `range` is not covered yet: what came before lies above. */
function fill(ranges: RangeModel[], range: RangeModel): void {
  let at = range.start;
  let index = 0;
  while (at < range.end) {
    while (index < ranges.length && (ranges[index]?.end ?? 0) <= at) index++;
    const next = ranges[index];
    const end = Math.min(range.end, next?.start ?? Infinity);
    if (at < end) ranges.splice(index++, 0, { ...range, start: at, end });
    at = next === undefined ? range.end : Math.max(at, next.end);
  }
}

function merge(ranges: readonly RangeModel[]): RangeModel[] {
  const merged: RangeModel[] = [];
  for (const range of ranges) {
    const last = merged.at(-1);
    const continues = last !== undefined && last.end === range.start && last.region === range.region &&
      last.base === range.base && last.readonly === range.readonly;
    if (continues) last.end = range.end;
    else merged.push({ ...range });
  }
  return merged;
}
