/** Multiplication with all rounding modes, in integers. */
import { i32, i64, type Local } from "../../wasm/expression.ts";
import { giveBack, set, when } from "../../wasm/statement.ts";
import type { Format } from "./format.ts";
import type { FloatLibrary } from "./library.ts";
import { asBit } from "./round.ts";
import { multiplyWide, wide } from "./wide.ts";

/** `f64_mul(a, b, rm)`. */
export function defineMultiply(library: FloatLibrary, format: Format): void {
  library.defineExact(`${format.name}_mul`, ["i64", "i64", "i32"], (f) => {
    const { bits, code } = library.operands(f, format, 2);
    const [a, b] = bits as [Local, Local];
    const rm = f.params[2] as Local;
    const sign = f.local("i64"), product = wide(f);
    const x = format.unpack(f, a), y = format.unpack(f, b);
    const isZero = i32.or(format.isZero(a), format.isZero(b));
    return [
      ...code,
      set(sign, i64.xor(format.sign(a), format.sign(b))),
      when(i32.or(format.isInfiniteOrNan(a), format.isInfiniteOrNan(b)), [
        library.giveNan(format, a, b),
        when(isZero, library.invalid(format)),
        giveBack(format.boxed(i64.or(format.placedSign(sign), format.infinity))),
      ]),
      when(isZero, [giveBack(format.boxed(format.placedSign(sign)))]),
      ...x.code,
      ...y.code,
      ...multiplyWide(f, product, x.significand, y.significand),
      giveBack(library.exact(
        `${format.name}_round`,
        sign,
        i32.add(i32.add(x.exponent, y.exponent), i32.const(64)),
        i64.or(product.high, asBit(i64.ne(product.low, i64.const(0)))),
        rm,
      )),
    ];
  });
}
