/**
 * Names of WebAssembly's instructions and the kinds of their immediates, for those who read modules: the core set, and of
 * the prefixed ones what the generators use.
 *
 * Source: WebAssembly core specification 2.0, 5.4 and 7.10; the relaxed SIMD and threads proposals.
 */

/** What follows an opcode: nothing, an index, two of them, a constant, a memory argument … */
export type Immediate =
  | "none"
  | "block"
  | "index"
  | "call"
  | "label"
  | "labels"
  | "two"
  | "memory"
  | "i32"
  | "i64"
  | "f32"
  | "f64"
  | "lane"
  | "bytes16";

export interface Opcode {
  readonly name: string;
  readonly immediate: Immediate;
}

const CONTROL: readonly [number, string, Immediate][] = [
  [0x00, "unreachable", "none"],
  [0x01, "nop", "none"],
  [0x02, "block", "block"],
  [0x03, "loop", "block"],
  [0x04, "if", "block"],
  [0x05, "else", "none"],
  [0x0b, "end", "none"],
  [0x0c, "br", "label"],
  [0x0d, "br_if", "label"],
  [0x0e, "br_table", "labels"],
  [0x0f, "return", "none"],
  [0x10, "call", "call"],
  [0x11, "call_indirect", "two"],
  [0x12, "return_call", "call"],
  [0x13, "return_call_indirect", "two"],
  [0x1a, "drop", "none"],
  [0x1b, "select", "none"],
  [0x20, "local.get", "index"],
  [0x21, "local.set", "index"],
  [0x22, "local.tee", "index"],
  [0x23, "global.get", "index"],
  [0x24, "global.set", "index"],
  [0x25, "table.get", "index"],
  [0x26, "table.set", "index"],
  [0x3f, "memory.size", "index"],
  [0x40, "memory.grow", "index"],
  [0x41, "i32.const", "i32"],
  [0x42, "i64.const", "i64"],
  [0x43, "f32.const", "f32"],
  [0x44, "f64.const", "f64"],
];

/** From 0x28 on. */
const MEMORY = "i32.load i64.load f32.load f64.load i32.load8_s i32.load8_u i32.load16_s i32.load16_u i64.load8_s " +
  "i64.load8_u i64.load16_s i64.load16_u i64.load32_s i64.load32_u i32.store i64.store f32.store f64.store i32.store8 " +
  "i32.store16 i64.store8 i64.store16 i64.store32";

const COMPARISONS = "eqz eq ne lt_s lt_u gt_s gt_u le_s le_u ge_s ge_u";
const FLOAT_COMPARISONS = "eq ne lt gt le ge";
const INTEGER = "clz ctz popcnt add sub mul div_s div_u rem_s rem_u and or xor shl shr_s shr_u rotl rotr";
const FLOAT = "abs neg ceil floor trunc nearest sqrt add sub mul div min max copysign";
const CONVERSIONS = "i32.wrap_i64 i32.trunc_f32_s i32.trunc_f32_u i32.trunc_f64_s i32.trunc_f64_u i64.extend_i32_s " +
  "i64.extend_i32_u i64.trunc_f32_s i64.trunc_f32_u i64.trunc_f64_s i64.trunc_f64_u f32.convert_i32_s " +
  "f32.convert_i32_u f32.convert_i64_s f32.convert_i64_u f32.demote_f64 f64.convert_i32_s f64.convert_i32_u " +
  "f64.convert_i64_s f64.convert_i64_u f64.promote_f32 i32.reinterpret_f32 i64.reinterpret_f64 f32.reinterpret_i32 " +
  "f64.reinterpret_i64 i32.extend8_s i32.extend16_s i64.extend8_s i64.extend16_s i64.extend32_s";

const prefixed = (type: string, names: string) => names.split(" ").map((name) => `${type}.${name}`);

/** From 0x45 on. */
const NUMERIC = [
  ...prefixed("i32", COMPARISONS),
  ...prefixed("i64", COMPARISONS),
  ...prefixed("f32", FLOAT_COMPARISONS),
  ...prefixed("f64", FLOAT_COMPARISONS),
  ...prefixed("i32", INTEGER),
  ...prefixed("i64", INTEGER),
  ...prefixed("f32", FLOAT),
  ...prefixed("f64", FLOAT),
  ...CONVERSIONS.split(" "),
];

/** After 0xfc. */
const MISCELLANEOUS: readonly [number, string, Immediate][] = [
  ...["i32.trunc_sat_f32_s", "i32.trunc_sat_f32_u", "i32.trunc_sat_f64_s", "i32.trunc_sat_f64_u"],
  ...["i64.trunc_sat_f32_s", "i64.trunc_sat_f32_u", "i64.trunc_sat_f64_s", "i64.trunc_sat_f64_u"],
].map((name, code): [number, string, Immediate] => [code, name, "none"]);
const WIDE: readonly [number, string, Immediate][] = [
  [0x13, "i64.add128", "none"],
  [0x14, "i64.sub128", "none"],
  [0x15, "i64.mul_wide_s", "none"],
  [0x16, "i64.mul_wide_u", "none"],
];

/** After 0xfd: others are shown by number. */
const VECTOR: readonly [number, string, Immediate][] = [
  [0x00, "v128.load", "memory"],
  [0x0b, "v128.store", "memory"],
  [0x0c, "v128.const", "bytes16"],
  [0x12, "i64x2.splat", "none"],
  [0x13, "f32x4.splat", "none"],
  [0x14, "f64x2.splat", "none"],
  [0x1b, "i32x4.extract_lane", "lane"],
  [0x1d, "i64x2.extract_lane", "lane"],
  [0x1e, "i64x2.replace_lane", "lane"],
  [0x1f, "f32x4.extract_lane", "lane"],
  [0x21, "f64x2.extract_lane", "lane"],
  [0x22, "f64x2.replace_lane", "lane"],
  [0x105, "f32x4.relaxed_madd", "none"],
  [0x106, "f32x4.relaxed_nmadd", "none"],
  [0x107, "f64x2.relaxed_madd", "none"],
  [0x108, "f64x2.relaxed_nmadd", "none"],
];

export const CORE: ReadonlyMap<number, Opcode> = new Map([
  ...CONTROL.map(([code, name, immediate]): [number, Opcode] => [code, { name, immediate }]),
  ...MEMORY.split(" ").map((name, i): [number, Opcode] => [0x28 + i, { name, immediate: "memory" }]),
  ...NUMERIC.map((name, i): [number, Opcode] => [0x45 + i, { name, immediate: "none" }]),
]);

/** By prefix byte. */
export const PREFIXED: ReadonlyMap<number, ReadonlyMap<number, Opcode>> = new Map([
  [
    0xfc,
    table([...MISCELLANEOUS, ...WIDE, [0x0a, "memory.copy", "two"], [0x0b, "memory.fill", "index"]]),
  ],
  [0xfd, table(VECTOR)],
]);

function table(rows: readonly [number, string, Immediate][]): ReadonlyMap<number, Opcode> {
  return new Map(rows.map(([code, name, immediate]) => [code, { name, immediate }]));
}
