/** Control that leaves the ordinary path: deep calls, switches, returns to elsewhere, code that changes under its caller. */
import { assert, assertEquals } from "@std/assert";
import { type Assembler, assembler } from "../../../../machines/riscv/assemble.ts";
import { x } from "../../../../machines/riscv/registers.ts";
import { Bench, RAM } from "../bare_metal.ts";
import { AT_ONCE, translationIn } from "../tiers.ts";

const { zero, ra, sp, t0, t1, t2, a0, a1, a2, s0, s1 } = x;
const STACK = RAM + 0x30_0000n;

function run(write: (asm: Assembler) => void): Bench {
  const bench = new Bench();
  bench.hart.translate({ threshold: 2, limit: 64, eager: true });
  bench.load((asm) => {
    write(asm);
    asm.label("end");
    asm.wfi();
    asm.j("end");
  });
  bench.hart.run(3_000_000);
  assert(bench.hart.waiting, `did not end: pc ${bench.hart.pc.toString(16)}`);
  assert(bench.hart.translation.made.regions > 0, "nothing was translated");
  return bench;
}

Deno.test("guest calls may nest deeper than the host's stack allows", () => {
  const bench = run((asm) => {
    asm.li(sp, STACK);
    asm.li(s1, 2);
    asm.label("round");
    asm.li(a0, 100_000);
    asm.call("sum");
    asm.addi(s1, s1, -1);
    asm.bnez(s1, "round");
    asm.j("end");
    asm.label("sum");
    asm.beqz(a0, "leaf");
    asm.addi(sp, sp, -16);
    asm.sd(ra, 0, sp);
    asm.sd(a0, 8, sp);
    asm.addi(a0, a0, -1);
    asm.call("sum");
    asm.ld(t0, 8, sp);
    asm.add(a0, a0, t0);
    asm.ld(ra, 0, sp);
    asm.addi(sp, sp, 16);
    asm.label("leaf");
    asm.ret();
  });
  assertEquals(bench.hart.readRegister(a0), 100_000n * 100_001n / 2n);
  assertEquals(bench.hart.readRegister(sp), STACK);
  bench.dispose();
});

Deno.test("a callee may return to another place than behind its call", () => {
  const bench = run((asm) => {
    asm.li(s0, 0);
    asm.li(s1, 50);
    asm.label("round");
    asm.call("outer");
    asm.addi(s0, s0, 1000);
    asm.label("landing");
    asm.addi(s0, s0, 1);
    asm.addi(s1, s1, -1);
    asm.bnez(s1, "round");
    asm.j("end");
    asm.label("outer");
    asm.mv(t2, ra);
    asm.call("inner");
    asm.addi(s0, s0, 1000);
    asm.jr(t2);
    asm.label("inner");
    asm.la(ra, "landing");
    asm.ret();
  });
  assertEquals(bench.hart.readRegister(s0), 50n);
  bench.dispose();
});

Deno.test("a switch goes to every one of its cases, also those that were never seen while it was translated", () => {
  const cases = 6;
  const bench = run((asm) => {
    asm.li(s0, 0);
    asm.li(s1, 0);
    asm.label("round");
    // The last case comes late.
    asm.li(t1, cases - 1);
    asm.remu(t0, s1, t1);
    asm.li(a1, 400);
    asm.bltu(s1, a1, "go");
    asm.mv(t0, t1);
    asm.label("go");
    asm.slli(t0, t0, 4);
    asm.la(t2, "case0");
    asm.add(t2, t2, t0);
    asm.jr(t2);
    for (let i = 0; i < cases; i++) {
      asm.align(16);
      asm.label(`case${i}`);
      asm.addi(s0, s0, 1 << i);
      asm.j("next");
    }
    asm.label("next");
    asm.addi(s1, s1, 1);
    asm.li(a1, 420);
    asm.bltu(s1, a1, "round");
    asm.j("end");
  });
  assertEquals(bench.hart.readRegister(s0), BigInt(80 * 31 + 20 * 32));
  bench.dispose();
});

