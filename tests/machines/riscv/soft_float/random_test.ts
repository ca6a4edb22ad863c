/**
 * Every soft-float function against the exact model. The long form:
 * `FREEHOLD_FLOAT_CASES=2000000 FREEHOLD_FLOAT_SEED=7 deno test -P=test tests/machines/riscv/soft_float/random_test.ts`
 * (cases per test of about 60 functions, any seed).
 */
import { assertEquals } from "@std/assert";
import { createFloatMachine } from "./machine.ts";
import { NX } from "./oracle.ts";
import { type Operation, OPERATIONS } from "./operations.ts";
import { operandsFor, Random } from "./vectors.ts";

const cases = Number(Deno.env.get("FREEHOLD_FLOAT_CASES") ?? 210_000);
const seed = Number(Deno.env.get("FREEHOLD_FLOAT_SEED") ?? 1);
const machine = createFloatMachine();

/** Arithmetic has more corners than classification. */
function weight({ name }: Operation): number {
  if (/_fma/.test(name)) return 8;
  return /_(add|sub|mul|div|sqrt|to_f32)/.test(name) ? 4 : 1;
}

function hex(x: bigint): string {
  return `0x${x.toString(16).padStart(16, "0")}`;
}

function check(operation: Operation, random: Random, on = machine) {
  const { name, rounds, model } = operation;
  // Flags that are already set change which path is taken, but never the result. Rounding to nearest has the most paths.
  const rm = random.below(2) === 0 ? random.below(5) : 0, before = random.pick([0, 0, NX, 31]);
  const operands = operandsFor(random, operation);
  const given = on.run(name, operands, rounds ? rm : undefined, before);
  const expected = model(operands, rm);
  if (given.register === expected.register && given.flags === (expected.flags | before)) return;
  const show = ({ register, flags }: typeof given) => `${hex(register)} flags ${flags}`;
  assertEquals(
    show(given),
    show({ register: expected.register, flags: expected.flags | before }),
    `${name}(${operands.map(hex).join(", ")}) rm ${rm}, flags before ${before}`,
  );
}

const total = OPERATIONS.reduce((sum, operation) => sum + weight(operation), 0);
for (const group of ["f32", "f64", "x"] as const) {
  const operations = OPERATIONS.filter(({ takes }) => (takes === "x" ? "x" : takes.name) === group);
  Deno.test(`operations on ${group} registers give the model's results and flags`, () => {
    const random = new Random(seed);
    for (const operation of operations) {
      const count = Math.ceil(cases * weight(operation) / total);
      for (let i = 0; i < count; i++) check(operation, random);
    }
  });
}

Deno.test("without a fused multiply-add of the host, results and flags are the same", () => {
  const unfused = createFloatMachine(undefined, { fuses: false });
  const random = new Random(seed);
  for (const operation of OPERATIONS.filter(({ name }) => /^f64_(mul|div|sqrt|fma)$/.test(name))) {
    for (let i = 0; i < cases / 50; i++) check(operation, random, unfused);
  }
});
