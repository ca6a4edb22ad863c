/** Comparisons, minimum, maximum and classification: no rounding, so WebAssembly's own operators are exact. */
import { type Expr, f32, f64, i32, i64, type Local, select } from "../../wasm/expression.ts";
import { giveBack, when } from "../../wasm/statement.ts";
import type { Format } from "./format.ts";
import { any, type FloatLibrary, NV } from "./library.ts";
import { asBit } from "./round.ts";

/** `f64_eq`, `f64_lt`, `f64_le`: 1 or 0. NaNs compare false; NV for any NaN, but for `eq` only if it signals. */
export function defineCompare(library: FloatLibrary, format: Format): void {
  const native = format.width === 64 ? f64 : f32;
  for (const relation of ["eq", "lt", "le"] as const) {
    library.define(`${format.name}_${relation}`, ["i64", "i64"], (f) => {
      const { bits, code } = library.operands(f, format, 2);
      const isInvalid = (x: Expr) => relation === "eq" ? format.isSignalling(x) : format.isNan(x);
      const [a, b] = bits as [Local, Local];
      return [
        ...code,
        when(any([isInvalid(a), isInvalid(b)]), [library.raise(NV)]),
        giveBack(asBit(native[relation](format.native(a), format.native(b)))),
      ];
    });
  }
}

/**
 * `f64_min` and `f64_max`: minimumNumber and maximumNumber of IEEE 754-2019, that is, the number if one operand is a
 * NaN; −0 is below +0.
 */
export function defineMinimum(library: FloatLibrary, format: Format): void {
  const native = format.width === 64 ? f64 : f32;
  for (const which of ["min", "max"] as const) {
    library.define(`${format.name}_${which}`, ["i64", "i64"], (f) => {
      const { bits, code } = library.operands(f, format, 2);
      const [a, b] = bits as [Local, Local];
      return [
        ...code,
        when(i32.or(format.isNan(a), format.isNan(b)), [
          when(i32.or(format.isSignalling(a), format.isSignalling(b)), [library.raise(NV)]),
          when(i32.eqz(format.isNan(a)), [giveBack(format.boxed(a))]),
          when(i32.eqz(format.isNan(b)), [giveBack(format.boxed(b))]),
          giveBack(format.canonicalNan),
        ]),
        giveBack(format.boxed(format.nativeBits(native[which](format.native(a), format.native(b))))),
      ];
    });
  }
}

/**
 * `f64_class`: one bit of ten: −∞, −normal, −subnormal, −0, +0, +subnormal, +normal, +∞, signalling NaN, quiet NaN
 * (chapter "F", "Single-Precision Floating-Point Classify Instruction").
 */
export function defineClass(library: FloatLibrary, format: Format): void {
  library.define(`${format.name}_class`, ["i64"], (f) => {
    const { bits, code } = library.operands(f, format, 1);
    const [a] = bits as [Local];
    /** 0 to 3: zero, subnormal, normal, infinite. */
    const size = i32.add(
      i32.add(i32.eqz(format.isZero(a)), format.isInfinite(a)),
      i32.ne(format.exponent(a), i32.const(0)),
    );
    const bit = select(
      i64.eqz(format.sign(a)),
      i32.add(i32.const(4), size),
      i32.sub(i32.const(3), size),
    );
    return [
      ...code,
      when(format.isNan(a), [
        giveBack(select(format.isSignalling(a), i64.const(1 << 8), i64.const(1 << 9))),
      ]),
      giveBack(i64.shl(i64.const(1), i64.extend_i32_u(bit))),
    ];
  });
}
