/** The floating-point unit is there when it is needed, and not before. */
import { assertEquals } from "@std/assert";
import { executionOf } from "../../../machines/riscv/execution.ts";
import { FLOAT_UNIT } from "../../../machines/riscv/layout.ts";
import { x } from "../../../machines/riscv/registers.ts";
import { Bench } from "./bare_metal.ts";

const { t0, a0, a1 } = x;
const ROUNDS = 40;
/** mstatus.FS Initial. */
const FS = 1 << 13;

/** A sum of integers, then the same sum as a double; says whether there was a unit behind each. */
function run(bench: Bench): { wasMade: boolean; isMade: boolean } {
  const labels = bench.load((asm) => {
    asm.li(t0, FS);
    asm.csrw("mstatus", t0);
    for (const isFloat of [false, true]) {
      asm.li(a0, ROUNDS);
      asm.label(`round ${isFloat}`);
      asm.add(a1, a1, a0);
      if (isFloat) {
        asm.fcvt_d_l(1, a0);
        asm.fadd_d(2, 2, 1);
      }
      asm.addi(a0, a0, -1);
      asm.bnez(a0, `round ${isFloat}`);
      asm.label(`behind ${isFloat}`);
      asm.j(`far ${isFloat}`);
      // What is translated together ends with its page.
      asm.align(4096);
      asm.label(`far ${isFloat}`);
    }
    asm.label("end");
    asm.j("end");
  });
  const { translator, exports } = executionOf(bench.memory);
  const isThere = () => translator.table.get(FLOAT_UNIT) !== exports.firstFloat;
  const wasMade = runTo(bench, labels.get("behind false")) && isThere();
  const isMade = runTo(bench, labels.get("behind true")) && isThere();
  return { wasMade, isMade };
}

function runTo(bench: Bench, pc: bigint | undefined): true {
  while (bench.hart.pc !== pc) bench.hart.run(1);
  return true;
}

for (
  const [how, translation] of [
    ["the interpreter runs", undefined],
    ["is translated", { threshold: 2, limit: 64, eager: true }],
  ] as const
) {
  Deno.test(`the floating-point unit is made with its first instruction that ${how}`, () => {
    const bench = new Bench();
    bench.hart.translate(translation);
    assertEquals(run(bench), { wasMade: false, isMade: true });
    const sum = ROUNDS * (ROUNDS + 1) / 2;
    assertEquals(bench.hart.readRegister(a1), BigInt(2 * sum));
    assertEquals(new Float64Array(new BigUint64Array([bench.hart.readRegister(32 + 2)]).buffer)[0], sum);
    bench.dispose();
  });
}