Deno.test("a jump goes 4 GiB further, though it was seen to go to the same place here", () => {
  const bench = new Bench();
  const [ram] = bench.ranges;
  assert(ram);
  const FAR = 1n << 32n;
  bench.ranges.push({ ...ram, first: RAM + FAR, last: RAM + FAR + 0xfffn, offset: bench.offset + 0x10_0000 });
  bench.mapChanged();
  bench.hart.translate({ threshold: 2, limit: 64, eager: true });
  const far = assembler();
  bench.runToWait((asm) => {
    asm.li(s1, 200);
    asm.la(a0, "here");
    asm.la(a2, "back");
    asm.li(a1, FAR);
    asm.label("round");
    // Every eighth time, from the hundredth round on.
    asm.mv(t0, a0);
    asm.li(t1, 100);
    asm.bgeu(s1, t1, "go");
    asm.andi(t1, s1, 7);
    asm.bnez(t1, "go");
    asm.add(t0, t0, a1);
    asm.label("go");
    asm.mv(t2, t0);
    asm.jr(t2);
    far.space(asm.offset);
    far.addi(s0, s0, 1000);
    far.jr(a2);
    bench.write(RAM + 0x10_0000n, far.finish().bytes);
    asm.label("here");
    asm.addi(s0, s0, 1);
    asm.label("back");
    asm.addi(s1, s1, -1);
    asm.bnez(s1, "round");
  }, 10_000);
  // 96, 88 … 8.
  assertEquals(bench.hart.readRegister(s0), 188n + 12n * 1000n);
  bench.dispose();
});

Deno.test("where a function returns to that was jumped to becomes an entry, though the jump was seen last", () => {
  const bench = run((asm) => {
    asm.li(a0, 1000);
    // What is jumped to is translated first, then the jump, then what is behind it.
    for (let i = 0; i < 3; i++) asm.call("far");
    asm.j("round");
    asm.label("round");
    asm.la(t1, "far");
    asm.la(ra, "back");
    asm.jr(t1);
    asm.label("back");
    asm.addi(a0, a0, -1);
    asm.bnez(a0, "round");
    asm.j("end");
    for (let i = 0; i < 1024; i++) asm.nop();
    asm.label("far");
    asm.addi(a1, a1, 1);
    asm.ret();
  });
  assertEquals(bench.hart.readRegister(a1), 1003n);
  const { exits } = bench.hart.translation;
  assert(exits["untranslated code"] < 50, `${exits["untranslated code"]} exits`);
});

Deno.test("a function that changes its caller returns into the changed code", () => {
  const bench = run((asm) => {
    asm.li(s0, 0);
    asm.li(s1, 20);
    asm.label("round");
    asm.call("patch");
    asm.label("patched");
    asm.addi(s0, s0, 1);
    asm.addi(s1, s1, -1);
    asm.bnez(s1, "round");
    asm.j("end");
    asm.label("patch");
    // In the tenth round, addi s0, s0, 1 becomes addi s0, s0, 5.
    asm.li(t0, 10);
    asm.bne(s1, t0, "done");
    asm.la(t0, "patched");
    asm.li(t1, 0x00540413);
    asm.sw(t1, 0, t0);
    asm.fence_i();
    asm.label("done");
    asm.ret();
  });
  assertEquals(bench.hart.readRegister(s0), BigInt(10 * 1 + 10 * 5));
  assertEquals(bench.hart.readRegister(zero), 0n);
  assert(bench.hart.translation.dropped["code changed"] > 0);
  bench.dispose();
});

Deno.test("instret is exact wherever translated code is left", () => {
  for (let budget = 1; budget < 60; budget++) {
    const bench = new Bench();
    bench.hart.translate({ threshold: 1, limit: 64, eager: true });
    bench.load((asm) => {
      asm.li(t0, 0);
      asm.label("loop");
      for (let i = 0; i < 7; i++) asm.addi(t0, t0, 1);
      asm.j("loop");
    });
    bench.hart.run(200);
    const before = bench.hart.instret;
    assertEquals(bench.hart.run(budget), budget);
    assertEquals(bench.hart.instret - before, budget);
    const sum = bench.hart.readRegister(t0), at = Number(bench.hart.pc - RAM) / 4 - 1;
    assertEquals(Number(sum), Math.floor((200 + budget - 1 - at) / 8) * 7 + at);
    bench.dispose();
  }
});

