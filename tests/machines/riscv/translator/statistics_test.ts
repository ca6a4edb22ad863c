/** What is counted of translated code. */
import { assert, assertEquals } from "@std/assert";
import { EXIT_OPCODES, EXIT_TO_REGION, PAGE_BYTES, TLB_ENTRIES } from "../../../../machines/riscv/layout.ts";
import { FIRST_FORM, FORMS } from "../../../../machines/riscv/opcodes.ts";
import { x } from "../../../../machines/riscv/registers.ts";
import { describeTranslation } from "../../../../machines/riscv/translator/statistics.ts";
import { Bench, DEVICE } from "../bare_metal.ts";

const TLB_BYTES = TLB_ENTRIES * PAGE_BYTES;
const { zero, t0, t1, a0, a1, a2 } = x;

Deno.test("exits of translated code are counted by their reasons", () => {
  const bench = new Bench();
  bench.hart.translate({ threshold: 2, limit: 64, eager: true });
  bench.runToWait((asm) => {
    asm.li(a0, 1000);
    asm.li(a1, DEVICE);
    asm.label("round");
    asm.addi(t0, t0, 1);
    asm.csrrs(t1, 0xb02, zero); // minstret
    asm.addi(t0, t0, 1);
    asm.lbu(t1, 0, a1);
    asm.addi(a0, a0, -1);
    asm.bnez(a0, "round");
  }, 100_000);
  const { entered, exits, present, made } = bench.hart.translation;
  assertEquals(exits["floating point"], 0);
  for (const reason of ["memory access", "CSR"] as const) assert(Math.abs(exits[reason] - 1000) < 20, reason);
  assertEquals(entered, Object.values(exits).reduce((sum, count) => sum + count));
  assertEquals(present, made);
  assert(present.bytes > 100);
  assert(/\n {2}CSR +9\d\d {2}\d\d\.\d %\n/.test(describeTranslation(bench.hart.translation)));
  bench.dispose();
});

Deno.test("translated code goes on behind a TLB miss", () => {
  const bench = new Bench(1, 2 * TLB_BYTES);
  bench.hart.translate({ threshold: 2, limit: 64, eager: true });
  bench.runToWait((asm) => {
    asm.li(a0, 1000);
    asm.la(a1, "end");
    asm.li(t1, TLB_BYTES);
    asm.add(a2, a1, t1);
    asm.label("round");
    // Both pages have the same place in the TLB.
    asm.lw(t0, 0, a1);
    asm.lw(t0, 0, a2);
    asm.sw(t0, 8, a2);
    asm.addi(a0, a0, -1);
    asm.bnez(a0, "round");
  }, 100_000);
  const { entered, exits } = bench.hart.translation;
  assert(entered > 0 && exits["memory access"] < 20, `${exits["memory access"]} exits`);
  bench.dispose();
});

Deno.test("what is present goes with the code, and a module with the last of its regions", () => {
  const bench = new Bench();
  bench.hart.translate({ threshold: 2, limit: 64, eager: true });
  const write = () =>
    bench.load((asm) => {
      asm.li(a0, 100);
      asm.label("round");
      asm.addi(a0, a0, -1);
      asm.bnez(a0, "round");
      asm.label("end");
      asm.wfi();
      asm.j("end");
    });
  write();
  bench.hart.run(1000);
  assert(bench.hart.translation.present.modules > 0);
  write();
  const { present, made, dropped } = bench.hart.translation;
  assertEquals(present, { regions: 0, entries: 0, instructions: 0, modules: 0, bytes: 0 });
  assertEquals(dropped["code changed"], made.regions);
  bench.dispose();
});

Deno.test("the cache is bounded by regions and by bytes; what is dropped is made again when it is needed", () => {
  const count = 60;
  const run = (limit: number, bytes?: number) => {
    const bench = new Bench();
    bench.hart.translate({ threshold: 2, limit, eager: true, bytes });
    bench.load((asm) => {
      asm.li(a0, 20);
      asm.label("round");
      for (let i = 0; i < count; i++) asm.call(`function ${i}`);
      asm.addi(a0, a0, -1);
      asm.bnez(a0, "round");
      asm.label("end");
      asm.wfi();
      asm.j("end");
      for (let i = 0; i < count; i++) {
        asm.label(`function ${i}`);
        asm.addi(a1, a1, i);
        // Small functions would be part of their callers.
        for (let k = 0; k < 40; k++) asm.addi(a2, a2, 1);
        asm.ret();
      }
    });
    bench.hart.run(100_000);
    assert(bench.hart.waiting);
    assertEquals(bench.hart.readRegister(a1), BigInt(20 * count * (count - 1) / 2));
    const { translation } = bench.hart;
    bench.dispose();
    return translation;
  };
  const unbounded = run(1000);
  assertEquals(unbounded.evictions, 0);
  const few = run(8);
  assert(few.evictions > 0 && few.present.regions <= 8 && few.made.regions > unbounded.made.regions);
  const small = run(1000, unbounded.made.bytes / 4);
  assert(small.evictions > 0 && small.present.bytes <= unbounded.made.bytes / 4);
});

Deno.test("every opcode has a counter of its own", () => {
  assert(FIRST_FORM + FORMS.length <= EXIT_TO_REGION && EXIT_TO_REGION < EXIT_OPCODES);
});
