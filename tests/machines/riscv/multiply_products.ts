/**
 * Run by its test with and without the host's wide operator: says which it is, and prints the upper halves of products of
 * all pairs of edges.
 */
import { defineMultiply, hostMultipliesWide } from "../../../machines/riscv/multiply.ts";
import { call } from "../../../machines/wasm/expression.ts";
import { ModuleBuilder } from "../../../machines/wasm/module.ts";
import { giveBack } from "../../../machines/wasm/statement.ts";

export const EDGES: readonly bigint[] = [
  0n,
  1n,
  2n,
  0xffff_ffffn,
  1n << 32n,
  (1n << 63n) - 1n,
  1n << 63n,
  (1n << 64n) - 1n,
]
  .concat([0x1234_5678_9abc_def0n, 0xfedc_ba98_7654_3210n]);

if (import.meta.main) {
  const module = new ModuleBuilder();
  for (const [name, callee] of defineMultiply(module)) {
    const signature = { params: ["i64", "i64"], results: ["i64"], exported: true } as const;
    module.function(`${name} exported`, signature, (f) => [giveBack(call(callee, ...f.params))]);
  }
  const { exports } = new WebAssembly.Instance(new WebAssembly.Module(module.finish()));
  console.log(hostMultipliesWide());
  for (const name of ["mulhu", "mulh", "mulhsu"]) {
    const multiply = exports[`${name} exported`] as (a: bigint, b: bigint) => bigint;
    for (const a of EDGES) for (const b of EDGES) console.log(BigInt.asUintN(64, multiply(a, b)).toString(16));
  }
}
