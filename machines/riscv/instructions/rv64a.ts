/** RV64A: load-reserved/store-conditional and atomic memory operations (unprivileged specification, chapter "A"). */
import { type Expr, i64, select } from "../../wasm/expression.ts";
import { amo, extension, lr } from "../encoding.ts";
import { old, rs2, type Semantics } from "../instruction.ts";

const WORD = 0b010, DOUBLEWORD = 0b011;

/** rd ← old, memory ← next: `next` is written for 64 bits and holds for 32 if `operand` is sign-extended, as `old` is. */
const atomic = (bytes: 4 | 8, next: (operand: Expr) => Expr): Semantics => ({
  shape: "atomic",
  bytes,
  next: next(bytes === 4 ? i64.extend32_s(rs2) : rs2),
});
const loadReserved = (bytes: 4 | 8): Semantics => ({ shape: "loadReserved", bytes });
const storeConditional = (bytes: 4 | 8): Semantics => ({ shape: "storeConditional", bytes });

const add = (operand: Expr) => i64.add(old, operand);
const swap = (operand: Expr) => operand;
const xor = (operand: Expr) => i64.xor(old, operand);
const and = (operand: Expr) => i64.and(old, operand);
const or = (operand: Expr) => i64.or(old, operand);
// Sign extension keeps the unsigned order of 32-bit values.
const min = (operand: Expr) => select(i64.lt_s(old, operand), old, operand);
const max = (operand: Expr) => select(i64.gt_s(old, operand), old, operand);
const minu = (operand: Expr) => select(i64.lt_u(old, operand), old, operand);
const maxu = (operand: Expr) => select(i64.gt_u(old, operand), old, operand);

export const RV64A = extension("A", [
  lr("lr.w", WORD, 0b00010, loadReserved(4)),
  amo("sc.w", WORD, 0b00011, storeConditional(4)),
  amo("amoswap.w", WORD, 0b00001, atomic(4, swap)),
  amo("amoadd.w", WORD, 0b00000, atomic(4, add)),
  amo("amoxor.w", WORD, 0b00100, atomic(4, xor)),
  amo("amoand.w", WORD, 0b01100, atomic(4, and)),
  amo("amoor.w", WORD, 0b01000, atomic(4, or)),
  amo("amomin.w", WORD, 0b10000, atomic(4, min)),
  amo("amomax.w", WORD, 0b10100, atomic(4, max)),
  amo("amominu.w", WORD, 0b11000, atomic(4, minu)),
  amo("amomaxu.w", WORD, 0b11100, atomic(4, maxu)),

  lr("lr.d", DOUBLEWORD, 0b00010, loadReserved(8)),
  amo("sc.d", DOUBLEWORD, 0b00011, storeConditional(8)),
  amo("amoswap.d", DOUBLEWORD, 0b00001, atomic(8, swap)),
  amo("amoadd.d", DOUBLEWORD, 0b00000, atomic(8, add)),
  amo("amoxor.d", DOUBLEWORD, 0b00100, atomic(8, xor)),
  amo("amoand.d", DOUBLEWORD, 0b01100, atomic(8, and)),
  amo("amoor.d", DOUBLEWORD, 0b01000, atomic(8, or)),
  amo("amomin.d", DOUBLEWORD, 0b10000, atomic(8, min)),
  amo("amomax.d", DOUBLEWORD, 0b10100, atomic(8, max)),
  amo("amominu.d", DOUBLEWORD, 0b11000, atomic(8, minu)),
  amo("amomaxu.d", DOUBLEWORD, 0b11100, atomic(8, maxu)),
]);
