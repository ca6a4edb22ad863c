/**
 * Float semantics in the shapes that the tables of F and D share. Rounding is explicit: the funct3 field of a `rounded`
 * instruction is its mode, checked even where the result is always exact (an i32 as a double, say).
 */
import { fs1, rm, type Semantics } from "../instruction.ts";
import { type Expr, intrinsic } from "../../wasm/expression.ts";

/** f[rd] ← result. */
export const float = (result: Expr): Semantics => ({ shape: "float", file: "f", rounds: false, result });

/** x[rd] ← result. */
export const toInteger = (result: Expr): Semantics => ({ shape: "float", file: "x", rounds: false, result });

/** f[rd] ← the named operation, rounded. */
export const rounded = (name: string, ...args: Expr[]): Semantics => ({
  shape: "float",
  file: "f",
  rounds: true,
  result: intrinsic("i64", name, ...args, rm),
});

/** x[rd] ← f[rs1] as an integer, rounded. */
export const roundedToInteger = (name: string): Semantics => ({
  shape: "float",
  file: "x",
  rounds: true,
  result: intrinsic("i64", name, fs1, rm),
});
