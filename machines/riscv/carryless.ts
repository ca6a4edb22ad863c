/** Products of polynomials over GF(2), the intrinsics of Zbc (unprivileged specification, 28.4.5): no carries. */
import { call, type Callee, type Expr, i64 } from "../wasm/expression.ts";
import type { ModuleBuilder } from "../wasm/module.ts";
import { giveBack, set, type Statements } from "../wasm/statement.ts";
import { parameter } from "./page_walk.ts";

/** Every fourth bit. In the lower half of a product of such numbers, carries stay within the three bits between. */
const SPARSE = 0x1111_1111_1111_1111n;
const residue = (value: Expr, place: number) => i64.and(value, i64.const(SPARSE << BigInt(place)));
const RESIDUES = [0, 1, 2, 3];

/** Defines `clmul`, `clmulh` and `clmulr`. */
export function defineCarryless(module: ModuleBuilder): Map<string, Callee> {
  const signature = { params: ["i64", "i64"], results: ["i64"] } as const;
  const clmul = module.function("clmul", signature, (f) => {
    const a = parameter(f, 0), b = parameter(f, 1);
    const parts = RESIDUES.map((place) => {
      const products = RESIDUES.map((i) => i64.mul(residue(a, i), residue(b, (place - i) & 3)));
      return residue(products.reduce((x, y) => i64.xor(x, y)), place);
    });
    return [giveBack(parts.reduce((x, y) => i64.or(x, y)))];
  });
  const reversed = module.function("reverseBits", { params: ["i64"], results: ["i64"] }, (f) => {
    const x = parameter(f, 0);
    const swap = (places: bigint, kept: bigint): Statements => [set(
      x,
      i64.or(
        i64.and(i64.shr_u(x, i64.const(places)), i64.const(kept)),
        i64.shl(i64.and(x, i64.const(kept)), i64.const(places)),
      ),
    )];
    return [
      ...swap(1n, 0x5555_5555_5555_5555n),
      ...swap(2n, 0x3333_3333_3333_3333n),
      ...swap(4n, 0x0f0f_0f0f_0f0f_0f0fn),
      ...swap(8n, 0x00ff_00ff_00ff_00ffn),
      ...swap(16n, 0x0000_ffff_0000_ffffn),
      giveBack(i64.rotl(x, i64.const(32))),
    ];
  });
  // The product has 127 bits: its upper 64, reversed, are the lower 64 of the reversed factors' product.
  const clmulr = module.function("clmulr", signature, (f) => [
    giveBack(call(reversed, call(clmul, call(reversed, parameter(f, 0)), call(reversed, parameter(f, 1))))),
  ]);
  const clmulh = module.function("clmulh", signature, (f) => [
    giveBack(i64.shr_u(call(clmulr, parameter(f, 0), parameter(f, 1)), i64.const(1))),
  ]);
  return new Map([clmul, clmulh, clmulr].map((callee) => [callee.name, callee]));
}
