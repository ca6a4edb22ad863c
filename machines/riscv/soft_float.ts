/**
 * Exact IEEE 754 arithmetic for F and D as WebAssembly functions: all rounding modes, exact flags, canonical NaNs,
 * NaN-boxed singles (unprivileged specification, chapters "F" and "D").
 *
 * Operands and results are whole registers as i64; a rounding mode, where there is one, is the last parameter, an i32
 * from 0 to 4. The names are those of the intrinsics in `instructions/rv64f.ts` and `rv64d.ts`.
 */
import type { Callee } from "../wasm/expression.ts";
import type { Global, ModuleBuilder } from "../wasm/module.ts";
import { defineAdd } from "./soft_float/add.ts";
import { defineClass, defineCompare, defineMinimum } from "./soft_float/compare.ts";
import {
  defineFromInteger,
  defineNarrow,
  defineToInteger,
  defineWiden,
  INTEGER_TYPES,
  isAlwaysExact,
} from "./soft_float/convert.ts";
import { defineDivide, defineSquareRoot } from "./soft_float/divide.ts";
import { DOUBLE, SINGLE } from "./soft_float/format.ts";
import { defineFused } from "./soft_float/fused.ts";
import { hostFuses } from "./soft_float/fused_probe.ts";
import { FloatLibrary } from "./soft_float/library.ts";
import { defineMultiply } from "./soft_float/multiply.ts";
import { defineNative, defineSingleFused, nativeOperations } from "./soft_float/native.ts";
import { defineNativeFromInteger, defineNativeNarrow, defineNativeToInteger } from "./soft_float/native_convert.ts";
import { defineRound } from "./soft_float/round.ts";

export interface SoftFloat {
  /** By name: `f64_add`, `f32_to_u64`, `i32_to_f64` … */
  readonly functions: ReadonlyMap<string, Callee>;
  /** Exception flags are OR-ed into this i32 as in `fflags`: NV 16, DZ 8, OF 4, UF 2, NX 1. */
  readonly flags: Global;
}

/**
 * Defines the functions in a module whose imports are complete. `fuses` says whether relaxed multiply-add rounds once
 * where the module will run; the exception flags are a global of the module's own if they are not given.
 */
export function defineSoftFloat(
  module: ModuleBuilder,
  { fuses = hostFuses(), flags }: { readonly fuses?: boolean; readonly flags?: Global } = {},
): SoftFloat {
  const library = new FloatLibrary(module, flags);
  for (const format of [SINGLE, DOUBLE]) {
    defineRound(library, format);
    defineAdd(library, format);
    defineMultiply(library, format);
    defineDivide(library, format);
    defineSquareRoot(library, format);
    defineFused(library, format);
    for (const operation of nativeOperations(format, fuses)) defineNative(library, format, operation);
    defineMinimum(library, format);
    defineCompare(library, format);
    defineClass(library, format);
    for (const type of INTEGER_TYPES) {
      defineToInteger(library, format, type);
      if (!isAlwaysExact(type, format)) defineFromInteger(library, type, format);
      defineNativeToInteger(library, format, type);
      defineNativeFromInteger(library, type, format);
    }
  }
  defineSingleFused(library);
  if (!fuses) library.publish("f64_fma");
  defineWiden(library);
  defineNarrow(library);
  defineNativeNarrow(library);
  return { functions: library.functions, flags: library.flags };
}
