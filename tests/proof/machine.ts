/**
 * Machine: a model and its world, and the steps that are taken on both at once. A step is four numbers; what it picks
 * depends on them and on the state only, so that a program is its list of steps. Steps nest: in transactions, in scopes,
 * in handlers and in callbacks.
 */
import { assert } from "@std/assert";
import { spaceOf } from "../../ecs/address_space.ts";
import { ClosedError } from "../../systems/holding.ts";
import { rangesOf } from "../../ecs/flat_view.ts";
import { handleOf, isAlive, StaleHandleError } from "../../ecs/handle.ts";
import type { Policy } from "../../ecs/world.ts";
import type { RamBlock } from "../../ecs/ram_block.ts";
import { UnbalancedReleaseError } from "../../ecs/ref_count.ts";
import { DeviceError } from "../../machines/devices/define.ts";
import { TopologyError } from "../../systems/admission.ts";
import { DirtyLogError } from "../../systems/dirty_log.ts";
import { DiscardError } from "../../systems/discard.ts";
import { InUseError, LifetimeError } from "../../systems/finalize.ts";
import { IommuError } from "../../systems/iommu.ts";
import { RamError } from "../../systems/ram_kinds.ts";
import { createClock } from "../../systems/timers.ts";
import {
  ATTRIBUTES,
  type CacheModel,
  type RangeModel,
  type RegionModel,
  type SpaceModel,
  type WorkModel,
} from "./model/facts.ts";
import { Model } from "./model/model.ts";
import { render } from "./model/views.ts";

/** Operation code and operands. */
export type Step = readonly [code: number, a: number, b: number, c: number];

export type Operation = (machine: Machine, step: Step) => void;

/** What can be done with one part of the API. */
export interface Room {
  /** Also in callbacks, and in handlers of collected writes. */
  readonly anywhere: readonly Operation[];
  readonly outside: readonly Operation[];
}

/** What is under way around a step. In a callback nobody knows what the world has done already. */
export type Where = "block" | "handler" | "callback";

/** Writes that are on their way to handlers or notifiers. */
export interface Pending {
  readonly region: RegionModel;
  readonly writes: { readonly offset: number; readonly size: number; readonly value: number }[];
  /** What the handler does. */
  readonly step: Step;
}

/** Steps inside of steps. */
export const NESTING_MAX = 3;

/** Operations that are tried until one has something to be done on. */
const TRIES_MAX = 4;

const REFUSALS = [
  ClosedError,
  DeviceError,
  DirtyLogError,
  DiscardError,
  InUseError,
  IommuError,
  LifetimeError,
  RamError,
  StaleHandleError,
  TopologyError,
  UnbalancedReleaseError,
];

export interface MachineOptions {
  readonly keepLog?: boolean;
  /** Another than the strict one is a fault that the model finds. */
  readonly policy?: Partial<Policy>;
}

export class Machine extends Model {
  /** What was done, a line each; only if asked for. */
  readonly log: string[] | undefined;
  /** Operations, nested ones included. */
  count = 0;
  nesting = 0;
  transactions = 0;
  callbacks = 0;
  /** Scopes on the stack: those of handlers, too. */
  depth = 0;
  /** Guards that are set: devices, or regions of none. */
  readonly engaged = new Set<unknown>();
  readonly pending: Pending[] = [];
  /** Values that were written, so that no two are the same. */
  values = 0;
  time = 0;
  readonly clock;
  readonly timers = new Set<WorkModel>();
  readonly halves = new Set<WorkModel>();
  /** Bottom halves of those who waited, which run once. */
  readonly woken = new Set<WorkModel>();
  /** Timers that fire now, in order, and when they were armed. */
  due: { readonly work: WorkModel; readonly order: number | undefined }[] | undefined;
  isRunningHalves = false;
  /** Runs of timers and bottom halves, and what is to be done after the last callback of each. */
  readonly working: { count: number; finish: () => void }[] = [];
  readonly caches = new Set<CacheModel>();
  /** What the one who follows all memory knows of. */
  blocks: Set<RamBlock> | undefined;
  /** What the callback that is called next does. */
  nextCallback: Step | undefined;
  #names = 0;
  #orders = 0;

