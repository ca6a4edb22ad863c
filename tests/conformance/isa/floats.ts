/** RV64F and RV64D beyond arithmetic's values: boxing, rounding modes, flags, states, memory (chapters "F" and "D"). */
import type { Assembler, InstructionName } from "../../../machines/riscv/assemble.ts";
import { INSTRUCTIONS } from "../../../machines/riscv/table.ts";
import { encode } from "../../../machines/riscv/encode.ts";
import { COMPLETED, S, SCRATCH, Suite, type Trap, U } from "./suite.ts";
import { f, x } from "../../../machines/riscv/registers.ts";

const BOX = 0xffff_ffff_0000_0000n;
const NV = 16n, DZ = 8n, OF = 4n, UF = 2n, NX = 1n;
const QNAN32 = 0x7fc0_0000n, QNAN64 = 0x7ff8_0000_0000_0000n;
const MAX64 = 0x7fef_ffff_ffff_ffffn, INF64 = 0x7ff0_0000_0000_0000n, SIGN64 = 1n << 63n;
const MAX32 = 0x7f7f_ffffn, INF32 = 0x7f80_0000n, SIGN32 = 1n << 31n;
const ILLEGAL = 2;

const scratch = new DataView(new ArrayBuffer(8));
function d(value: number): bigint {
  scratch.setFloat64(0, value);
  return scratch.getBigUint64(0);
}
function single(value: number): bigint {
  scratch.setFloat32(0, value);
  return BigInt(scratch.getUint32(0));
}

function emit(asm: Assembler, name: string, ...operands: (number | string)[]): void {
  asm.instruction(name as InstructionName, ...operands as never);
}

