/**
 * Register files: registers are data, and the accesses to a region follow from them.
 *
 * `read` of a register is free of side effects by contract (what reading changes is stated apart, in `afterRead`), so that
 * every register has a peek for debuggers. Reserved bits, unknown offsets and wrong access modes are traced for free.
 */
import type { MmioOps } from "../../ecs/region.ts";
import type { Instance } from "../../ecs/device.ts";
import { trace } from "../../systems/trace.ts";

/** Named bit fields of a register as masks. */
export type Fields = Readonly<Record<string, number>>;

/** A bit number, or the lowest and the highest bit number of a field. */
export type BitRange = number | readonly [low: number, high: number];

/** Masks of named fields: `bits({ DR: 0, word: [0, 1] })` is `{ DR: 1, word: 3 }`. Bits 0 to 31. */
export function bits<N extends string>(ranges: Readonly<Record<N, BitRange>>): Readonly<Record<N, number>> {
  const masks = {} as Record<N, number>;
  for (const [name, range] of Object.entries<BitRange>(ranges)) {
    const [low, high] = typeof range === "number" ? [range, range] : range;
    if (!(low >= 0 && low <= high && high <= 31)) throw new RangeError(`Field "${name}" is not within bits 0 to 31`);
    masks[name as N] = (2 ** (high - low + 1) - 1) * 2 ** low;
  }
  return Object.freeze(masks);
}

interface RegisterBase<D extends Instance<object, object>> {
  /** Name on the data sheet. */
  readonly name: string;
  /** Byte offset in the region of element 0. */
  readonly offset: number;
  /** Elements, if the register is an array; `stride` bytes apart (default: `bytes`). */
  readonly count?: number;
  readonly stride?: number;
  /** Default `rw`. Several registers may share an offset if their access modes or `when` differ; the first that fits is meant. */
  readonly access?: "rw" | "ro" | "wo";
  /** Whether the register is visible now (bank switches such as DLAB). Free of side effects. */
  when?(d: D): boolean;
  /** Name of the state field that backs the register: a number or bigint, or an array of them if the register is one. */
  readonly field?: keyof D["state"] & string;
}

/** A register of up to 32 bits; values are unsigned numbers. */
export interface NarrowRegister<D extends Instance<object, object>> extends RegisterBase<D> {
  readonly bytes: 1 | 2 | 4;
  /** Bits that exist. All others are reserved: writing ones to them is traced, and a backing field never holds them. */
  readonly fields?: Fields;
  /** The value now. Must not change anything: debuggers call it too. */
  read?(d: D, index: number): number;
  /** What a guest's read changes, after the value was taken. */
  afterRead?(d: D, index: number, value: number): void;
  /** What a guest's write does, after the backing field (if any) was stored. */
  write?(d: D, value: number, index: number): void;
}

/** A register of 64 bits; values are unsigned bigints. */
export interface WideRegister<D extends Instance<object, object>> extends RegisterBase<D> {
  readonly bytes: 8;
  read?(d: D, index: number): bigint;
  afterRead?(d: D, index: number, value: bigint): void;
  write?(d: D, value: bigint, index: number): void;
}

export type Register<D extends Instance<object, object>> = NarrowRegister<D> | WideRegister<D>;

type Size = 1 | 2 | 4 | 8;
type Backing = Record<string, number | bigint | (number | bigint)[]>;

/** A register as accesses find it: one shape for all, since lookups are hot. */
class Slot<D extends Instance<object, object>> {
  readonly offset: number;
  readonly bytes: Size;
  readonly count: number;
  readonly stride: number;
  readonly isArray: boolean;
  readonly readable: boolean;
  readonly writable: boolean;
  /** Bits that exist, of a register up to 32 bits. */
  readonly mask: number;
  readonly when: ((d: D) => boolean) | undefined;
  readonly field: string | undefined;

  constructor(readonly register: Register<D>) {
    const { name, offset, bytes, count = 1, stride = bytes, access = "rw" } = register;
    if (offset % bytes !== 0 || stride % bytes !== 0 || stride < bytes) {
      throw new RangeError(`Register ${name} is not aligned to its ${bytes} bytes`);
    }
    this.offset = offset;
    this.bytes = bytes;
    this.count = count;
    this.stride = stride;
    this.isArray = register.count !== undefined;
    this.readable = access !== "wo";
    this.writable = access !== "ro";
    this.mask = register.bytes === 8 ? 0 : maskOf(register.fields);
    this.when = register.when === undefined ? undefined : (d) => register.when?.(d) ?? true;
    this.field = register.field;
  }

