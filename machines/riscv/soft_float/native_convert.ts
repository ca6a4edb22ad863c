/** The fast paths of conversions: WebAssembly's own operators wherever they are right, the exact functions elsewhere. */
import { choose, f32, f64, i32, i64, type Local } from "../../wasm/expression.ts";
import { giveBack, set, when } from "../../wasm/statement.ts";
import { readGlobal } from "../../wasm/module.ts";
import { asRegister, type IntegerType, isAlwaysExact } from "./convert.ts";
import { DOUBLE, type Format, SINGLE } from "./format.ts";
import { isTrusted, needsNoFlag } from "./native.ts";
import { type FloatLibrary, NX, RDN, RMM, RNE, RTZ } from "./library.ts";

/** `f64_to_i32(a, rm)` …: in range, what rounding a double to an integral one gives; then only NX can be raised. */
export function defineNativeToInteger(library: FloatLibrary, format: Format, type: IntegerType): void {
  const name = `${format.name}_to_${type.name}`;
  library.define(name, ["i64", "i32"], (f) => {
    const [a, rm] = f.params as [Local, Local];
    const x = f.local("f64"), whole = f.local("f64");
    const native = format.width === 64 ? format.native(a) : f64.promote_f32(format.native(a));
    const rounded = choose(
      i32.eq(rm, i32.const(RTZ)),
      f64.trunc(x),
      choose(
        i32.eq(rm, i32.const(RNE)),
        f64.nearest(x),
        choose(i32.eq(rm, i32.const(RDN)), f64.floor(x), f64.ceil(x)),
      ),
    );
    const convert = type.width === 64 && !type.signed ? i64.trunc_sat_f64_u : i64.trunc_sat_f64_s;
    const isInRange = i32.and(
      f64.ge(whole, f64.const(type.signed ? -(2 ** (type.width - 1)) : 0)),
      f64.lt(whole, f64.const(2 ** (type.signed ? type.width - 1 : type.width))),
    );
    return [
      set(x, native),
      set(whole, rounded),
      when(i32.and(i32.and(isInRange, format.areBoxed([a])), i32.ne(rm, i32.const(RMM))), [
        when(f64.ne(whole, x), [library.raise(NX)]),
        giveBack(asRegister(type, convert(whole))),
      ]),
      giveBack(library.exact(name, a, rm)),
    ];
  });
}

/** `i32_to_f64(x, rm)` …: integers of few enough digits are exact in every mode, all are right rounded to nearest. */
export function defineNativeFromInteger(library: FloatLibrary, type: IntegerType, format: Format): void {
  const name = `${type.name}_to_${format.name}`;
  const { convert_i32_s, convert_i32_u, convert_i64_s, convert_i64_u } = format.width === 64 ? f64 : f32;
  library.define(name, ["i64", "i32"], (f) => {
    const [x, rm] = f.params as [Local, Local];
    const native = type.width === 32
      ? (type.signed ? convert_i32_s : convert_i32_u)(i32.wrap_i64(x))
      : (type.signed ? convert_i64_s : convert_i64_u)(x);
    const converted = giveBack(format.boxed(format.nativeBits(native)));
    if (isAlwaysExact(type, format)) return [converted];
    const value = type.width === 64 ? x : type.signed ? i64.extend32_s(x) : i64.and(x, i64.const(0xffff_ffff));
    const limit = 2 ** format.fractionBits;
    const isSmall = type.signed
      ? i64.lt_u(i64.add(value, i64.const(limit)), i64.const(2 * limit))
      : i64.lt_u(value, i64.const(limit));
    // NX is set (1) and the mode is to nearest (0).
    const isSettled = i32.gt_u(i32.and(readGlobal(library.flags), i32.const(NX)), rm);
    return [
      when(i32.or(isSmall, isSettled), [converted]),
      giveBack(library.exact(name, x, rm)),
    ];
  });
}

/** `f64_to_f32(a, rm)`. */
export function defineNativeNarrow(library: FloatLibrary): void {
  library.define("f64_to_f32", ["i64", "i32"], (f) => {
    const [a, rm] = f.params as [Local, Local];
    const bits = f.local("i64");
    const isExact = f64.eq(f64.promote_f32(SINGLE.native(bits)), DOUBLE.native(a));
    const isRight = i32.and(isTrusted(SINGLE, false, bits), needsNoFlag(library.flags, isExact));
    return [
      set(bits, SINGLE.nativeBits(f32.demote_f64(DOUBLE.native(a)))),
      when(i32.and(i32.eq(rm, i32.const(RNE)), isRight), [giveBack(SINGLE.boxed(bits))]),
      giveBack(library.exact("f64_to_f32", a, rm)),
    ];
  });
}
