/** What a debugger does with a hart: single steps, and breakpoints that stop before the instruction. */
import { assertEquals } from "@std/assert";
import type { Assembler } from "../../../machines/riscv/assemble.ts";
import { x } from "../../../machines/riscv/registers.ts";
import { Bench, RAM } from "./bare_metal.ts";

const { zero, ra, t0, t1, a0, s0, s1 } = x;

/** Counts to a hundred in a loop with a call, whose callee straddles pages. */
function counting(asm: Assembler) {
  asm.li(s1, 100);
  asm.label("round");
  asm.call("callee");
  asm.label("back");
  asm.addi(s1, s1, -1);
  asm.bnez(s1, "round");
  asm.label("end");
  asm.wfi();
  asm.j("end");
  asm.space(0xffc - asm.offset);
  asm.label("callee");
  asm.half(0x0505); // c.addi a0, 1
  asm.label("straddling");
  asm.addi(s0, s0, 2);
  asm.label("next page");
  asm.ret();
}

function loaded(write: (asm: Assembler) => void = counting) {
  const bench = new Bench();
  const symbols = bench.load(write);
  const place = (label: string) => symbols.get(label) ?? 0n;
  return { bench, hart: bench.hart, place };
}

Deno.test("a run of one instruction executes exactly that, however often the code was run before", () => {
  const stepped = loaded(), whole = loaded();
  whole.hart.run(150);
  for (let i = 0; i < 150; i++) assertEquals(stepped.hart.run(1), 1);
  for (let i = 0; i < 200; i++) {
    assertEquals(whole.hart.run(1), 1);
    assertEquals(stepped.hart.run(1), 1);
    assertEquals([whole.hart.pc, whole.hart.instret], [stepped.hart.pc, 351 - 200 + i]);
    for (const register of [a0, s0, s1, ra]) {
      assertEquals(whole.hart.readRegister(register), stepped.hart.readRegister(register));
    }
  }
  for (const { bench } of [stepped, whole]) bench.dispose();
});

for (const label of ["round", "back", "callee", "straddling", "next page"]) {
  Deno.test(`a breakpoint at "${label}" stops before it in every round, with exact counts`, () => {
    const { bench, hart, place } = loaded();
    // It is translated code by now.
    hart.run(200);
    hart.setBreakpoint(place(label));
    const stops: number[] = [];
    for (let before = hart.instret, ran = hart.run(1000); hart.isAtBreakpoint; ran = hart.run(1000)) {
      assertEquals([hart.pc, hart.instret - before], [place(label), ran]);
      stops.push(hart.instret);
      before = hart.instret;
    }
    const rounds = stops.slice(1).map((count, i) => count - (stops[i] ?? 0));
    // A round is jal, c.addi, addi, ret, addi, bne.
    assertEquals([...new Set(rounds)], [6]);
    assertEquals([hart.waiting, hart.readRegister(a0), hart.readRegister(s0)], [true, 100n, 200n]);
    bench.dispose();
  });
}

Deno.test("a breakpoint that was cleared does not stop, and the code is as fast as before", () => {
  const { bench, hart, place } = loaded();
  hart.setBreakpoint(place("back"));
  hart.setBreakpoint(place("back"));
  hart.run(1000);
  assertEquals(hart.isAtBreakpoint, true);
  hart.clearBreakpoint(place("back"));
  hart.run(1000);
  assertEquals([hart.waiting, hart.isAtBreakpoint, hart.readRegister(a0)], [true, false, 100n]);
  bench.dispose();
});

Deno.test("a breakpoint where a budget ended stops the next run at once, and the one after it goes on", () => {
  const { bench, hart, place } = loaded();
  hart.setBreakpoint(place("back"));
  const ran = hart.run(1000);
  assertEquals([hart.run(6), hart.isAtBreakpoint], [6, false]);
  assertEquals([hart.run(7), hart.pc, hart.isAtBreakpoint], [0, place("back"), true]);
  assertEquals([hart.run(1), hart.isAtBreakpoint, hart.instret], [1, false, ran + 7]);
  bench.dispose();
});

Deno.test("the same place in another page is no breakpoint, and the same page by another address neither", () => {
  const { bench, hart, place } = loaded((asm) => {
    asm.li(s1, 20);
    asm.label("round");
    asm.la(t0, "routine");
    asm.jalr(ra, 0, t0);
    asm.la(t0, "twin");
    asm.jalr(ra, 0, t0);
    asm.addi(s1, s1, -1);
    asm.bnez(s1, "round");
    asm.label("end");
    asm.wfi();
    asm.j("end");
    for (const label of ["routine", "twin"]) {
      asm.align(0x1000);
      asm.label(label);
      asm.addi(a0, a0, 1);
      asm.ret();
    }
  });
  hart.setBreakpoint(place("twin"));
  let stops = 0;
  while (hart.run(1000), hart.isAtBreakpoint) {
    assertEquals(hart.pc, place("twin"));
    stops++;
  }
  assertEquals([stops, hart.readRegister(a0)], [20, 40n]);
  bench.dispose();
});

Deno.test("an instruction at a breakpoint traps, jumps and stores as elsewhere", () => {
  const { bench, hart, place } = loaded((asm) => {
    asm.la(t0, "trap");
    asm.csrw("mtvec", t0);
    asm.la(s0, "patched");
    asm.li(t1, 0x0055_0513); // addi a0, a0, 5
    asm.label("store");
    asm.sw(t1, 0, s0);
    asm.label("patched");
    asm.addi(a0, a0, 1);
    asm.label("illegal");
    asm.word(0);
    asm.align(4);
    asm.label("trap");
    asm.csrr(t1, "mepc");
    asm.label("end");
    asm.wfi();
    asm.j("end");
  });
  const order = ["store", "patched", "illegal", "trap"];
  for (const label of order) hart.setBreakpoint(place(label));
  for (const label of order) {
    hart.run(1000);
    assertEquals([hart.isAtBreakpoint, hart.pc], [true, place(label)]);
  }
  hart.run(1000);
  assertEquals([hart.readRegister(a0), hart.readRegister(t1)], [5n, place("illegal")]);
  assertEquals(hart.readRegister(zero), 0n);
  assertEquals(place("store") > RAM, true);
  bench.dispose();
});
