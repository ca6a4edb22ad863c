/**
 * World: everything that exists together. It holds the entity ids and the slots in which each component keeps its
 * columns, and knows none of them: a component or a system claims a slot with {@linkcode defineColumns} or
 * {@linkcode defineState}, and is created in a world when it is first used there.
 */
import type { Space } from "./address_space.ts";
import { createEntityWorld, type EntityWorld } from "./deps.ts";
import { type Epochs, newEpochs } from "./epochs.ts";
import { EventRing } from "./event_ring.ts";

/**
 * Choices that the specification leaves open ([C] or [S]). The default of each is the strict one, but for `narrowAccess`:
 * devices are written for what QEMU does there.
 */
export interface Policy {
  /** S64: among siblings of equal priority, the one added last is on top, or the one added first. */
  readonly equalPriority: "lastWins" | "firstWins";
  /** S65: a region that moves goes to the top among its equals (Q8), or keeps its place. */
  readonly moveReorders: boolean;
  /** S106, S115: begin, nop and commit reach the listeners of every address space whatever changes, or only where something was re-rendered. */
  readonly notifyAllListeners: boolean;
  /**
   * S53: handlers are guarded by the nearest device above them, or where there is none by themselves; or only those that
   * a device owns itself are guarded (as in QEMU).
   */
  readonly guardedBy: "nearestDevice" | "owningDevice";
  /** S83: a root that is looked through still makes readonly (or nonvolatile, unmergeable) what it shows, or not (Q1). */
  readonly rootKeepsAttributes: boolean;
  /** S40, S97: an access narrower than what handlers implement clobbers a register as in QEMU, or is merged with it (W18). */
  readonly narrowAccess: "clobber" | "merge";
  /** S50: a write that a handler makes to its own device sets a notifier (Q14), or is refused like any other. */
  readonly ioEventBypassesGuard: boolean;
  /** An io event is listed for every range that it is partly in (Q18), or once. */
  readonly ioEventPerRange: boolean;
  /** S119: taking out an io event takes the first that is like it where size 0 is like any (Q19), or exactly that one. */
  readonly ioEventLooseDelete: boolean;
  /** S122: the first listener for io events is told those that exist, or what the space listed last, if anything (Q6). */
  readonly ioEventReplay: boolean;
  /** Of a region's coalesced ranges listeners are told all that a range shows, or those up to the first that it does not (Q7). */
  readonly coalescedReplay: "all" | "untilGap";
  /** W22: a range that a listener refuses undoes the transaction, or is reported and announced all the same (as QEMU must). */
  readonly refusedAdd: "undone" | "announced";
  /** LC14: whom a pin on RAM keeps: the RAM itself, whose owner may be finalized meanwhile, or the owner. */
  readonly refRule: "ramSelf" | "owner";
  /** S55: where the data of a bounce buffer goes: to the region that was mapped, or to what is there by then (Q17). */
  readonly bounceWriteBack: "mappedRegion" | "currentTopology";
  /** Q5: ranges that come and go are told as logged and no longer logged, as on registration; or only as there and gone. */
  readonly logStartOnAdd: boolean;
  /** Q9: snapshots of dirty bits clear and hold whole groups of 64 pages, or only the pages asked for. */
  readonly snapshotClearsNeighbours: boolean;
}

const STRICT: Policy = {
  equalPriority: "lastWins",
  moveReorders: true,
  notifyAllListeners: false,
  guardedBy: "nearestDevice",
  narrowAccess: "clobber",
  rootKeepsAttributes: true,
  ioEventBypassesGuard: false,
  ioEventPerRange: false,
  ioEventLooseDelete: false,
  ioEventReplay: true,
  coalescedReplay: "all",
  refusedAdd: "undone",
  refRule: "ramSelf",
  bounceWriteBack: "mappedRegion",
  logStartOnAdd: true,
  snapshotClearsNeighbours: false,
};

/** What one access carries, and its outcome. A handler's `access` is reused: it must not be kept. */
export interface Access {
  /** Bit set of `Attrs`; 0 says nothing about the requester. */
  attrs: number;
  /** MemTx bits; a handler may OR into it. */
  result: number;
  /** Bits 63..32 of the value that was read, as int32. */
  hi: number;
}

export type TypedColumn = Int32Array | Uint32Array | Float64Array | Uint8Array;
/** Columns of one component, indexed by entity id. Plain arrays hold references. */
// deno-lint-ignore ban-types
export type Columns = {};

