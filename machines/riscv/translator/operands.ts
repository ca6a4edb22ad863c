/** The operands of an instruction's semantics in a region: locals and constants. */
import { type Expr, i64 } from "../../wasm/expression.ts";
import { replaceOperands } from "../../wasm/rewrite.ts";
import type { Step } from "./discovery.ts";
import type { RegionState } from "./region_state.ts";

/** An expression of the semantics over the region's locals. */
export function bound(region: RegionState, { offset, decoded }: Step, e: Expr, others: Record<string, Expr> = {}) {
  return fold(replaceOperands(e, (name) => {
    const other = others[name];
    if (other) return other;
    switch (name) {
      case "rs1":
        return region.read("x", decoded.rs1);
      case "rs2":
        return region.read("x", decoded.rs2);
      case "fs1":
        return region.read("f", decoded.rs1);
      case "fs2":
        return region.read("f", decoded.rs2);
      case "fs3":
        return region.read("f", decoded.rs3);
      case "imm":
        return i64.const(decoded.imm);
      case "pc":
        return region.addressOf(offset);
      default:
        throw new Error(`operand "${name}" has no meaning in the translator`);
    }
  }));
}

/** Moves and constants are written as additions: without the zero, the baseline tier does nothing for them either. */
function fold(e: Expr): Expr {
  if (e.kind !== "numeric" || e.op.name !== "i64.add") return e;
  const [a, b] = e.args;
  if (a && isZero(b)) return a;
  return b && isZero(a) ? b : e;
}

function isZero(e: Expr | undefined): boolean {
  return e?.kind === "const" && Number(e.value) === 0;
}
