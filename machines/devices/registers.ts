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

/** The element of a register that an access falls into. */
interface Hit<D extends Instance<object, object>> {
  register: Register<D>;
  index: number;
  /** Bytes from the start of the element. */
  within: number;
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
  for (const register of registers) checkRegister(register);
  if (single) {
    return {
      read: (d, offset, size) => widen(readRange(registers, d, offset, 1, true), size),
      peek: (d, offset, size) => widen(readRange(registers, d, offset, 1, false), size),
      write: (d, offset, value) => writeRange(registers, d, offset, Number(BigInt(value) & 0xffn), 1),
      impl: { min: 1, max: 8 },
    };
  }
  const widest = Math.max(...registers.map((register) => register.bytes)) as Size;
  return {
    read: (d, offset, size) => readRange(registers, d, offset, size, true),
    peek: (d, offset, size) => readRange(registers, d, offset, size, false),
    write: (d, offset, value, size) => writeRange(registers, d, offset, value, size),
    impl: { min: 1, max: widest },
  };
}

function widen(value: number | bigint, size: Size): number | bigint {
  return size === 8 ? BigInt(value) : value;
}

function checkRegister<D extends Instance<object, object>>(register: Register<D>): void {
  const stride = register.stride ?? register.bytes;
  if (register.offset % register.bytes !== 0 || stride % register.bytes !== 0 || stride < register.bytes) {
    throw new RangeError(`Register ${register.name} is not aligned to its ${register.bytes} bytes`);
  }
}

function find<D extends Instance<object, object>>(
  registers: readonly Register<D>[],
  d: D,
  offset: number,
  forbidden: "ro" | "wo",
): Hit<D> | undefined {
  for (const register of registers) {
    const distance = offset - register.offset;
    if (distance < 0) continue;
    const stride = register.stride ?? register.bytes;
    const index = Math.floor(distance / stride);
    const within = distance - index * stride;
    if (index >= (register.count ?? 1) || within >= register.bytes) continue;
    if (register.access === forbidden || (register.when !== undefined && !register.when(d))) continue;
    return { register, index, within };
  }
  return undefined;
}

function readRange<D extends Instance<object, object>>(
  registers: readonly Register<D>[],
  d: D,
  offset: number,
  size: Size,
  effects: boolean,
): number | bigint {
  const hit = find(registers, d, offset, "wo");
  if (hit === undefined) {
    if (size > 1 && touches(registers, offset, size)) return readHalves(registers, d, offset, size, effects);
    if (effects) trace(d, "guest-error", `read of ${size} at unknown offset 0x${offset.toString(16)}`);
    return size === 8 ? 0n : 0;
  }
  const { register, index, within } = hit;
  if (within + size > register.bytes) return readHalves(registers, d, offset, size, effects);
  if (register.bytes === 8) {
    const value = currentWide(register, d, index);
    if (effects) register.afterRead?.(d, index, value);
    return size === 8 ? value : Number(BigInt.asUintN(size * 8, value >> BigInt(within * 8)));
  }
  const value = currentNarrow(register, d, index);
  if (effects) register.afterRead?.(d, index, value);
  return extract(value, within, size);
}

function writeRange<D extends Instance<object, object>>(
  registers: readonly Register<D>[],
  d: D,
  offset: number,
  value: number | bigint,
  size: Size,
): void {
  const hit = find(registers, d, offset, "ro");
  if (hit === undefined) {
    if (size > 1 && touches(registers, offset, size)) return writeHalves(registers, d, offset, value, size);
    trace(d, "guest-error", `write of 0x${value.toString(16)} to unknown or read-only offset 0x${offset.toString(16)}`);
    return;
  }
  const { register, index, within } = hit;
  if (within + size > register.bytes) return writeHalves(registers, d, offset, value, size);
  if (register.bytes === 8) {
    const whole = size === 8 ? BigInt(value) : mergeWide(currentWide(register, d, index), BigInt(value), within, size);
    if (register.field !== undefined) store(d, register.field, index, register.count, whole);
    register.write?.(d, whole, index);
    return;
  }
  const narrow = Number(value);
  const whole = size === register.bytes ? narrow : mergeNarrow(currentNarrow(register, d, index), narrow, within, size);
  writeNarrow(register, d, index, whole);
}

function writeNarrow<D extends Instance<object, object>>(
  register: NarrowRegister<D>,
  d: D,
  index: number,
  value: number,
): void {
  let kept = value;
  if (register.fields !== undefined) {
    let mask = 0;
    for (const name in register.fields) mask |= register.fields[name] ?? 0;
    kept = (value & mask) >>> 0;
    if (kept !== value) {
      trace(d, "guest-error", `write of 0x${value.toString(16)} sets reserved bits of ${register.name}`);
    }
  }
  if (register.field !== undefined) store(d, register.field, index, register.count, kept);
  register.write?.(d, kept, index);
}

/** Whether any later byte of the access meets a register: then the access is split rather than dropped. */
function touches<D extends Instance<object, object>>(
  registers: readonly Register<D>[],
  offset: number,
  size: number,
): boolean {
  return registers.some((register) => {
    const extent = ((register.count ?? 1) - 1) * (register.stride ?? register.bytes) + register.bytes;
    return register.offset < offset + size && offset < register.offset + extent && register.bytes < size;
  });
}

function readHalves<D extends Instance<object, object>>(
  registers: readonly Register<D>[],
  d: D,
  offset: number,
  size: Size,
  effects: boolean,
): number | bigint {
  const half = (size / 2) as Size;
  const low = readRange(registers, d, offset, half, effects);
  const high = readRange(registers, d, offset + half, half, effects);
  if (size === 8) return BigInt(low) | BigInt(high) << 32n;
  return Number(low) + Number(high) * 2 ** (half * 8);
}

function writeHalves<D extends Instance<object, object>>(
  registers: readonly Register<D>[],
  d: D,
  offset: number,
  value: number | bigint,
  size: Size,
): void {
  const half = (size / 2) as Size;
  const whole = BigInt(value);
  writeRange(registers, d, offset, Number(BigInt.asUintN(half * 8, whole)), half);
  writeRange(registers, d, offset + half, Number(whole >> BigInt(half * 8)), half);
}

function currentNarrow<D extends Instance<object, object>>(register: NarrowRegister<D>, d: D, index: number): number {
  if (register.read !== undefined) return register.read(d, index);
  return register.field === undefined ? 0 : Number(load(d, register.field, index, register.count));
}

function currentWide<D extends Instance<object, object>>(register: WideRegister<D>, d: D, index: number): bigint {
  if (register.read !== undefined) return BigInt.asUintN(64, register.read(d, index));
  return register.field === undefined ? 0n : BigInt.asUintN(64, BigInt(load(d, register.field, index, register.count)));
}

function load(d: Instance<object, object>, field: string, index: number, count: number | undefined): number | bigint {
  const value = (d.state as Backing)[field];
  return (count === undefined ? value as number | bigint : (value as (number | bigint)[])[index]) ?? 0;
}

function store(
  d: Instance<object, object>,
  field: string,
  index: number,
  count: number | undefined,
  value: number | bigint,
): void {
  const state = d.state as Backing;
  if (count === undefined) state[field] = value;
  else (state[field] as (number | bigint)[])[index] = value;
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
