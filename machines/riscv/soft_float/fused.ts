/** Fused multiply-add: one rounding of the exact a × b + c, in 128-bit integers. */
import { type Expr, i32, i64, type Local, select } from "../../wasm/expression.ts";
import { giveBack, set, when } from "../../wasm/statement.ts";
import type { Format } from "./format.ts";
import { any, type FloatLibrary, signOfCancelled } from "./library.ts";
import {
  addWide,
  isWideLess,
  isWideZero,
  multiplyWide,
  normalizeWide,
  shiftWideRightSticky,
  subtractWide,
  wide,
} from "./wide.ts";

/** `f64_fma(a, b, c, rm)` = a × b + c. */
export function defineFused(library: FloatLibrary, format: Format): void {
  library.defineExact(`${format.name}_fma`, ["i64", "i64", "i64", "i32"], (f) => {
    const { bits, code } = library.operands(f, format, 3);
    const [a, b, c] = bits as [Local, Local, Local];
    const rm = f.params[3] as Local;
    const sign = f.local("i64"), isSum = f.local("i32"), distance = f.local("i32");
    const product = wide(f), addend = wide(f), swap = wide(f);
    const x = format.unpack(f, a), y = format.unpack(f, b), z = format.unpack(f, c);
    const isProductZero = i32.or(format.isZero(a), format.isZero(b));
    const isProductInfinite = i32.or(format.isInfinite(a), format.isInfinite(b));
    const zero = (sign: Expr) => giveBack(format.boxed(format.placedSign(sign)));
    const exponent = x.exponent;

    const special = [
      // Infinity times zero is invalid even if the addend is a quiet NaN (chapter "F").
      when(i32.and(isProductInfinite, isProductZero), library.invalid(format)),
      library.giveNan(format, a, b, c),
      when(i32.eqz(isProductInfinite), [giveBack(format.boxed(c))]),
      when(i32.and(format.isInfinite(c), i32.eqz(isSum)), library.invalid(format)),
      giveBack(format.boxed(i64.or(format.placedSign(sign), format.infinity))),
    ];
    return [
      ...code,
      set(sign, i64.xor(format.sign(a), format.sign(b))),
      set(isSum, i64.eq(sign, format.sign(c))),
      when(any([a, b, c].map((x) => format.isInfiniteOrNan(x))), special),
      when(isProductZero, [
        when(i32.eqz(format.isZero(c)), [giveBack(format.boxed(c))]),
        zero(select(isSum, sign, signOfCancelled(rm))),
      ]),
      ...x.code,
      ...y.code,
      // Below 2^126, as the addend: room for a carry and none lost in the sticky bit that cancellation could bring up.
      ...multiplyWide(f, product, x.significand, i64.shr_u(y.significand, i64.const(2))),
      set(exponent, i32.add(i32.add(exponent, y.exponent), i32.const(2))),
      when(i32.eqz(format.isZero(c)), [
        ...z.code,
        set(addend.high, i64.shr_u(z.significand, i64.const(2))),
        set(addend.low, i64.const(0)),
        set(distance, i32.sub(exponent, i32.sub(z.exponent, i32.const(62)))),
        when(i32.ge_s(distance, i32.const(0)), [
          ...shiftWideRightSticky(f, addend, distance),
        ], [
          ...shiftWideRightSticky(f, product, i32.sub(i32.const(0), distance)),
          set(exponent, i32.sub(exponent, distance)),
        ]),
        when(isSum, addWide(product, addend), [
          when(isWideLess(product, addend), [
            set(swap.high, product.high),
            set(swap.low, product.low),
            set(product.high, addend.high),
            set(product.low, addend.low),
            set(addend.high, swap.high),
            set(addend.low, swap.low),
            set(sign, i64.xor(sign, i64.const(1))),
          ]),
          ...subtractWide(product, addend),
          when(isWideZero(product), [zero(signOfCancelled(rm))]),
        ]),
      ]),
      ...normalizeWide(f, product, exponent),
      giveBack(library.exact(`${format.name}_round`, sign, exponent, product.high, rm)),
    ];
  });
}
