import { assert, assertEquals } from "@std/assert";
import { defineCarryless } from "../../../machines/riscv/carryless.ts";
import { RVC } from "../../../machines/riscv/compressed.ts";
import { extract, immediate, insert, range } from "../../../machines/riscv/immediate.ts";
import type { Instruction } from "../../../machines/riscv/instruction.ts";
import { defineMultiply } from "../../../machines/riscv/multiply.ts";
import { layoutOf } from "../../../machines/riscv/operands.ts";
import { INSTRUCTIONS } from "../../../machines/riscv/table.ts";
import type { Expr } from "../../../machines/wasm/expression.ts";
import { ModuleBuilder } from "../../../machines/wasm/module.ts";
import { giveBack } from "../../../machines/wasm/statement.ts";
import { evaluate } from "./evaluate.ts";
import { ATOMIC_MODEL, INTEGER_MODEL, type Operands } from "./integer_model.ts";
import { randomNumbers } from "./random_words.ts";

Deno.test("two instructions claim the same word only if the first is a special case, and no name comes twice", () => {
  INSTRUCTIONS.forEach((a, i) => {
    assertEquals((a.match & ~a.mask) >>> 0, 0, `${a.name} matches bits that its mask leaves out`);
    for (const b of INSTRUCTIONS.slice(i + 1)) {
      const isSpecial = (a.mask & b.mask) >>> 0 === b.mask && a.mask !== b.mask;
      assert((a.match ^ b.match) & a.mask & b.mask || isSpecial, `${a.name} and ${b.name} overlap`);
      assert(a.name !== b.name, `${a.name} is in the table twice`);
    }
  });
});

Deno.test("a compressed row that overlaps another is a special case of it and comes first", () => {
  RVC.forEach((a, i) => {
    for (const b of RVC.slice(i + 1)) {
      if ((a.match ^ b.match) & a.mask & b.mask) continue;
      assert((a.mask & b.mask) === b.mask && a.mask !== b.mask, `${b.name} is hidden by ${a.name}`);
    }
    assert(INSTRUCTIONS.some(({ name }) => name === a.base), `${a.name} stands for ${a.base}, which does not exist`);
  });
});

Deno.test("an operand's field is never a fixed one", () => {
  for (const { name, format, mask } of INSTRUCTIONS) {
    const { immediate } = layoutOf(format);
    if (immediate) assertEquals(mask & insert(immediate, -1), 0, name);
  }
});

Deno.test("an immediate that is put into a word is found there again", () => {
  const immediates = [
    ...INSTRUCTIONS.flatMap(({ format }) => layoutOf(format).immediate ?? []),
    ...RVC.flatMap(({ imm }) => imm ?? []),
    immediate(true, ["31:25", "12|10:5"], ["11:7", "4:1|11"]),
  ];
  for (const each of new Set(immediates)) {
    const [least, greatest] = range(each);
    const step = Math.max(each.unit, Math.floor((greatest - least) / 500 / each.unit) * each.unit);
    for (let value = least; value <= greatest; value += step) assertEquals(extract(each, insert(each, value)), value);
    assertEquals(extract(each, insert(each, greatest)), greatest);
  }
});

const CORNERS = [0n, 1n, -1n, 2n, 63n, 64n, 0x7fn << 56n, 2n ** 31n, -(2n ** 31n), 2n ** 31n - 1n, 2n ** 32n - 1n]
  .concat([2n ** 32n, 2n ** 63n - 1n, -(2n ** 63n), -(2n ** 63n) + 1n, 0x1_8000_0000n, 0xffff_ffff_0000_0000n]);

/** All pairs of corners, then random values of all magnitudes. */
function samples({ format }: Instruction): Operands[] {
  const next = randomNumbers(17);
  const random = () => BigInt.asIntN(64, (BigInt(next()) << 32n) | BigInt(next())) >> BigInt(next() & 63);
  const { immediate } = layoutOf(format);
  const [least, greatest] = immediate ? range(immediate) : [0, 0];
  const imm = (value: number) => BigInt(immediate ? extract(immediate, insert(immediate, value)) : 0);
  const pairs = CORNERS.flatMap((rs1) => CORNERS.map((rs2) => [rs1, rs2] as const));
  for (let i = 0; i < 300; i++) pairs.push([random(), random()]);
  return pairs.flatMap(([a, b]) => {
    const fixed = { rs1: BigInt.asIntN(64, a), rs2: BigInt.asIntN(64, b), pc: BigInt.asIntN(64, b) & -2n };
    return [least, greatest, next() | 0].map((value) => ({ ...fixed, imm: imm(value) }));
  });
}