Deno.test("an access that ends in the page that was accessed before may begin where nothing is", () => {
  const bench = run((asm) => {
    asm.la(t0, "trap");
    asm.csrw("mtvec", t0);
    asm.li(a0, RAM);
    asm.li(s1, 40);
    asm.li(t2, 2);
    asm.label("round");
    asm.lw(t1, 0, a0);
    asm.addi(s1, s1, -1);
    asm.bne(s1, t2, "go on");
    asm.addi(a0, a0, -3);
    asm.label("go on");
    asm.bnez(s1, "round");
    asm.j("end");
    asm.align(4);
    asm.label("trap");
    asm.csrr(s0, "mtval");
    asm.j("end");
  });
  assertEquals(bench.hart.readRegister(s0), RAM - 3n);
  bench.dispose();
});

/** Adds up the numbers to a0 by recursion, for ever; its handler counts interrupts in s1. */
function summing(asm: Assembler) {
  asm.la(t0, "trap");
  asm.csrw("mtvec", t0);
  asm.csrrsi(zero, "mstatus", 8);
  asm.li(sp, STACK);
  asm.label("round");
  asm.li(a0, 700);
  asm.call("sum");
  asm.add(s0, s0, a0);
  asm.addi(a1, a1, 1);
  asm.j("round");
  asm.label("sum");
  asm.beqz(a0, "leaf");
  asm.addi(sp, sp, -16);
  asm.sd(ra, 0, sp);
  asm.sd(a0, 8, sp);
  asm.addi(a0, a0, -1);
  asm.call("sum");
  asm.ld(t0, 8, sp);
  asm.add(a0, a0, t0);
  asm.ld(ra, 0, sp);
  asm.addi(sp, sp, 16);
  asm.label("leaf");
  asm.ret();
  asm.align(4);
  asm.label("trap");
  asm.addi(s1, s1, 1);
  // Another context runs for a while, deep in calls of its own.
  asm.csrw("mscratch", sp);
  asm.li(sp, STACK - 0x10_0000n);
  for (const [i, register] of [ra, t0, a0].entries()) asm.sd(register, 8 * i, sp);
  asm.li(a0, 300);
  asm.call("sum");
  for (const [i, register] of [ra, t0, a0].entries()) asm.ld(register, 8 * i, sp);
  asm.csrr(sp, "mscratch");
  asm.li(t1, 8);
  asm.csrrc(zero, "mie", t1);
  asm.mret();
}

Deno.test("interrupts in the middle of nested calls, and another context's calls, return to where they were", () => {
  const bench = new Bench();
  const { hart } = bench;
  hart.translate(translationIn({ name: "hot", accelerator: "jit", translation: { threshold: 2 } }));
  bench.load(summing);
  hart.setInterrupt(3, 1);
  let wanted = 0n;
  for (let turn = 0; turn < 400; turn++) {
    assertEquals(hart.run(1 + (turn * 7919) % 4001), 1 + (turn * 7919) % 4001);
    if ((hart.readCsr(0x304) ?? 0n) !== 0n) continue;
    wanted++;
    hart.writeCsr(0x304, 8n);
  }
  const rounds = hart.readRegister(a1);
  assert(rounds > 20n && wanted > 100n, `${rounds} rounds, ${wanted} interrupts`);
  assertEquals(hart.readRegister(s0), rounds * 700n * 701n / 2n);
  assert(hart.readRegister(s1) + 1n >= wanted);
  bench.dispose();
});

Deno.test("after a reset, what was loaded without a word is what runs", () => {
  const bench = new Bench();
  const { hart } = bench;
  hart.translate(translationIn(AT_ONCE));
  const counting = (step: number) => (asm: Assembler) => {
    asm.label("round");
    asm.addi(a0, a0, step);
    asm.j("round");
  };
  bench.load(counting(1));
  hart.run(1000);
  assertEquals(hart.readRegister(a0), 500n);
  const asm = assembler();
  counting(3)(asm);
  bench.memory.bytes.set(asm.finish().bytes, bench.offset);
  hart.reset({ pc: RAM });
  hart.run(1000);
  assertEquals(hart.readRegister(a0), 1500n);
  bench.dispose();
});
