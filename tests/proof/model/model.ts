/**
 * Model: what the memory model must do, told a second time and as simply as possible: regions as objects, views rendered
 * from the top down, lives by marking. It shares no code with the systems; `compare` says where they disagree.
 */
import { assert, assertEquals } from "@std/assert";
import { spaceOf } from "../../../ecs/address_space.ts";
import { coalescedRing } from "../../../ecs/coalesced_ring.ts";
import { rangesOf } from "../../../ecs/flat_view.ts";
import { countEntities, isAlive } from "../../../ecs/handle.ts";
import { openHoldings } from "../../../ecs/holding.ts";
import { Flag } from "../../../ecs/region.ts";
import { createWorld, type Policy, type World } from "../../../ecs/world.ts";
import type { TrackingReason } from "../../../ecs/dirty_bitmap.ts";
import { trackingReasons } from "../../../systems/dirty_tracking.ts";
import type { Reader } from "../../../systems/epoch.ts";
import {
  ATTRIBUTES,
  type CollectedModel,
  type Grave,
  type ListenerModel,
  type NotifierModel,
  type OwnerModel,
  type PinModel,
  type RangeModel,
  type RegionModel,
  type SpaceModel,
  type WaiterModel,
} from "./facts.ts";
import { eventText, extentText } from "./folds.ts";
import { settle } from "./lives.ts";
import { render } from "./views.ts";

export class Model {
  readonly faults: Error[] = [];
  readonly world: World;
  readonly owners = new Set<OwnerModel>();
  readonly regions = new Set<RegionModel>();
  readonly spaces = new Set<SpaceModel>();
  readonly listeners = new Set<ListenerModel>();
  readonly notifiers = new Set<NotifierModel>();
  readonly scopes = new Set<Reader>();
  /** Those that were opened in callbacks of the operation that is under way. */
  readonly lateScopes = new Set<Reader>();
  readonly pins = new Set<PinModel>();
  /** Pins that are being given up. */
  readonly closing = new Set<PinModel>();
  readonly waiters = new Set<WaiterModel>();
  /** Writes that handlers have not seen yet, in order. */
  collected: CollectedModel[] = [];
  readonly tracking = { reasons: new Set<TrackingReason>(), postponed: new Set<TrackingReason>(), isRunning: true };
  graves: Grave[] = [];

  /** @param policy Of the world; the model knows only the strict one. */
  constructor(policy: Partial<Policy> = {}) {
    this.world = createWorld({ policy, reportFault: (error) => this.faults.push(error) });
  }

  settle(): void {
    settle(this);
    this.lateScopes.clear();
  }

  /** Compares everything that can be seen with what the model says. No operation is under way. */
  compare(): void {
    assertEquals(this.faults.map(String), [], "nothing goes wrong inside");
    for (const space of this.spaces) this.#compareSpace(space);
    this.#compareLives();
    const held = [...this.pins].filter(({ holding }) => holding !== undefined);
    for (const { name, holding } of held) assert(holding?.isOpen, `${name} is over`);
    assertEquals(openHoldings(this.world).size, held.length + this.waiters.size, "holdings that are open");
    assertEquals(coalescedRing(this.world).writes.length, this.collected.length, "writes are lost or doubled");
    if (this.tracking.reasons.size > 0) {
      assertEquals(new Set(trackingReasons(this.world)), this.tracking.reasons, "why memory is tracked");
    }
  }

