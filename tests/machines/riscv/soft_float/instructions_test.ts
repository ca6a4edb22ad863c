/** The table entries of F and D: their encodings, and their semantics as a consumer of the table compiles them. */
import { assert, assertEquals } from "@std/assert";
import { createInstructionMachine, ENTRIES } from "./instructions.ts";
import { operationOf } from "./operations.ts";
import { F32, F64, type FloatFormat, fused, isBoxed, negate } from "./oracle.ts";
import { operandsFor, Random } from "./vectors.ts";

const machine = createInstructionMachine();

function run(name: string, operands: readonly bigint[], rm = 0) {
  const [a = 0n, b = 0n, c = 0n] = operands;
  return machine.run(name, [a, b, c], rm);
}

Deno.test("arithmetic, comparisons and conversions do what their names say", () => {
  const random = new Random(5);
  const plain = ENTRIES.filter(({ name, semantics }) =>
    semantics.shape === "float" && !/madd|msub|sgnj|fmv/.test(name)
  );
  assertEquals(plain.length, 2 * 5 + 2 * 6 + 2 * 8 + 2);
  for (const { name } of plain) {
    const operation = operationOf(name);
    for (let i = 0; i < 300; i++) {
      const operands = operandsFor(random, operation), rm = operation.rounds ? random.below(5) : 0;
      assertEquals(run(name, operands, rm), operation.model(operands, rm), `${name} ${operands} rm ${rm}`);
    }
  }
});

Deno.test("the four fused instructions negate product and addend as their names say", () => {
  const random = new Random(6);
  for (const [format, suffix] of [[F32, "s"], [F64, "d"]] as const) {
    const operation = operationOf(`fmadd.${suffix}`);
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
    const operation = operationOf(`fsgnj.${suffix}`);
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
