/**
 * Bit manipulation: Zba, Zbb, Zbc and Zbs (unprivileged specification, chapter "B"). Names with `w` work on the low
 * words and sign-extend, those with `uw` take the low word of rs1 as unsigned.
 */
import { type Expr, i32, i64, intrinsic, select } from "../../wasm/expression.ts";
import { extension, R, R2, shift32, shift64 } from "../encoding.ts";
import { imm, rs1, rs2, type Semantics } from "../instruction.ts";

const compute = (result: Expr): Semantics => ({ shape: "compute", result });
const low = (value: Expr) => i32.wrap_i64(value);
const word = (result: Expr) => compute(i64.extend_i32_s(result));
/** A count of 0 to 32 as a register value. */
const count = (result: Expr) => compute(i64.extend_i32_u(result));
const unsignedWord = i64.extend_i32_u(low(rs1));
const shiftAdd = (value: Expr, amount: number) => compute(i64.add(i64.shl(value, i64.const(amount)), rs2));

export const ZBA = extension("Zba", [
  R("add.uw", "OP-32", 0b000, 0b0000100, compute(i64.add(unsignedWord, rs2))),
  R("sh1add", "OP", 0b010, 0b0010000, shiftAdd(rs1, 1)),
  R("sh1add.uw", "OP-32", 0b010, 0b0010000, shiftAdd(unsignedWord, 1)),
  R("sh2add", "OP", 0b100, 0b0010000, shiftAdd(rs1, 2)),
  R("sh2add.uw", "OP-32", 0b100, 0b0010000, shiftAdd(unsignedWord, 2)),
  R("sh3add", "OP", 0b110, 0b0010000, shiftAdd(rs1, 3)),
  R("sh3add.uw", "OP-32", 0b110, 0b0010000, shiftAdd(unsignedWord, 3)),
  shift64("slli.uw", "OP-IMM-32", 0b001, 0b000010, compute(i64.shl(unsignedWord, imm))),
]);

const not = (value: Expr) => i64.xor(value, i64.const(-1));
const pick = (isFirst: (a: Expr, b: Expr) => Expr) => compute(select(isFirst(rs1, rs2), rs1, rs2));

/** Bytes that are not zero become 0xff: bit 7 of each is set if any bit is, and spread by the multiplication. */
const orCombined = (() => {
  const lowBits = i64.const(0x7f7f_7f7f_7f7f_7f7fn), highBits = i64.const(0x8080_8080_8080_8080n);
  const any = i64.and(i64.or(i64.add(i64.and(rs1, lowBits), lowBits), rs1), highBits);
  return i64.mul(i64.shr_u(any, i64.const(7)), i64.const(0xff));
})();

/** Bytes in reverse order: byte i goes up by 7 − 2i places, and each of four rotations brings two of them there. */
const bytesReversed = ([[56, 0xff00_0000_ff00_0000n], [40, 0x00ff_0000_00ff_0000n], [24, 0xff00_0000_ff00n], [
  8,
  0xff_0000_00ffn,
]] as const)
  .map(([places, kept]) => i64.and(i64.rotl(rs1, i64.const(places)), i64.const(kept)))
  .reduce((a, b) => i64.or(a, b));

export const ZBB = extension("Zbb", [
  R("andn", "OP", 0b111, 0b0100000, compute(i64.and(rs1, not(rs2)))),
  R("orn", "OP", 0b110, 0b0100000, compute(i64.or(rs1, not(rs2)))),
  R("xnor", "OP", 0b100, 0b0100000, compute(not(i64.xor(rs1, rs2)))),
  R2("clz", "OP-IMM", 0b001, 0b0110000, 0b00000, compute(i64.clz(rs1))),
  R2("clzw", "OP-IMM-32", 0b001, 0b0110000, 0b00000, count(i32.clz(low(rs1)))),
  R2("ctz", "OP-IMM", 0b001, 0b0110000, 0b00001, compute(i64.ctz(rs1))),
  R2("ctzw", "OP-IMM-32", 0b001, 0b0110000, 0b00001, count(i32.ctz(low(rs1)))),
  R2("cpop", "OP-IMM", 0b001, 0b0110000, 0b00010, compute(i64.popcnt(rs1))),
  R2("cpopw", "OP-IMM-32", 0b001, 0b0110000, 0b00010, count(i32.popcnt(low(rs1)))),
  R("max", "OP", 0b110, 0b0000101, pick(i64.gt_s)),
  R("maxu", "OP", 0b111, 0b0000101, pick(i64.gt_u)),
  R("min", "OP", 0b100, 0b0000101, pick(i64.lt_s)),
  R("minu", "OP", 0b101, 0b0000101, pick(i64.lt_u)),
  R2("sext.b", "OP-IMM", 0b001, 0b0110000, 0b00100, compute(i64.extend8_s(rs1))),
  R2("sext.h", "OP-IMM", 0b001, 0b0110000, 0b00101, compute(i64.extend16_s(rs1))),
  R2("zext.h", "OP-32", 0b100, 0b0000100, 0b00000, compute(i64.and(rs1, i64.const(0xffff)))),
  R("rol", "OP", 0b001, 0b0110000, compute(i64.rotl(rs1, rs2))),
  R("rolw", "OP-32", 0b001, 0b0110000, word(i32.rotl(low(rs1), low(rs2)))),
  R("ror", "OP", 0b101, 0b0110000, compute(i64.rotr(rs1, rs2))),
  shift64("rori", "OP-IMM", 0b101, 0b011000, compute(i64.rotr(rs1, imm))),
  shift32("roriw", "OP-IMM-32", 0b101, 0b0110000, word(i32.rotr(low(rs1), low(imm)))),
  R("rorw", "OP-32", 0b101, 0b0110000, word(i32.rotr(low(rs1), low(rs2)))),
  R2("orc.b", "OP-IMM", 0b101, 0b0010100, 0b00111, compute(orCombined)),
  R2("rev8", "OP-IMM", 0b101, 0b0110101, 0b11000, compute(bytesReversed)),
]);

const carryless = (name: string) => compute(intrinsic("i64", name, rs1, rs2));

export const ZBC = extension("Zbc", [
  R("clmul", "OP", 0b001, 0b0000101, carryless("clmul")),
  R("clmulh", "OP", 0b011, 0b0000101, carryless("clmulh")),
  R("clmulr", "OP", 0b010, 0b0000101, carryless("clmulr")),
]);

const bit = (place: Expr) => i64.shl(i64.const(1), place);
const allBut = (place: Expr) => i64.rotl(i64.const(-2), place);
const extracted = (place: Expr) => i64.and(i64.shr_u(rs1, place), i64.const(1));

export const ZBS = extension("Zbs", [
  R("bclr", "OP", 0b001, 0b0100100, compute(i64.and(rs1, allBut(rs2)))),
  shift64("bclri", "OP-IMM", 0b001, 0b010010, compute(i64.and(rs1, allBut(imm)))),
  R("bext", "OP", 0b101, 0b0100100, compute(extracted(rs2))),
  shift64("bexti", "OP-IMM", 0b101, 0b010010, compute(extracted(imm))),
  R("binv", "OP", 0b001, 0b0110100, compute(i64.xor(rs1, bit(rs2)))),
  shift64("binvi", "OP-IMM", 0b001, 0b011010, compute(i64.xor(rs1, bit(imm)))),
  R("bset", "OP", 0b001, 0b0010100, compute(i64.or(rs1, bit(rs2)))),
  shift64("bseti", "OP-IMM", 0b001, 0b001010, compute(i64.or(rs1, bit(imm)))),
]);