  #compareLives(): void {
    const { world } = this;
    let buried = 0;
    this.graves = this.graves.filter(({ handle, name, scopes, late, of }) => {
      const must = scopes.some((scope) => this.scopes.has(scope));
      const may = must || late.some((scope) => this.scopes.has(scope));
      const isThere = isAlive(world, handle);
      if (isThere ? !may : must) throw new Error(`${name} is ${isThere ? "still there" : "gone already"}`);
      if ("finalized" in of) assertEquals(of.finalized, isThere ? 0 : 1, `destructors of ${name}`);
      if (isThere) buried++;
      return isThere;
    });
    let living = 0;
    for (const list of [this.owners, this.regions, this.spaces, this.listeners, this.notifiers]) {
      living += list.size;
      for (const { handle, name } of list) if (!isAlive(world, handle)) throw new Error(`${name} must be alive`);
    }
    for (const { name, finalized } of this.owners) assertEquals(finalized, 0, `destructors of ${name}`);
    assertEquals(countEntities(world), living + buried, "nothing else exists");
  }

  #compareSpace(space: SpaceModel): void {
    const expected = render(space.root);
    const record = spaceOf(this.world, space.handle);
    let at = 0;
    for (const range of rangesOf(record.view)) {
      const other = expected[at++];
      const same = other !== undefined && other.start === range.start && other.end === range.end &&
        other.region.handle % 2 ** 24 === range.region && other.base === range.base &&
        other.flags === (range.flags & ATTRIBUTES);
      if (!same) throw new Error(`"${space.name}" shows something else at ${range.start}`);
    }
    assertEquals(at, expected.length, `ranges of "${space.name}"`);
    assertEquals(record.bounce.used, space.bounce.used, `bytes of bounce buffers of "${space.name}"`);
    for (const listener of this.listeners) {
      if (listener.registered && listener.space === space) this.#compareFold(listener, expected);
    }
  }

  #compareFold({ fold, name }: ListenerModel, ranges: readonly RangeModel[]): void {
    const { shown, masks, follows } = fold;
    if (fold.isTelling) throw new Error(`${name} is owed a commit`);
    for (const range of ranges) {
      const told = shown.get(range.start);
      const same = told !== undefined && told.size === range.end - range.start && told.region === range.region.handle &&
        told.offset === range.start - range.base && attributes(told) === range.flags;
      if (!same) throw new Error(`${name} was told something else at ${range.start}`);
      if (follows.logs) assertEquals(masks.get(range.start), this.maskOf(range.region), `${name}: who logs`);
    }
    assertEquals(shown.size, ranges.length, `ranges that ${name} knows`);
    if (follows.logs) assertEquals(fold.isTracking, this.tracking.reasons.size > 0, `${name}: tracking`);
    if (follows.ioEvents) assertSame(fold.events, expectedEvents(ranges), `io events that ${name} knows`);
    if (follows.coalesced) assertSame(fold.extents, expectedExtents(ranges), `coalesced ranges that ${name} knows`);
  }

  /** Which clients log a region, `1 << client`. */
  maskOf({ kind, memory }: RegionModel): number {
    const isTracked = this.tracking.reasons.size > 0;
    if (memory === undefined) return kind === "iommu" && isTracked ? 4 : 0;
    const [vga, code] = memory.counts;
    return (vga > 0 ? 1 : 0) | (code > 0 ? 2 : 0) | (isTracked && memory.isMigratable ? 4 : 0);
  }
}

function attributes(
  told: { readonly readonly: boolean; readonly nonvolatile: boolean; readonly unmergeable: boolean; romd: boolean },
): number {
  return (told.readonly ? Flag.READONLY : 0) | (told.nonvolatile ? Flag.NONVOLATILE : 0) |
    (told.unmergeable ? Flag.UNMERGEABLE : 0) | (told.romd ? Flag.ROMD : 0);
}

function expectedEvents(ranges: readonly RangeModel[]): Set<string> {
  const texts = new Set<string>();
  for (const { region, base, start, end } of ranges) {
    for (const { offset, size, data, notifier } of region.events) {
      const address = base + offset;
      const isShown = address < end && address + Math.max(size, 1) > start;
      if (isShown) texts.add(eventText({ address, size, data, notifier: notifier.handle }));
    }
  }
  return texts;
}

function expectedExtents(ranges: readonly RangeModel[]): Map<string, number> {
  const counts = new Map<string, number>();
  for (const { region, base, start, end } of ranges) {
    for (const extent of region.extents) {
      const from = Math.max(base + extent.start, start);
      const until = Math.min(base + extent.end, end);
      if (from >= until) continue;
      const text = extentText({ region: region.handle, address: from, size: until - from });
      counts.set(text, (counts.get(text) ?? 0) + 1);
    }
  }
  return counts;
}

/** As `assertEquals`, and cheap while both are empty. */
function assertSame<T extends Set<string> | Map<string, number>>(told: T, expected: T, what: string): void {
  if (told.size > 0 || expected.size > 0) assertEquals(told, expected, what);
}
