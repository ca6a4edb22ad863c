/**
 * The two binary interchange formats of IEEE 754 that F and D use, and the expressions that take their encodings
 * apart. `raw` is a whole f register; `bits` is the number inside it, zero-extended.
 */
import { type Expr, f32, f64, i32, i64, type Local, select } from "../../wasm/expression.ts";
import { set, type Statement, type Statements, when } from "../../wasm/statement.ts";
import type { FunctionBuilder } from "../../wasm/module.ts";

const BOX = i64.const(-0x1_0000_0000);

export class Format {
  readonly bias: number;
  /** The biased exponent of infinities and NaNs. */
  readonly maximumExponent: number;
  readonly #magnitudeMask: bigint;
  /** The encoding of +∞. */
  readonly infinityBits: bigint;
  /** The encoding of the smallest positive normal number. */
  readonly smallestNormal: bigint;
  readonly #quietBit: bigint;

  constructor(readonly name: "f32" | "f64", readonly width: 32 | 64, readonly fractionBits: number) {
    this.maximumExponent = 2 ** (width - 1 - fractionBits) - 1;
    this.bias = (this.maximumExponent - 1) / 2;
    this.#magnitudeMask = (1n << BigInt(width - 1)) - 1n;
    this.infinityBits = BigInt(this.maximumExponent) << BigInt(fractionBits);
    this.smallestNormal = 1n << BigInt(fractionBits);
    this.#quietBit = 1n << BigInt(fractionBits - 1);
  }

  get infinity(): Expr {
    return i64.const(this.infinityBits);
  }
  get largest(): Expr {
    return i64.const(this.infinityBits - 1n);
  }
  get signMask(): Expr {
    return i64.const(BigInt.asIntN(64, 1n << BigInt(this.width - 1)));
  }
  /** The register that holds the only NaN that operations give ("NaN Generation and Propagation"). */
  get canonicalNan(): Expr {
    return this.boxed(this.#canonicalBits);
  }
  get #canonicalBits(): Expr {
    return i64.const(this.infinityBits | this.#quietBit);
  }

  /** The number in a register. A single whose upper half is not all ones counts as the canonical NaN. */
  unboxed(raw: Expr): Expr {
    if (this.width === 64) return raw;
    return select(i64.lt_u(raw, BOX), this.#canonicalBits, i64.and(raw, i64.const(0xffff_ffff)));
  }
  boxed(bits: Expr): Expr {
    return this.width === 64 ? bits : i64.or(bits, BOX);
  }

  /** 0 or 1. */
  sign(bits: Expr): Expr {
    return i64.shr_u(bits, i64.const(this.width - 1));
  }
  /** Sign (0 or 1) moved into its place. */
  placedSign(sign: Expr): Expr {
    return i64.shl(sign, i64.const(this.width - 1));
  }
  magnitude(bits: Expr): Expr {
    return i64.and(bits, i64.const(this.#magnitudeMask));
  }
  /** The biased exponent, an i32. */
  exponent(bits: Expr): Expr {
    const shifted = i32.wrap_i64(i64.shr_u(bits, i64.const(this.fractionBits)));
    return i32.and(shifted, i32.const(this.maximumExponent));
  }
  fraction(bits: Expr): Expr {
    return i64.and(bits, i64.const((1n << BigInt(this.fractionBits)) - 1n));
  }
  /** The integer significand, with the leading one of normal numbers. */
  significand(bits: Expr): Expr {
    const one = i64.const(1n << BigInt(this.fractionBits));
    return i64.or(this.fraction(bits), select(i32.eqz(this.exponent(bits)), i64.const(0), one));
  }

  isZero(bits: Expr): Expr {
    return i64.eqz(this.magnitude(bits));
  }
  isSubnormal(bits: Expr): Expr {
    return i32.and(i32.eqz(this.exponent(bits)), i64.ne(this.fraction(bits), i64.const(0)));
  }
  isInfinite(bits: Expr): Expr {
    return i64.eq(this.magnitude(bits), this.infinity);
  }
  isNan(bits: Expr): Expr {
    return i64.gt_u(this.magnitude(bits), this.infinity);
  }
  /** With the quiet bit inverted, signalling NaNs and no others are above the canonical one. */
  isSignalling(bits: Expr): Expr {
    return i64.gt_u(this.magnitude(i64.xor(bits, i64.const(this.#quietBit))), this.#canonicalBits);
  }
  isInfiniteOrNan(bits: Expr): Expr {
    return i64.ge_u(this.magnitude(bits), this.infinity);
  }

  /** The WebAssembly number with this encoding; the upper half of a single's register is not looked at. */
  native(bits: Expr): Expr {
    return this.width === 64 ? f64.reinterpret_i64(bits) : f32.reinterpret_i32(i32.wrap_i64(bits));
  }
  /** The encoding of a WebAssembly number. A NaN must not get into a register: its payload is the host's choice. */
  nativeBits(native: Expr): Expr {
    return this.width === 64 ? i64.reinterpret_f64(native) : i64.extend_i32_u(i32.reinterpret_f32(native));
  }
  /** Whether registers hold numbers of this format. */
  areBoxed(registers: readonly Expr[]): Expr {
    if (this.width === 64) return i32.const(1);
    return i64.ge_u(registers.reduce((a, b) => i64.and(a, b)), BOX);
  }

  /**
   * Splits a finite number that is not zero: its magnitude is significand × 2^exponent, with the leading one of the
   * significand at bit 63.
   */
  unpack(f: FunctionBuilder, bits: Expr): { significand: Local; exponent: Local; code: Statements } {
    const significand = f.local("i64"), exponent = f.local("i32"), zeros = f.local("i64");
    const code: Statement[] = [
      set(significand, this.significand(bits)),
      set(exponent, this.exponent(bits)),
      // Subnormal numbers have the exponent of the smallest normal ones.
      when(i32.eqz(exponent), [set(exponent, i32.const(1))]),
      set(zeros, i64.clz(significand)),
      set(significand, i64.shl(significand, zeros)),
      set(
        exponent,
        i32.sub(i32.sub(exponent, i32.const(this.bias + this.fractionBits)), i32.wrap_i64(zeros)),
      ),
    ];
    return { significand, exponent, code };
  }
}

export const SINGLE: Format = new Format("f32", 32, 23);
export const DOUBLE: Format = new Format("f64", 64, 52);
