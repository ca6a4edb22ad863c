import { assertEquals, assertThrows } from "@std/assert";
import type { Assembler } from "../../../machines/riscv/assemble.ts";
import { executionOf } from "../../../machines/riscv/execution.ts";
import { ALL_FEATURES } from "../../../machines/riscv/features.ts";
import { STORES_DISPATCHED, STORES_LOST } from "../../../machines/riscv/layout.ts";
import { x } from "../../../machines/riscv/registers.ts";
import { Bench, DEVICE, NOWHERE, RAM } from "./bare_metal.ts";

const { t0, t1, a0, a1, a2, a3 } = x;
const DATA = RAM + 0x1_0000n;

/** Runs a program in machine mode to its wfi; traps go to the label "trap" if there is one. */
function run(write: (asm: Assembler) => void, prepare: (bench: Bench) => void = () => {}): Bench {
  const bench = new Bench();
  prepare(bench);
  bench.mapChanged();
  return bench.runToWait(write, 100_000);
}

/** Leaves cause and value of a trap in a2 and a3, and ends. */
function endingHandler(asm: Assembler) {
  asm.j("end");
  asm.align(4);
  asm.label("trap");
  asm.csrr(a2, "mcause");
  asm.csrr(a3, "mtval");
}

Deno.test("zeroing a block of a device stores its 64 bytes one by one, from the first on", () => {
  const bench = run((asm) => {
    asm.li(a0, DEVICE + 0x7bn);
    asm.cbo_zero(a0);
    asm.li(a1, 1);
  });
  const bytes = Array.from({ length: 64 }, (_, i) => DEVICE + 0x40n + BigInt(i));
  assertEquals(bench.accesses, bytes.map((address) => ({ kind: "write", address, size: 1, value: 0n })));
  assertEquals(bench.hart.readRegister(a1), 1n);
  bench.dispose();
});

Deno.test("zeroing a block where nothing answers is a store access fault after one store", () => {
  const bench = run((asm) => {
    asm.li(a0, NOWHERE + 0x47n);
    asm.cbo_zero(a0);
    endingHandler(asm);
  });
  assertEquals([a2, a3].map((n) => bench.hart.readRegister(n)), [7n, NOWHERE + 0x40n]);
  assertEquals(bench.accesses.length, 1);
  bench.dispose();
});

Deno.test("a block of ROM keeps its bytes, one of a ROM device is the device's to zero or store to", () => {
  for (const stores of [STORES_LOST, STORES_DISPATCHED]) {
    const bench = run((asm) => {
      asm.li(a0, DEVICE);
      asm.cbo_zero(a0);
      asm.sd(a0, 0, a0);
    }, (bench) => {
      bench.poke(DATA, 77n);
      const offset = bench.offset + Number(DATA - RAM);
      bench.ranges.push({ first: DEVICE, last: DEVICE + 0xfffn, offset, stores });
    });
    assertEquals(bench.peek(DATA), 77n);
    assertEquals(bench.accesses.length, stores === STORES_LOST ? 0 : 65);
    bench.dispose();
  }
});

Deno.test("managing a block of a device or of nothing does nothing", () => {
  const bench = run((asm) => {
    for (const address of [DEVICE, NOWHERE]) {
      asm.li(a0, address);
      asm.cbo_inval(a0);
      asm.cbo_clean(a0);
      asm.cbo_flush(a0);
    }
    asm.li(a1, 1);
  });
  assertEquals(bench.accesses, []);
  assertEquals(bench.hart.readRegister(a1), 1n);
  bench.dispose();
});

Deno.test("code that is zeroed traps when it is come to, also if it has just run", () => {
  const bench = run((asm) => {
    asm.la(a0, "victim");
    asm.la(t0, "victim");
    asm.jalr(x.ra, 0, t0);
    asm.cbo_zero(a0);
    asm.jalr(x.ra, 0, t0);
    endingHandler(asm);
    asm.j("end");
    asm.align(64);
    asm.label("victim");
    asm.addi(a1, a1, 1);
    asm.ret();
    asm.space(56);
  });
  assertEquals([a1, a2, a3].map((n) => bench.hart.readRegister(n)), [1n, 2n, 0n]);
  bench.dispose();
});

Deno.test("blocks of a page that code runs in are zeroed any number of times", () => {
  const bench = run((asm) => {
    asm.la(a0, "block");
    asm.li(t0, 1000);
    asm.label("again");
    asm.sd(t0, 0, a0);
    asm.cbo_zero(a0);
    asm.ld(t1, 0, a0);
    asm.add(a1, a1, t1);
    asm.addi(t0, t0, -1);
    asm.bnez(t0, "again");
    asm.li(a2, 5);
    asm.j("end");
    asm.align(64);
    asm.label("block");
    asm.space(64);
  });
  assertEquals([a1, a2].map((n) => bench.hart.readRegister(n)), [0n, 5n]);
  bench.dispose();
});

Deno.test("a pause ends the turn of a hart among others, and nothing of one that is alone", () => {
  for (const [harts, started] of [[1, 100], [2, 3]] as const) {
    const bench = new Bench(harts);
    bench.load((asm) => {
      asm.label("spin");
      asm.addi(a0, a0, 1);
      asm.nop();
      asm.pause();
      asm.j("spin");
    });
    assertEquals(bench.hart.run(100), started);
    assertEquals(bench.hart.run(1), 1);
    assertEquals(bench.hart.instret, started + 1);
    bench.dispose();
  }
});

Deno.test("harts of one memory can't have different features", () => {
  const bench = new Bench();
  assertThrows(() => executionOf(bench.memory, { ...ALL_FEATURES, levels: 3 }), Error, "share decoded code");
  bench.dispose();
});