/** For the evaluated trees; compiled ones call the functions that the machine has. */
const INTRINSICS = Object.fromEntries(
  ["mulh", "mulhsu", "mulhu", "clmul", "clmulh", "clmulr"].map((name) => [name, (rs1: bigint, rs2: bigint) => {
    const result = INTEGER_MODEL[name]!({ rs1: BigInt.asIntN(64, rs1), rs2: BigInt.asIntN(64, rs2), imm: 0n, pc: 0n });
    return BigInt(result);
  }]),
);

type Compiled = (...operands: bigint[]) => bigint | number;

/** Compiles expressions over the named operands, all i64, to functions of one module. */
function compile(named: readonly (readonly [string, Expr])[], operands: readonly string[]): Map<string, Compiled> {
  const module = new ModuleBuilder();
  const intrinsics = new Map([...defineMultiply(module), ...defineCarryless(module)]);
  for (const [name, e] of named) {
    const callee = module.declare(name, { params: operands.map(() => "i64"), results: [e.type] }, true);
    module.define(callee, () => [giveBack(e)], {
      operand: (operand) => ({ kind: "local", type: "i64", index: operands.indexOf(operand) }),
      intrinsic: (intrinsic) => intrinsics.get(intrinsic)!,
    });
  }
  const instance = new WebAssembly.Instance(new WebAssembly.Module(module.finish()));
  return new Map(named.map(([name]) => [name, instance.exports[name] as Compiled]));
}

/** What an integer instruction computes: a register, whether it branches, or where it jumps. */
function computed({ semantics }: Instruction): Expr | undefined {
  switch (semantics.shape) {
    case "compute":
      return semantics.result;
    case "branch":
      return semantics.taken;
    case "jump":
      return semantics.target;
    default:
      return undefined;
  }
}

Deno.test("integer semantics, evaluated and compiled, are those of an independent model", () => {
  const rows = INSTRUCTIONS.flatMap((row) => computed(row) ? [[row, computed(row)!] as const] : []);
  assertEquals(rows.map(([{ name }]) => name).sort(), Object.keys(INTEGER_MODEL).sort());
  const compiled = compile(rows.map(([{ name }, e]) => [name, e]), ["rs1", "rs2", "imm", "pc"]);
  for (const [row, e] of rows) {
    for (const sample of samples(row)) {
      const result = INTEGER_MODEL[row.name]!(sample);
      const expected = BigInt.asIntN(64, BigInt(result));
      const { rs1, rs2, imm, pc } = sample;
      const wasm = BigInt(compiled.get(row.name)!(rs1, rs2, imm, pc));
      const tree = BigInt.asIntN(64, evaluate(e, { rs1, rs2, imm, pc }, INTRINSICS));
      if (wasm !== expected || tree !== expected) {
        assertEquals(
          { wasm, tree },
          { wasm: expected, tree: expected },
          `${row.name} of ${rs1}, ${rs2}, ${imm}, ${pc}`,
        );
      }
    }
  }
});

Deno.test("atomic semantics, evaluated and compiled, are those of an independent model", () => {
  const rows = INSTRUCTIONS.flatMap((row) => row.semantics.shape === "atomic" ? [[row, row.semantics] as const] : []);
  assertEquals(rows.length, 2 * Object.keys(ATOMIC_MODEL).length);
  const compiled = compile(rows.map(([{ name }, { next }]) => [name, next]), ["old", "rs2"]);
  for (const [row, { bytes, next }] of rows) {
    const bits = 8 * bytes;
    for (const { rs1, rs2 } of samples(row)) {
      const old = BigInt.asIntN(bits, rs1);
      const expected = BigInt.asUintN(bits, ATOMIC_MODEL[row.name.slice(0, -2)]!(bits, old, rs2));
      const wasm = BigInt.asUintN(bits, BigInt(compiled.get(row.name)!(old, rs2)));
      const tree = BigInt.asUintN(bits, evaluate(next, { old, rs2 }, INTRINSICS));
      if (wasm !== expected || tree !== expected) {
        assertEquals({ wasm, tree }, { wasm: expected, tree: expected }, `${row.name} of ${old}, ${rs2}`);
      }
    }
  }
});
