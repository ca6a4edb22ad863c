/** RV64M: multiplication and division (unprivileged specification, chapter "M"). Division never traps. */
import { choose, type Expr, i32, i64, intrinsic } from "../../wasm/expression.ts";
import { extension, R } from "../encoding.ts";
import { rs1, rs2, type Semantics } from "../instruction.ts";

const compute = (result: Expr): Semantics => ({ shape: "compute", result });
const high = (name: string) => compute(intrinsic("i64", name, rs1, rs2));

/**
 * The four divisions at one width, with the results of table "Semantics for division by zero and division overflow".
 * WebAssembly traps on a zero divisor, and on overflow of the signed quotient only: dividing by −1 is negation,
 * which wraps as the table asks.
 */
function division(w: typeof i32 | typeof i64, a: Expr, b: Expr, widen: (value: Expr) => Expr) {
  const unlessZero = (byZero: Expr, otherwise: Expr) => compute(widen(choose(w.eqz(b), byZero, otherwise)));
  const signedQuotient = choose(w.eq(b, w.const(-1)), w.sub(w.const(0), a), w.div_s(a, b));
  return {
    div: unlessZero(w.const(-1), signedQuotient),
    divu: unlessZero(w.const(-1), w.div_u(a, b)),
    rem: unlessZero(a, w.rem_s(a, b)),
    remu: unlessZero(a, w.rem_u(a, b)),
  };
}

const doubleword = division(i64, rs1, rs2, (value) => value);
const word = division(i32, i32.wrap_i64(rs1), i32.wrap_i64(rs2), (value) => i64.extend_i32_s(value));
const wordProduct = i64.extend_i32_s(i32.mul(i32.wrap_i64(rs1), i32.wrap_i64(rs2)));

export const RV64M = extension("M", [
  R("mul", "OP", 0b000, 0b0000001, compute(i64.mul(rs1, rs2))),
  R("mulh", "OP", 0b001, 0b0000001, high("mulh")),
  R("mulhsu", "OP", 0b010, 0b0000001, high("mulhsu")),
  R("mulhu", "OP", 0b011, 0b0000001, high("mulhu")),
  R("div", "OP", 0b100, 0b0000001, doubleword.div),
  R("divu", "OP", 0b101, 0b0000001, doubleword.divu),
  R("rem", "OP", 0b110, 0b0000001, doubleword.rem),
  R("remu", "OP", 0b111, 0b0000001, doubleword.remu),
  R("mulw", "OP-32", 0b000, 0b0000001, compute(wordProduct)),
  R("divw", "OP-32", 0b100, 0b0000001, word.div),
  R("divuw", "OP-32", 0b101, 0b0000001, word.divu),
  R("remw", "OP-32", 0b110, 0b0000001, word.rem),
  R("remuw", "OP-32", 0b111, 0b0000001, word.remu),
]);
