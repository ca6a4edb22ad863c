/** A run starts exactly as many instructions as it may, also in loops and behind calls that are part of a region. */
import { assert, assertEquals } from "@std/assert";
import type { Assembler } from "../../../../machines/riscv/assemble.ts";
import { x } from "../../../../machines/riscv/registers.ts";
import { Bench } from "../bare_metal.ts";

const { ra, a0, a1, s0, s1 } = x;

for (
  const [what, translation] of [["at once", { threshold: 1, limit: 64, eager: true }], ["when hot", {
    threshold: 50,
    limit: 64,
    eager: false,
  }]] as const
) {
  Deno.test(`a loop in a small callee ends with the budget, translated ${what}`, () => {
    const program = (asm: Assembler) => {
      asm.label("again");
      asm.mv(a1, s1);
      asm.jal(ra, "leaf");
      asm.mv(a1, s1);
      asm.jal(ra, "leaf");
      asm.addi(s0, s0, 1);
      asm.j("again");
      asm.label("leaf");
      asm.label("round");
      // Too long to be copied, short enough to become part of the caller.
      for (let i = 0; i < 28; i++) asm.addi(a0, a0, 1);
      asm.addi(a1, a1, -1);
      asm.bnez(a1, "round");
      asm.ret();
    };
    const benches = [translation, undefined].map((options) => {
      const bench = new Bench();
      bench.hart.translate(options);
      bench.load(program);
      bench.hart.writeRegister(s1, 3n);
      // The caller is translated while the loop is short.
      for (let run = 0; run < 100; run++) bench.hart.run(999);
      bench.hart.writeRegister(s1, 2000n);
      return bench;
    });
    for (let run = 0; run < 200; run++) {
      const budget = 1 + (run * 37) % 1999;
      const [translated, interpreted] = benches.map(({ hart }) => {
        assertEquals(hart.run(budget), budget);
        return [hart.pc, ...[a0, a1, s0].map((register) => hart.readRegister(register))];
      });
      assertEquals(translated, interpreted);
    }
    assert((benches[0]?.hart.translation.made.regions ?? 0) > 0, "nothing was translated");
    for (const bench of benches) bench.dispose();
  });

  Deno.test(`what a callee used up is gone for its caller, translated ${what}`, () => {
    const bench = new Bench();
    bench.hart.translate(translation);
    bench.load((asm) => {
      asm.label("again");
      asm.addi(s1, s1, 1);
      asm.jal(ra, "callee");
      asm.addi(s0, s0, 1);
      asm.j("again");
      asm.label("callee");
      for (let i = 0; i < 60; i++) asm.addi(a0, a0, 1);
      asm.ret();
    });
    let all = 0;
    for (let run = 0; run < 400; run++) {
      const budget = 1 + (run * 37) % 1999;
      assertEquals(bench.hart.run(budget), budget);
      all += budget;
    }
    // 65 instructions a round.
    assertEquals(bench.hart.readRegister(s0), BigInt(Math.floor((all + 1) / 65)));
    assert(bench.hart.translation.made.regions > 0, "nothing was translated");
    bench.dispose();
  });
}
