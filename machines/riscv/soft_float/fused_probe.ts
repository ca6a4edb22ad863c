/** Whether this host's relaxed multiply-add rounds once, so that it is a fused multiply-add. */
import { type Expr, f64x2 } from "../../wasm/expression.ts";
import { giveBack } from "../../wasm/statement.ts";
import { ModuleBuilder } from "../../wasm/module.ts";

let known: boolean | undefined;

/**
 * Relaxed SIMD leaves the choice to the host, which makes it once for all (WebAssembly core specification, "Relaxed
 * Operations"). (1 + 2^-30)² − (1 + 2^-29) is 2^-60, but 0 if the product is rounded first.
 */
export function hostFuses(): boolean {
  known ??= probe();
  return known;
}

function probe(): boolean {
  const module = new ModuleBuilder();
  module.function("madd", { params: ["f64", "f64", "f64"], results: ["f64"], exported: true }, (f) => [
    giveBack(multiplyAdd(...f.params)),
  ]);
  const bytes = module.finish();
  if (!WebAssembly.validate(bytes)) return false; // no relaxed SIMD at all
  const { madd } = new WebAssembly.Instance(new WebAssembly.Module(bytes)).exports;
  const x = 1 + 2 ** -30;
  return (madd as (a: number, b: number, c: number) => number)(x, x, -(1 + 2 ** -29)) === 2 ** -60;
}

/** a × b + c in f64, fused where `hostFuses()`. */
export function multiplyAdd(...operands: Expr[]): Expr {
  return f64x2.extract_lane(f64x2.relaxed_madd(...operands.map((operand) => f64x2.splat(operand))), 0);
}