export interface World {
  readonly policy: Policy;
  /** Keeps a ledger of call sites of pins, and audits more. Slow. */
  readonly debug: boolean;
  readonly entities: EntityWorld;
  /** Entity ids below this have a row in every column. */
  capacity: number;
  /** Outcome of the last access through dispatch: see `dispatchRead`. */
  readonly access: Access;
  readonly epochs: Epochs;
  /** The space that was resolved last: most accesses are to one. */
  lastSpace: Space | undefined;
  /** Called with an error of the model: a handler, callback or destructor that threw. */
  reportFault: (error: Error) => void;
  /** Called with one line on something odd that a guest did. */
  trace: (line: string) => void;
  /** What happened to entities lately; undefined: nobody asked to keep it. */
  readonly events: EventRing | undefined;
  readonly slots: (Columns | undefined)[];
}

export interface WorldOptions {
  readonly policy?: Partial<Policy>;
  readonly debug?: boolean;
  /** Keep the latest so many events for `timeline`; default: none. */
  readonly timeline?: number;
  /** Default: one line on stderr. */
  readonly reportFault?: (error: Error) => void;
  /** Default: dropped. */
  readonly trace?: (line: string) => void;
}

/** Small, since one process may hold a thousand machines. */
const INITIAL_CAPACITY = 64;

/** An empty world. Worlds share nothing. */
export function createWorld(options: WorldOptions = {}): World {
  return {
    policy: { ...STRICT, ...options.policy },
    debug: options.debug ?? false,
    entities: createEntityWorld(),
    capacity: INITIAL_CAPACITY,
    access: { attrs: 0, result: 0, hi: 0 },
    epochs: newEpochs(),
    lastSpace: undefined,
    reportFault: options.reportFault ?? ((error) => console.error(`${error.name}: ${error.message}`)),
    trace: options.trace ?? (() => {}),
    events: options.timeline === undefined ? undefined : new EventRing(options.timeline),
    slots: [],
  };
}

let slotCount = 0;

/** Slots whose typed arrays grow with the number of entities; those of states stay as they are. */
const columnSlots: number[] = [];

/** Columns that could not grow as they are declared: an error of this program. */
export class ColumnError extends Error {
  override readonly name = "ColumnError";
}

/**
 * Claims a slot for columns. Column reads elsewhere are written `columns.size[region]!`: ids come from handles that
 * were resolved or from other columns, so they are below the capacity.
 *
 * @param create Makes the columns for a capacity; a typed array of length k·capacity keeps k elements per entity.
 * @throws {ColumnError} when a world first uses columns with any other typed array.
 */
export function defineColumns<C extends Columns>(create: (capacity: number) => C): (world: World) => C {
  const slot = slotCount++;
  columnSlots.push(slot);
  return (world) => (world.slots[slot] ??= checked(create(world.capacity), world.capacity)) as C;
}

function checked<C extends Columns>(columns: C, capacity: number): C {
  for (const [name, column] of Object.entries(columns)) {
    if (!ArrayBuffer.isView(column)) continue;
    if (!isTypedColumn(column)) throw new ColumnError(`column "${name}" is of a kind of array that does not grow`);
    if (column.length % capacity !== 0) {
      throw new ColumnError(
        `column "${name}" of ${column.length} elements has no whole number for each of ${capacity} rows`,
      );
    }
  }
  return columns;
}

/** Claims a slot for state that a world has once; typed arrays in it keep their length. */
export function defineState<S extends Columns>(create: () => S): (world: World) => S {
  const slot = slotCount++;
  return (world) => (world.slots[slot] ??= create()) as S;
}

/** Sets a reference that few entities have: the array is only as long as the last id that had one. */
export function writeReference<T>(column: (T | undefined)[], id: number, value: T | undefined): void {
  if (value !== undefined || column[id] !== undefined) column[id] = value;
}

/** Doubles every column until `id` has a row. */
export function growColumns(world: World, id: number): void {
  while (world.capacity <= id) {
    world.capacity *= 2;
    for (const slot of columnSlots) {
      const columns = world.slots[slot];
      if (columns !== undefined) doubleColumns(columns as Record<string, unknown>);
    }
  }
}

function doubleColumns(columns: Record<string, unknown>): void {
  for (const [name, column] of Object.entries(columns)) {
    if (!isTypedColumn(column)) continue;
    const longer = new (column.constructor as new (length: number) => TypedColumn)(column.length * 2);
    longer.set(column);
    columns[name] = longer;
  }
}

function isTypedColumn(column: unknown): column is TypedColumn {
  return column instanceof Int32Array || column instanceof Float64Array || column instanceof Uint8Array ||
    column instanceof Uint32Array;
}
