/** Upper halves of 64 × 64-bit products (unprivileged specification, chapter "M"): WebAssembly gives only the lower. */
import { call, type Callee, type Expr, i64, upperProduct } from "../wasm/expression.ts";
import { ModuleBuilder } from "../wasm/module.ts";
import { giveBack, set } from "../wasm/statement.ts";
import { parameter } from "./page_walk.ts";

const low = (x: Expr) => i64.and(x, i64.const(0xffff_ffff));
const high = (x: Expr) => i64.shr_u(x, i64.const(32));
/** All ones if negative. */
const sign = (x: Expr) => i64.shr_s(x, i64.const(63));

/** Names of the intrinsics that `defineMultiply` defines. */
export const MULTIPLY: ReadonlySet<string> = new Set(["mulhu", "mulh", "mulhsu"]);

const SIGNATURE = { params: ["i64", "i64"], results: ["i64"] } as const;

let known: boolean | undefined;

/** Whether the host has an operator for 128-bit products: in V8 by the flag `--experimental-wasm-wide-arithmetic`. */
export function hostMultipliesWide(): boolean {
  if (known !== undefined) return known;
  const module = new ModuleBuilder();
  module.function(
    "probe",
    SIGNATURE,
    (f) => [giveBack(upperProduct(false, parameter(f, 0), parameter(f, 1), parameter(f, 0)))],
  );
  return known = WebAssembly.validate(module.finish());
}

/** Defines `mulhu`, `mulh` and `mulhsu`. */
export function defineMultiply(module: ModuleBuilder): Map<string, Callee> {
  const signature = SIGNATURE, isWide = hostMultipliesWide();
  const mulhu = module.function("mulhu", signature, (f) => {
    const a = parameter(f, 0), b = parameter(f, 1);
    if (isWide) return [giveBack(upperProduct(false, a, b, a))];
    // Two partial products and what they carry; no sum exceeds 64 bits.
    const lower = f.local("i64"), upper = f.local("i64");
    return [
      set(lower, i64.add(high(i64.mul(low(a), low(b))), i64.mul(high(a), low(b)))),
      set(upper, i64.add(low(lower), i64.mul(low(a), high(b)))),
      giveBack(i64.add(i64.add(i64.mul(high(a), high(b)), high(lower)), high(upper))),
    ];
  });
  // A negative operand counts 2^64 too much as an unsigned one: take the other operand away once.
  const mulhsu = module.function("mulhsu", signature, (f) => {
    const a = parameter(f, 0), b = parameter(f, 1);
    return [giveBack(i64.sub(call(mulhu, a, b), i64.and(sign(a), b)))];
  });
  const mulh = module.function("mulh", signature, (f) => {
    const a = parameter(f, 0), b = parameter(f, 1);
    if (isWide) return [giveBack(upperProduct(true, a, b, a))];
    return [giveBack(i64.sub(call(mulhsu, a, b), i64.and(sign(b), a)))];
  });
  return new Map([mulhu, mulhsu, mulh].map((callee) => [callee.name, callee]));
}
