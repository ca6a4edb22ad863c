/** Addition and subtraction with all rounding modes, in integers. */
import { type Expr, i32, i64, type Local, select } from "../../wasm/expression.ts";
import { giveBack, set, when } from "../../wasm/statement.ts";
import type { Format } from "./format.ts";
import { type FloatLibrary, signOfCancelled } from "./library.ts";
import { shiftRightSticky } from "./round.ts";

/** `f64_add(a, b, rm)` and `f64_sub(a, b, rm)`. */
export function defineAdd(library: FloatLibrary, format: Format): void {
  const name = `${format.name}_add`;
  library.defineExact(name, ["i64", "i64", "i32"], (f) => {
    const { bits, code } = library.operands(f, format, 2);
    const [a, b] = bits as [Local, Local];
    const rm = f.params[2] as Local;
    const swap = f.local("i64"), sum = f.local("i64"), small = f.local("i64");
    const exponent = f.local("i32"), smallExponent = f.local("i32");
    // Leading ones at bit 62: room for a carry above and for a sticky bit far below.
    const aligned = (x: Expr) => i64.shl(format.significand(x), i64.const(62 - format.fractionBits));
    const isSum = i64.eq(format.sign(a), format.sign(b));
    return [
      ...code,
      when(i32.or(format.isInfiniteOrNan(a), format.isInfiniteOrNan(b)), [
        library.giveNan(format, a, b),
        when(i32.eqz(format.isInfinite(a)), [giveBack(format.boxed(b))]),
        when(i32.and(format.isInfinite(b), i32.eqz(isSum)), library.invalid(format)),
        giveBack(format.boxed(a)),
      ]),
      when(i64.lt_u(format.magnitude(a), format.magnitude(b)), [set(swap, a), set(a, b), set(b, swap)]),
      set(exponent, atLeastOne(format.exponent(a))),
      set(smallExponent, atLeastOne(format.exponent(b))),
      set(small, aligned(b)),
      ...shiftRightSticky(f, small, i64.extend_i32_u(i32.sub(exponent, smallExponent))),
      set(sum, aligned(a)),
      set(sum, select(isSum, i64.add(sum, small), i64.sub(sum, small))),
      when(i64.eqz(sum), [
        giveBack(format.boxed(format.placedSign(select(isSum, format.sign(a), signOfCancelled(rm))))),
      ]),
      giveBack(
        library.exact(`${format.name}_round`, format.sign(a), i32.sub(exponent, i32.const(format.bias + 62)), sum, rm),
      ),
    ];
  });
  library.defineExact(`${format.name}_sub`, ["i64", "i64", "i32"], (f) => {
    const [a, b, rm] = f.params as [Local, Local, Local];
    // A single that is not boxed stays so, and the sign of a NaN is never seen.
    return [giveBack(library.exact(name, a, i64.xor(b, format.signMask), rm))];
  });
}

/** Subnormal numbers have the exponent of the smallest normal ones. */
function atLeastOne(exponent: Expr): Expr {
  return select(i32.eqz(exponent), i32.const(1), exponent);
}