  get end(): number {
    return this.offset + (this.count - 1) * this.stride + this.bytes;
  }

  /** Whether a byte of the region belongs to an element. */
  covers(offset: number): boolean {
    return offset >= this.offset && offset < this.end && (offset - this.offset) % this.stride < this.bytes;
  }

  indexAt(offset: number): number {
    return this.isArray ? Math.floor((offset - this.offset) / this.stride) : 0;
  }

  /** Bytes from the start of the element. */
  withinAt(offset: number): number {
    return (offset - this.offset) % this.stride;
  }
}

function maskOf(fields: Fields | undefined): number {
  return fields === undefined ? 0xffff_ffff : Object.values(fields).reduce((all, mask) => (all | mask) >>> 0, 0);
}

/** Offsets below this find their registers by table, those above by search. */
const TABLE_BYTES = 256;

class RegisterFile<D extends Instance<object, object>> {
  readonly #slots: readonly Slot<D>[];
  /** Made by the first access: most devices of a board have none in a short program. */
  #table: readonly (readonly Slot<D>[])[] | undefined;

  constructor(registers: readonly Register<D>[]) {
    this.#slots = registers.map((register) => new Slot(register));
  }

  #tableOfSlots(): readonly (readonly Slot<D>[])[] {
    const length = Math.min(TABLE_BYTES, Math.max(...this.#slots.map((slot) => slot.end)));
    return Array.from({ length }, (_, offset) => this.#slots.filter((slot) => slot.covers(offset)));
  }

  get widest(): Size {
    return Math.max(...this.#slots.map((slot) => slot.bytes)) as Size;
  }

  #find(d: D, offset: number, isWrite: boolean): Slot<D> | undefined {
    this.#table ??= this.#tableOfSlots();
    for (const slot of this.#table[offset] ?? this.#slots) {
      if (!(isWrite ? slot.writable : slot.readable) || !slot.covers(offset)) continue;
      if (slot.when === undefined || slot.when(d)) return slot;
    }
    return undefined;
  }

  read(d: D, offset: number, size: Size, effects: boolean): number | bigint {
    const slot = this.#find(d, offset, false);
    if (slot === undefined) {
      if (this.#isSplit(offset, size)) return this.#readHalves(d, offset, size, effects);
      if (effects) trace(d, "guest-error", `read of ${size} at unknown offset 0x${offset.toString(16)}`);
      return size === 8 ? 0n : 0;
    }
    const within = slot.withinAt(offset);
    if (within + size > slot.bytes) return this.#readHalves(d, offset, size, effects);
    const index = slot.indexAt(offset);
    const { register } = slot;
    if (register.bytes === 8) {
      const value = currentWide(slot, register, d, index);
      if (effects) register.afterRead?.(d, index, value);
      return size === 8 ? value : Number(BigInt.asUintN(size * 8, value >> BigInt(within * 8)));
    }
    const value = currentNarrow(slot, register, d, index);
    if (effects) register.afterRead?.(d, index, value);
    return extract(value, within, size);
  }

  write(d: D, offset: number, value: number | bigint, size: Size): void {
    const slot = this.#find(d, offset, true);
    if (slot === undefined) {
      if (this.#isSplit(offset, size)) return this.#writeHalves(d, offset, value, size);
      const hex = value.toString(16);
      trace(d, "guest-error", `write of 0x${hex} to unknown or read-only offset 0x${offset.toString(16)}`);
      return;
    }
    const within = slot.withinAt(offset);
    if (within + size > slot.bytes) return this.#writeHalves(d, offset, value, size);
    const index = slot.indexAt(offset);
    const { register } = slot;
    if (register.bytes === 8) {
      const given = BigInt(value);
      const whole = size === 8 ? given : mergeWide(currentWide(slot, register, d, index), given, within, size);
      if (slot.field !== undefined) store(slot, d, index, whole);
      register.write?.(d, whole, index);
      return;
    }
    const given = Number(value);
    const whole = size === slot.bytes
      ? given
      : mergeNarrow(currentNarrow(slot, register, d, index), given, within, size);
    const kept = (whole & slot.mask) >>> 0;
    if (kept !== whole) {
      trace(d, "guest-error", `write of 0x${whole.toString(16)} sets reserved bits of ${register.name}`);
    }
    if (slot.field !== undefined) store(slot, d, index, kept);
    register.write?.(d, kept, index);
  }

  /** Whether a narrower register lies within the access: then it is split rather than dropped. */
  #isSplit(offset: number, size: number): boolean {
    return size > 1 &&
      this.#slots.some((slot) => slot.bytes < size && slot.offset < offset + size && offset < slot.end);
  }

  #readHalves(d: D, offset: number, size: Size, effects: boolean): number | bigint {
    const half = (size / 2) as Size;
    const low = this.read(d, offset, half, effects);
    const high = this.read(d, offset + half, half, effects);
    if (size === 8) return BigInt(low) | BigInt(high) << 32n;
    return Number(low) + Number(high) * 2 ** (half * 8);
  }

  #writeHalves(d: D, offset: number, value: number | bigint, size: Size): void {
    const half = (size / 2) as Size;
    const whole = BigInt(value);
    this.write(d, offset, Number(BigInt.asUintN(half * 8, whole)), half);
    this.write(d, offset + half, Number(whole >> BigInt(half * 8)), half);
  }
}

/**
 * The access handlers of a region that consists of `registers`: narrower accesses merge into a register, wider ones are
 * split over several.
 *
 * @param single An access of any size acts on the one register at its address instead, as on a bus of that width.
 */
export function registerFile<D extends Instance<object, object>>(
  registers: readonly Register<D>[],
  single = false,
): MmioOps<D> {
  const file = new RegisterFile(registers);
  if (single) {
    return {
      read: (d, offset, size) => widen(file.read(d, offset, 1, true), size),
      peek: (d, offset, size) => widen(file.read(d, offset, 1, false), size),
      write: (d, offset, value) =>
        file.write(d, offset, typeof value === "bigint" ? Number(value & 0xffn) : value & 0xff, 1),
      impl: { min: 1, max: 8 },
    };
  }
  return {
    read: (d, offset, size) => file.read(d, offset, size, true),
    peek: (d, offset, size) => file.read(d, offset, size, false),
    write: (d, offset, value, size) => file.write(d, offset, value, size),
    impl: { min: 1, max: file.widest },
  };
}

function widen(value: number | bigint, size: Size): number | bigint {
  return size === 8 ? BigInt(value) : value;
}

function currentNarrow<D extends Instance<object, object>>(
  slot: Slot<D>,
  register: NarrowRegister<D>,
  d: D,
  index: number,
): number {
  if (register.read !== undefined) return register.read(d, index);
  return slot.field === undefined ? 0 : Number(load(slot, d, slot.field, index));
}

function currentWide<D extends Instance<object, object>>(
  slot: Slot<D>,
  register: WideRegister<D>,
  d: D,
  index: number,
): bigint {
  if (register.read !== undefined) return BigInt.asUintN(64, register.read(d, index));
  return slot.field === undefined ? 0n : BigInt.asUintN(64, BigInt(load(slot, d, slot.field, index)));
}

function load<D extends Instance<object, object>>(slot: Slot<D>, d: D, field: string, index: number): number | bigint {
  const value = (d.state as Backing)[field];
  return (slot.isArray ? (value as (number | bigint)[])[index] : value as number | bigint) ?? 0;
}

function store<D extends Instance<object, object>>(slot: Slot<D>, d: D, index: number, value: number | bigint): void {
  const state = d.state as Backing;
  const field = slot.field as string; // the caller has looked
  if (slot.isArray) (state[field] as (number | bigint)[])[index] = value;
  else state[field] = value;
}

function extract(value: number, within: number, size: number): number {
  const shifted = value >>> (within * 8);
  return size === 4 ? shifted : (shifted & (2 ** (size * 8) - 1)) >>> 0;
}

function mergeNarrow(old: number, value: number, within: number, size: number): number {
  const mask = (2 ** (size * 8) - 1) << (within * 8);
  return ((old & ~mask) | (value << (within * 8)) & mask) >>> 0;
}

function mergeWide(old: bigint, value: bigint, within: number, size: number): bigint {
  const shift = BigInt(within * 8);
  const mask = ((1n << BigInt(size * 8)) - 1n) << shift;
  return (old & ~mask) | ((value << shift) & mask);
}