export const floats = () =>
  new Suite("floating point", (s) => {
    const { asm } = s;
    s.setCsr("mstatus", 0xa_0000_0000n | 3n << 13n);
    const load = (register: number, bits: bigint) => {
      asm.li(x.t5, bits);
      asm.fmv_d_x(register, x.t5);
    };
    const result = (what: string, bits: bigint, flags: bigint) => {
      asm.fmv_x_d(x.t5, f.fa0);
      s.expect(what, x.t5, bits);
      s.expectCsr("fflags", flags, `${what}: flags`);
    };
    const operate = (
      what: string,
      name: string,
      operands: bigint[],
      bits: bigint,
      flags: bigint,
      rounding?: string,
    ) => {
      s.setCsr("fflags", 0n);
      const registers = [f.fa1, f.fa2, f.fa3].slice(0, operands.length);
      operands.forEach((operand, i) => load(registers[i] ?? 0, operand));
      emit(asm, name, f.fa0, ...registers, ...(rounding === undefined ? [] : [rounding]));
      result(`${name} ${what}`, bits, flags);
    };
    const toInteger = (
      what: string,
      name: string,
      operands: bigint[],
      value: bigint,
      flags: bigint,
      rounding?: string,
    ) => {
      s.setCsr("fflags", 0n);
      operands.forEach((operand, i) => load([f.fa1, f.fa2][i] ?? 0, operand));
      emit(asm, name, x.a0, ...[f.fa1, f.fa2].slice(0, operands.length), ...(rounding === undefined ? [] : [rounding]));
      s.expect(`${name} ${what}`, x.a0, value);
      s.expectCsr("fflags", flags, `${name} ${what}: flags`);
    };
    const boxed = (value: number) => BOX | single(value);

    // fcsr and its parts.
    s.writes("fcsr", (1n << 64n) - 1n, 0xffn, "eight bits");
    s.expectCsr("frm", 7n);
    s.expectCsr("fflags", 31n);
    s.writes("frm", 0xan, 2n, "three bits");
    s.expectCsr("fcsr", 0x5fn);
    s.writes("fflags", 0xffn, 31n, "five bits");
    s.writes("fflags", 0x40n, 0n, "five bits");
    s.expectCsr("fcsr", 0x40n);
    s.setCsr("fcsr", 0n);

    // Rounding, statically and dynamically: 1 + 2^-53 lies halfway to the next double, 1 + 2^-52 + 2^-53 halfway, too.
    const half = d(2 ** -53), ulp = d(1 + 2 ** -52), next = d(1 + 2 ** -51);
    const modes = ["rne", "rtz", "rdn", "rup", "rmm"] as const;
    const sums = { rne: [d(1), next], rtz: [d(1), ulp], rdn: [d(1), ulp], rup: [ulp, next], rmm: [ulp, next] };
    const negative = { rne: [d(1), next], rtz: [d(1), ulp], rdn: [ulp, next], rup: [d(1), ulp], rmm: [ulp, next] };
    const minusHalf = half | SIGN64;
    for (const [i, mode] of modes.entries()) {
      for (const rounding of [mode, "dyn"]) {
        s.setCsr("frm", rounding === "dyn" ? BigInt(i) : BigInt((i + 2) % 5));
        const [even = 0n, odd = 0n] = sums[mode], [minusEven = 0n, minusOdd = 0n] = negative[mode];
        const how = `${rounding} (${mode})`;
        operate(`1 + half, ${how}`, "fadd.d", [d(1), half], even, NX, rounding);
        operate(`1 + ulp + half, ${how}`, "fadd.d", [ulp, half], odd, NX, rounding);
        operate(`-1 - half, ${how}`, "fadd.d", [d(-1), minusHalf], minusEven | SIGN64, NX, rounding);
        operate(`-1 - ulp - half, ${how}`, "fsub.d", [ulp | SIGN64, half], minusOdd | SIGN64, NX, rounding);
        operate(`exact, ${how}`, "fmul.d", [d(3), d(0.5)], d(1.5), 0n, rounding);
        operate(`x - x, ${how}`, "fsub.d", [d(3), d(3)], mode === "rdn" ? SIGN64 : 0n, 0n, rounding);
        const up = mode === "rne" || mode === "rup" || mode === "rmm", down = mode !== "rtz" && mode !== "rup";
        operate(`overflow, ${how}`, "fmul.d", [MAX64, d(2)], up ? INF64 : MAX64, OF | NX, rounding);
        operate(
          `negative overflow, ${how}`,
          "fmul.d",
          [MAX64, d(-2)],
          SIGN64 | (down ? INF64 : MAX64),
          OF | NX,
          rounding,
        );
        operate(`overflow of a single, ${how}`, "fcvt.s.d", [MAX64], BOX | (up ? INF32 : MAX32), OF | NX, rounding);
        operate(`underflow, ${how}`, "fmul.d", [1n, d(0.25)], mode === "rup" ? 1n : 0n, UF | NX, rounding);
        const integers = { rne: [2n, -2n], rtz: [2n, -2n], rdn: [2n, -3n], rup: [3n, -2n], rmm: [3n, -3n] }[mode];
        toInteger(`2.5, ${how}`, "fcvt.l.d", [d(2.5)], integers[0] ?? 0n, NX, rounding);
        toInteger(`-2.5, ${how}`, "fcvt.w.d", [d(-2.5)], integers[1] ?? 0n, NX, rounding);
        toInteger(
          `-0.25 unsigned, ${how}`,
          "fcvt.lu.d",
          [d(-0.25)],
          0n,
          mode === "rdn" ? NV : NX,
          rounding,
        );
      }
    }
    s.setCsr("frm", 0n);

    // Invalid operations and divisions by zero.
    const S_NAN = INF64 + 1n, PAYLOAD = QNAN64 + 0x123n;
    operate("infinities", "fsub.d", [INF64, INF64], QNAN64, NV);
    operate("0 × infinity", "fmul.d", [0n, INF64], QNAN64, NV);
    operate("0 / 0", "fdiv.d", [0n, SIGN64], QNAN64, NV);
    operate("1 / -0", "fdiv.d", [d(1), SIGN64], INF64 | SIGN64, DZ);
    operate("infinity / 0", "fdiv.d", [INF64, 0n], INF64, 0n);
    operate("of -1", "fsqrt.d", [d(-1)], QNAN64, NV);
    operate("of -0", "fsqrt.d", [SIGN64], SIGN64, 0n);
    operate("of a NaN with a payload", "fadd.d", [PAYLOAD, d(1)], QNAN64, 0n);
    operate("of a signaling NaN", "fadd.d", [S_NAN, d(1)], QNAN64, NV);
    operate("0 × infinity + NaN", "fmadd.d", [0n, INF64, QNAN64], QNAN64, NV);
    operate("1 × 2 + 3", "fmadd.d", [d(1), d(2), d(3)], d(5), 0n);
    operate("1 × 2 - 3", "fmsub.d", [d(1), d(2), d(3)], d(-1), 0n);
    operate("-(1 × 2) + 3", "fnmsub.d", [d(1), d(2), d(3)], d(1), 0n);
    operate("-(1 × 2) - 3", "fnmadd.d", [d(1), d(2), d(3)], d(-5), 0n);
    operate("rounds once", "fmsub.d", [ulp, ulp, next], d(2 ** -104), 0n);
    operate("NaN into a single", "fcvt.s.d", [PAYLOAD | SIGN64], BOX | QNAN32, 0n);
    operate("signaling NaN into a double", "fcvt.d.s", [BOX | INF32 | 1n], QNAN64, NV);

    // Minimum, maximum, signs, comparisons, classes.
    operate("0 and -0", "fmin.d", [0n, SIGN64], SIGN64, 0n);
    operate("-0 and 0", "fmax.d", [SIGN64, 0n], 0n, 0n);
    operate("NaN and 1", "fmin.d", [QNAN64, d(1)], d(1), 0n);
    operate("1 and a signaling NaN", "fmax.d", [d(1), S_NAN], d(1), NV);
    operate("two NaNs", "fmin.d", [PAYLOAD, PAYLOAD], QNAN64, 0n);
    operate("NaN and 1", "fmin.s", [BOX | QNAN32, boxed(1)], boxed(1), 0n);
    operate("keeps a NaN's payload", "fsgnjn.d", [S_NAN, S_NAN], S_NAN | SIGN64, 0n);
    operate("of -1 and -2", "fsgnjx.d", [d(-1), d(-2)], d(1), 0n);
    operate("of singles", "fsgnjn.s", [boxed(1), boxed(1)], boxed(-1), 0n);
    for (
      const [a, b, what, eq, lt, le, flags] of [
        [d(1), d(2), "1 and 2", 0n, 1n, 1n, 0n],
        [d(2), d(1), "2 and 1", 0n, 0n, 0n, 0n],
        [0n, SIGN64, "0 and -0", 1n, 0n, 1n, 0n],
        [INF64 | SIGN64, INF64, "infinities", 0n, 1n, 1n, 0n],
        [QNAN64, d(1), "a NaN", 0n, 0n, 0n, NV],
      ] as const
    ) {
      toInteger(what, "feq.d", [a, b], eq, 0n);
      toInteger(what, "flt.d", [a, b], lt, flags);
      toInteger(what, "fle.d", [a, b], le, flags);
    }
    toInteger("a signaling NaN", "feq.d", [S_NAN, d(1)], 0n, NV);
    const classes = [INF64 | SIGN64, d(-1), SIGN64 | 1n, SIGN64, 0n, 1n, d(1), INF64, S_NAN, QNAN64];
    for (const [i, value] of classes.entries()) toInteger(`class ${i}`, "fclass.d", [value], 1n << BigInt(i), 0n);
    const singles = [INF32 | SIGN32, single(-1), SIGN32 | 1n, SIGN32, 0n, 1n, single(1), INF32, INF32 + 1n, QNAN32];
    for (const [i, value] of singles.entries()) toInteger(`class ${i}`, "fclass.s", [BOX | value], 1n << BigInt(i), 0n);

    // Conversions at their ends.
    const MAX_W = 0x7fff_ffffn, MIN_W = -0x8000_0000n, MAX_L = (1n << 63n) - 1n, MIN_L = -(1n << 63n);
    for (
      const [name, least, greatest] of [
        ["fcvt.w.d", MIN_W, MAX_W],
        ["fcvt.wu.d", 0n, -1n],
        ["fcvt.l.d", MIN_L, MAX_L],
        ["fcvt.lu.d", 0n, -1n],
      ] as const
    ) {
      for (const rounding of ["rtz", "rne"]) {
        toInteger("infinity", name, [INF64], greatest, NV, rounding);
        toInteger("-infinity", name, [INF64 | SIGN64], least, NV, rounding);
        toInteger("NaN", name, [QNAN64 | SIGN64], greatest, NV, rounding);
        toInteger("1e300", name, [d(1e300)], greatest, NV, rounding);
        toInteger("-1e300", name, [d(-1e300)], least, NV, rounding);
        toInteger("-0", name, [SIGN64], 0n, 0n, rounding);
      }
    }
    toInteger("2^31 - 0.5", "fcvt.w.d", [d(2147483647.5)], MAX_W, NX, "rtz");
    toInteger("2^31 - 0.5", "fcvt.w.d", [d(2147483647.5)], MAX_W, NV, "rne");
    toInteger("-2^31 - 0.5", "fcvt.w.d", [d(-2147483648.5)], MIN_W, NX, "rne");
    toInteger("2^32 - 1", "fcvt.wu.d", [d(4294967295)], -1n, 0n, "rtz");
    toInteger("2^31", "fcvt.wu.d", [d(2147483648)], MIN_W, 0n, "rtz");
    toInteger("-0.75", "fcvt.wu.d", [d(-0.75)], 0n, NX, "rtz");
    toInteger("-0.75", "fcvt.wu.d", [d(-0.75)], 0n, NV, "rne");
    for (
      const [name, value, bits, flags] of [
        ["fcvt.d.w", -1n, d(-1), 0n],
        ["fcvt.d.wu", -1n, d(4294967295), 0n],
        ["fcvt.d.l", MAX_L, d(2 ** 63), NX],
        ["fcvt.d.lu", -1n, d(2 ** 64), NX],
        ["fcvt.s.w", 16777217n, boxed(16777216), NX],
        ["fcvt.s.l", MIN_L, boxed(-(2 ** 63)), 0n],
        ["fcvt.s.lu", 0n, boxed(0), 0n],
      ] as const
    ) {
      s.setCsr("fflags", 0n);
      asm.li(x.a1, value);
      emit(asm, name, f.fa0, x.a1);
      result(`${name} of ${value}`, bits, flags);
    }

    // Boxing: a single that is not boxed counts as NaN, but for moves and stores.
    operate("of an unboxed single", "fadd.s", [single(1), boxed(1)], BOX | QNAN32, 0n);
    operate("of an unboxed single", "fsgnj.s", [d(1), boxed(-1)], BOX | QNAN32 | SIGN32, 0n);
    operate("of an unboxed single", "fcvt.d.s", [0x7fff_ffff_3f80_0000n], QNAN64, 0n);
    toInteger("of an unboxed single", "fclass.s", [single(1)], 1n << 9n, 0n);
    toInteger("of an unboxed single", "fmv.x.w", [0x1234_5678_bf80_0000n], BigInt.asIntN(32, 0xbf80_0000n), 0n);
    asm.li(x.a1, -1);
    asm.fmv_w_x(f.fa0, x.a1);
    result("fmv.w.x boxes", (1n << 64n) - 1n, 0n);
    s.poke(SCRATCH, 0xdead_beef_3f80_0001n);
    asm.li(x.a1, SCRATCH);
    asm.flw(f.fa0, 0, x.a1);
    result("flw boxes", BOX | 0x3f80_0001n, 0n);
    asm.fld(f.fa0, 0, x.a1);
    asm.fsw(f.fa0, 8, x.a1);
    asm.fsd(f.fa0, 16, x.a1);
    s.expectMemory("fsw stores the lower half", SCRATCH + 8n, 0x3f80_0001n);
    s.expectMemory("fsd stores all", SCRATCH + 16n, 0xdead_beef_3f80_0001n);
    for (const offset of [1, 2, 3, 5]) {
      s.poke(SCRATCH, 0x8877_6655_4433_2211n);
      s.poke(SCRATCH + 8n, 0x00ff_eedd_ccbb_aa99n);
      asm.li(x.a1, SCRATCH);
      asm.fld(f.fa0, offset, x.a1);
      const shift = BigInt(8 * offset);
      result(`fld at offset ${offset}`, BigInt.asUintN(64, 0x00ff_eedd_ccbb_aa99_8877_6655_4433_2211n >> shift), 0n);
    }

    // Flags accrue.
    s.setCsr("fflags", 0n);
    load(f.fa1, d(1));
    load(f.fa2, d(3));
    asm.fdiv_d(f.fa0, f.fa1, f.fa2);
    load(f.fa2, 0n);
    asm.fdiv_d(f.fa0, f.fa1, f.fa2);
    asm.fadd_d(f.fa0, f.fa1, f.fa1);
    s.expectCsr("fflags", NX | DZ, "flags accrue");

    // Reserved rounding modes: illegal statically; dynamically, where they are used.
    for (const rm of [5, 6]) {
      const word = (0x0200_0053 | rm << 12) >>> 0;
      s.attempt(`static rounding mode ${rm}`, () => asm.word(word), { cause: ILLEGAL, value: BigInt(word) });
    }
    for (const rm of [5n, 6n, 7n]) {
      s.setCsr("mstatus", 0xa_0000_0000n | 3n << 13n);
      s.setCsr("frm", rm);
      s.attempt(`frm ${rm}, dynamic`, () => asm.word(0x0200_7053), { cause: ILLEGAL, value: 0x0200_7053n });
      s.attempt(`frm ${rm}, static`, () => asm.fadd_d(0, 0, 0, "rtz"), COMPLETED);
      s.attempt(`frm ${rm}, not rounding`, () => asm.fsgnj_d(0, 0, 0), COMPLETED);
    }
    s.setCsr("mstatus", 0xa_0000_0000n | 3n << 13n);
    s.setCsr("fcsr", 0n);

    // FS becomes Dirty with what changes state, and only with that.
    const FIXED = 0xa_0000_0000n, INITIAL = 1n << 13n, DIRTY = 3n << 13n | 1n << 63n;
    const NOWHERE = 0x1800_0000n;
    const status = (
      what: string,
      code: (fault: () => void) => void,
      outcome: Trap | typeof COMPLETED,
      isDirty: boolean,
    ) => {
      s.setCsr("mstatus", FIXED | 3n << 13n);
      s.setCsr("fcsr", 0n);
      s.attempt(`FS: ${what}`, code, outcome, { mode: U });
      s.expectStatus(`FS after ${what}`, FIXED | (isDirty ? DIRTY : INITIAL));
    };
    const access = (address: bigint, code: () => void) => (fault: () => void) => {
      asm.li(x.a0, address);
      fault();
      code();
    };
    status("a load", access(SCRATCH, () => asm.fld(f.fa0, 0, x.a0)), COMPLETED, true);
    status("a store", access(SCRATCH, () => asm.fsd(f.fa0, 0, x.a0)), COMPLETED, false);
    status("a misaligned load", access(SCRATCH + 0xffdn, () => asm.flw(f.fa0, 0, x.a0)), COMPLETED, true);
    status("a load that fails", access(NOWHERE, () => asm.fld(f.fa0, 0, x.a0)), { cause: 5, value: NOWHERE }, false);
    status("a store that fails", access(NOWHERE, () => asm.fsw(f.fa0, 0, x.a0)), { cause: 7, value: NOWHERE }, false);
    status("a sum", () => asm.fadd_d(f.fa0, f.fa1, f.fa1), COMPLETED, true);
    status("a reserved rounding mode", () => asm.word(0x0200_5053), { cause: ILLEGAL, value: 0x0200_5053n }, false);
    status("a move from", () => asm.fmv_x_d(x.a0, f.fa0), COMPLETED, false);
    status("a move to", () => asm.fmv_d_x(f.fa0, 0), COMPLETED, true);
    status("a comparison", () => asm.feq_d(x.a0, f.fs0, f.fs0), COMPLETED, false);
    status("a class", () => asm.fclass_d(x.a0, f.fs0), COMPLETED, false);
    status("an exact conversion to integer", () => asm.fcvt_l_d(x.a0, f.fs0), COMPLETED, false);
    status("a read of fcsr", () => asm.csrr(x.a0, "fcsr"), COMPLETED, false);
    status("a write of fcsr", () => asm.csrw("fcsr", 0), COMPLETED, true);
    status("a set of no bits", () => asm.csrrsi(x.a0, "fflags", 0), COMPLETED, false);

    // With FS off every instruction is illegal, in every mode.
    for (const instruction of INSTRUCTIONS) {
      const { semantics: shape, name } = instruction;
      if (shape.shape !== "float" && !("file" in shape && shape.file === "f")) continue;
      const word = encode(instruction, { rd: 1, rs1: 2, rs2: 3 });
      for (const mode of [S, U] as const) {
        s.attempt(`${name} with FS off`, () => asm.word(word), { cause: ILLEGAL, value: BigInt(word) }, {
          mode,
          status: 0n,
        });
      }
    }
    for (const half of [0x2108, 0xa108, 0x2502, 0xa12a]) {
      s.attempt(`compressed 0x${half.toString(16)} with FS off`, () => asm.half(half, 1), {
        cause: ILLEGAL,
        value: BigInt(half),
      }, {
        status: 0n,
      });
    }
  });