  constructor(private readonly rooms: Room, { keepLog = false, policy = {} }: MachineOptions = {}) {
    super(policy);
    this.log = keepLog ? [] : undefined;
    this.clock = createClock(this.world, { name: "clock", now: () => this.time });
  }

  /** One operation, and whatever it starts. */
  run(step: Step): void {
    this.operate(step);
    this.nextCallback = undefined;
    this.settle();
    this.compare();
  }

  operate(step: Step): void {
    const { anywhere, outside } = this.rooms;
    const length = anywhere.length + (this.callbacks > 0 ? 0 : outside.length);
    const before = this.count;
    for (let tried = 0; this.count === before && tried < TRIES_MAX; tried++) {
      const at = (step[0] + tried * 17) % length;
      (anywhere[at] ?? outside[at - anywhere.length])?.(this, step);
    }
    this.after();
  }

  /** What the world has done by now: outside of transactions and callbacks, everything. */
  after(): void {
    if (this.transactions === 0 && this.callbacks === 0) this.settle();
  }

  /** A step inside of the one that is under way. */
  inside(where: Where, step: Step): void {
    if (this.nesting >= NESTING_MAX) return;
    this.nesting++;
    if (where === "callback") this.callbacks++;
    this.operate(step);
    if (where === "callback") this.callbacks--;
    this.nesting--;
  }

  /** Steps in a transaction, in which accesses see what was there when it began. */
  inTransaction(body: () => void): void {
    const isOutermost = this.transactions === 0 && this.callbacks === 0;
    if (isOutermost) { for (const space of this.spaces) space.published = render(space.root); }
    this.transactions++;
    body();
    this.transactions--;
  }

  runCallback(): void {
    const step = this.nextCallback;
    if (step === undefined) return;
    this.nextCallback = undefined;
    this.inside("callback", step);
  }

  /** What accesses to a space see now. */
  view(space: SpaceModel): readonly RangeModel[] {
    if (this.callbacks > 0) return this.#viewInCallback(space);
    return this.transactions > 0 ? space.published : render(space.root);
  }

  /** The model cannot know how far a commit is; what it shows in the end is compared. */
  #viewInCallback(space: SpaceModel): readonly RangeModel[] {
    if (!isAlive(this.world, space.handle)) return [];
    const byHandle = new Map([...this.regions].map((region) => [region.handle, region]));
    const ranges: RangeModel[] = [];
    for (const { start, end, base, flags, region: id } of rangesOf(spaceOf(this.world, space.handle).view)) {
      const region = byHandle.get(handleOf(this.world, id));
      if (region !== undefined) ranges.push({ start, end, base, flags: flags & ATTRIBUTES, region });
    }
    return ranges;
  }

  /** @param isCertain Whether it must be done (true), must be refused (false), or either. */
  attempt(what: string, isCertain: boolean | undefined, operation: () => void): boolean {
    this.count++;
    this.log?.push("  ".repeat(this.nesting) + what);
    try {
      operation();
    } catch (error) {
      if (!REFUSALS.some((refusal) => error instanceof refusal)) throw error;
      if (isCertain === true && this.callbacks === 0) throw new Error(`${what} is refused: ${error}`, { cause: error });
      return false;
    }
    assert(isCertain !== false || this.callbacks > 0, `${what} is not refused`);
    return true;
  }

  /**
   * A change of a region. The model changes before the world does, whose callbacks may change it further; what is
   * refused is undone.
   */
  change(region: RegionModel, note: () => void, change: () => void): void {
    const undo = undoing(region);
    note();
    try {
      change();
    } catch (error) {
      undo();
      throw error;
    }
  }

  newName(kind: string): string {
    return `${kind} ${++this.#names}`;
  }

  newOrder(): number {
    return ++this.#orders;
  }
}

function undoing(region: RegionModel): () => void {
  const { address, priority, order, size, offset, enabled, flags, container, extents, drains } = region;
  const siblings = container?.children.slice();
  return () => {
    const now = region.container?.children;
    now?.splice(now.indexOf(region), 1);
    Object.assign(region, { address, priority, order, size, offset, enabled, flags, container, extents, drains });
    if (siblings !== undefined) container?.children.splice(0, Infinity, ...siblings);
  };
}
