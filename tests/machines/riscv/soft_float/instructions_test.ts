/** The table entries of F and D: their encodings, and their semantics as a consumer of the table compiles them. */
import { assert, assertEquals } from "@std/assert";
import { giveBack } from "../../../../machines/wasm/statement.ts";
import type { Expr, Local } from "../../../../machines/wasm/expression.ts";
import type { Instruction } from "../../../../machines/riscv/instruction.ts";
import { RV64F } from "../../../../machines/riscv/instructions/rv64f.ts";
import { RV64D } from "../../../../machines/riscv/instructions/rv64d.ts";
import { createFloatMachine } from "./machine.ts";
import { OPERATIONS } from "./operations.ts";
import { F32, F64, type FloatFormat, fused, isBoxed, negate } from "./oracle.ts";
import { operandsFor, Random } from "./vectors.ts";

const ENTRIES: readonly Instruction[] = [...RV64F, ...RV64D];

/** Each entry whose semantics are an expression becomes a function of rs1 (x or f), fs2, fs3 and rm. */
const machine = createFloatMachine((module, floats) => {
  for (const { name, semantics } of ENTRIES) {
    if (semantics.shape !== "float") continue;
    const params = ["i64", "i64", "i64", "i32"] as const;
    let locals: readonly Local[] = [];
    module.function(name, { params, results: ["i64"], exported: true }, (f) => {
      locals = f.params;
      return [giveBack(semantics.result)];
    }, {
      operand: (operand): Expr => {
        const found = { rs1: locals[0], fs1: locals[0], fs2: locals[1], fs3: locals[2], rm: locals[3] }[operand];
        if (!found) throw new Error(`unknown operand "${operand}"`);
        return found;
      },
      intrinsic: (intrinsic) => {
        const found = floats.functions.get(intrinsic);
        if (!found) throw new Error(`unknown intrinsic "${intrinsic}"`);
        return found;
      },
    });
  }
});

function run(name: string, operands: readonly bigint[], rm = 0) {
  const [a = 0n, b = 0n, c = 0n] = operands;
  return machine.run(name, [a, b, c], rm);
}

/** The model's name for an instruction: `fcvt.wu.s` is `f32_to_u32`. */
function operationName(instruction: string): string {
  const types: Record<string, string> = { s: "f32", d: "f64", w: "i32", wu: "u32", l: "i64", lu: "u64" };
  const [operation = "", first = "", second = ""] = instruction.split(".");
  if (operation === "fcvt") return `${types[second]}_to_${types[first]}`;
  return `${types[first]}_${operation.slice(1)}`;
}

Deno.test("arithmetic, comparisons and conversions do what their names say", () => {
  const random = new Random(5);
  const plain = ENTRIES.filter(({ name, semantics }) =>
    semantics.shape === "float" && !/madd|msub|sgnj|fmv/.test(name)
  );
  assertEquals(plain.length, 2 * 5 + 2 * 6 + 2 * 8 + 2);
  for (const { name } of plain) {
    const operation = OPERATIONS.find((o) => o.name === operationName(name))!; // a missing one fails right here
    for (let i = 0; i < 300; i++) {
      const operands = operandsFor(random, operation), rm = operation.rounds ? random.below(5) : 0;
      assertEquals(run(name, operands, rm), operation.model(operands, rm), `${name} ${operands} rm ${rm}`);
    }
  }
});

Deno.test("the four fused instructions negate product and addend as their names say", () => {
  const random = new Random(6);
  for (const [format, suffix] of [[F32, "s"], [F64, "d"]] as const) {
    const operation = OPERATIONS.find(({ name }) => name === `${format.name}_fma`)!; // only for its operands
    for (let i = 0; i < 1000; i++) {
      const [a = 0n, b = 0n, c = 0n] = operandsFor(random, operation), rm = random.below(5);
      const expected = {
        fmadd: fused(format, a, b, c, rm),
        fmsub: fused(format, a, b, negate(format, c), rm),
        fnmsub: fused(format, negate(format, a), b, c, rm),
        fnmadd: fused(format, negate(format, a), b, negate(format, c), rm),
      };
      for (const [name, outcome] of Object.entries(expected)) {
        assertEquals(run(`${name}.${suffix}`, [a, b, c], rm), outcome, `${name}.${suffix} ${a} ${b} ${c} rm ${rm}`);
      }
    }
  }
});

Deno.test("sign injection takes magnitude and sign apart, and canonicalises only singles that are not boxed", () => {
  const random = new Random(7);
  for (const [format, suffix] of [[F32, "s"], [F64, "d"]] as const) {
    const operation = OPERATIONS.find(({ name }) => name === `${format.name}_min`)!; // only for its operands
    for (let i = 0; i < 1000; i++) {
      const [a = 0n, b = 0n] = operandsFor(random, operation);
      const sign = 1n << BigInt(format.width - 1);
      const x = number(format, a), y = number(format, b);
      const expected = {
        fsgnj: (x & ~sign) | (y & sign),
        fsgnjn: (x & ~sign) | (~y & sign),
        fsgnjx: x ^ (y & sign),
      };
      for (const [name, register] of Object.entries(expected)) {
        assertEquals(run(`${name}.${suffix}`, [a, b]), { register, flags: 0 }, `${name}.${suffix} ${a} ${b}`);
      }
    }
  }
});

function number(format: FloatFormat, register: bigint): bigint {
  return format === F64 || isBoxed(register) ? register : 0xffff_ffff_7fc0_0000n;
}

Deno.test("moves carry bits, boxed or not, signalling or not", () => {
  const signalling = 0xffff_ffff_7f80_0001n;
  assertEquals(run("fmv.x.w", [signalling]), { register: 0x7f80_0001n, flags: 0 });
  assertEquals(run("fmv.x.w", [0x1234_5678_8000_0001n]), { register: 0xffff_ffff_8000_0001n, flags: 0 });
  assertEquals(run("fmv.w.x", [0x1234_5678_7f80_0001n]), { register: signalling, flags: 0 });
  assertEquals(run("fmv.x.d", [0x7ff0_0000_0000_0001n]), { register: 0x7ff0_0000_0000_0001n, flags: 0 });
  assertEquals(run("fmv.d.x", [0x7ff0_0000_0000_0001n]), { register: 0x7ff0_0000_0000_0001n, flags: 0 });
});

Deno.test("no word belongs to two entries, and each entry to its own", () => {
  for (const a of ENTRIES) {
    assertEquals(a.match & ~a.mask, 0, a.name);
    for (const b of ENTRIES) {
      const both = a.mask & b.mask;
      assert(a === b || ((a.match ^ b.match) & both) !== 0, `${a.name} and ${b.name} overlap`);
    }
  }
});

Deno.test("encodings are those of the specification's listings", () => {
  // One word of each group as GNU as assembles it, with fa0–fa3, a0 and a1 for operands.
  const words: Record<string, number> = {
    "flw": 0x0085_2507, // flw fa0,8(a0)
    "fsd": 0x00a5_3427, // fsd fa0,8(a0)
    "fmadd.s": 0x68c5_f543, // fmadd.s fa0,fa1,fa2,fa3
    "fnmadd.d": 0x6ac5_f54f, // fnmadd.d fa0,fa1,fa2,fa3
    "fadd.d": 0x02c5_f553, // fadd.d fa0,fa1,fa2
    "fsqrt.s": 0x5805_f553, // fsqrt.s fa0,fa1
    "fsgnjx.d": 0x22c5_a553, // fsgnjx.d fa0,fa1,fa2
    "fmax.s": 0x28c5_9553, // fmax.s fa0,fa1,fa2
    "fle.d": 0xa2c5_8553, // fle.d a0,fa1,fa2
    "fclass.d": 0xe205_9553, // fclass.d a0,fa1
    "fcvt.lu.d": 0xc235_9553, // fcvt.lu.d a0,fa1,rtz
    "fcvt.s.d": 0x4015_f553, // fcvt.s.d fa0,fa1
    "fcvt.d.wu": 0xd215_8553, // fcvt.d.wu fa0,a1
    "fmv.x.w": 0xe005_8553, // fmv.x.w a0,fa1
    "fmv.d.x": 0xf205_8553, // fmv.d.x fa0,a1
  };
  for (const [name, word] of Object.entries(words)) {
    const found = ENTRIES.filter(({ mask, match }) => ((word & mask) >>> 0) === match);
    assertEquals(found.map((entry) => entry.name), [name], word.toString(16));
  }
});
