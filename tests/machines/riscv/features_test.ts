/** Harts that are built without some of their features. */
import { assertEquals } from "@std/assert";
import type { Assembler } from "../../../machines/riscv/assemble.ts";
import { ALL_FEATURES, type HartFeatures, type OptionalExtension } from "../../../machines/riscv/features.ts";
import { x } from "../../../machines/riscv/registers.ts";
import { Bench, RAM, RAM_BYTES } from "./bare_metal.ts";

const { t0, t1, a0, a1, a2 } = x;

function without(...off: OptionalExtension[]): HartFeatures {
  return { ...ALL_FEATURES, extensions: ALL_FEATURES.extensions.difference(new Set(off)) };
}

/** Runs a program to its wfi; traps go to the label "trap" if there is one. */
function run(features: HartFeatures, write: (asm: Assembler) => void): Bench {
  return new Bench(1, RAM_BYTES, features).runToWait(write, 100_000);
}

const word = 0x20c5_a533n; // sh1add a0,a1,a2

Deno.test("an instruction of an extension that is off traps, in a loop that is run often as well", () => {
  for (const [features, traps] of [[without("Zba"), 100n], [without("Zbb", "Zbc", "Zbs"), 0n]] as const) {
    const bench = run(features, (asm) => {
      asm.li(t0, 100);
      asm.label("again");
      asm.addi(t0, t0, -1);
      asm.instruction("sh1add", a0, a1, a2);
      asm.bnez(t0, "again");
      asm.j("end");
      asm.align(4);
      asm.label("trap");
      asm.addi(x.s0, x.s0, 1);
      asm.csrr(x.s1, "mtval");
      asm.csrr(t1, "mepc");
      asm.addi(t1, t1, 4);
      asm.csrw("mepc", t1);
      asm.mret();
    });
    assertEquals([x.s0, x.s1].map((n) => bench.hart.readRegister(n)), [traps, traps === 0n ? 0n : word]);
    bench.dispose();
  }
});

Deno.test("a block is zeroed in a mode that may, and traps at the same place in one that may not", () => {
  for (const menvcfg of [0n, 1n << 7n]) {
    const bench = run(ALL_FEATURES, (asm) => {
      asm.la(x.s1, "block");
      asm.li(t0, 20);
      asm.li(x.s2, 20);
      asm.label("again");
      asm.sd(t0, 0, x.s1);
      asm.bltu(x.s2, t0, "skip");
      asm.cbo_zero(x.s1);
      asm.label("skip");
      asm.addi(t0, t0, -1);
      asm.bnez(t0, "again");
      asm.bnez(x.s0, "done");
      asm.li(x.s0, 1);
      // Once more in supervisor mode, where the last ones zero: by then the page is known for stores.
      asm.li(x.s2, 5);
      asm.li(t1, menvcfg);
      asm.csrw("menvcfg", t1);
      asm.li(t1, (1n << 54n) - 1n);
      asm.csrw(0x3b0, t1);
      asm.li(t1, 0x1f);
      asm.csrw(0x3a0, t1);
      asm.li(t1, 1 << 11);
      asm.csrw("mstatus", t1);
      asm.la(t1, "again");
      asm.csrw("mepc", t1);
      asm.li(t0, 20);
      asm.mret();
      asm.label("done");
      asm.ecall();
      asm.align(4);
      asm.label("trap");
      asm.csrr(a0, "mcause");
      asm.csrr(a1, "mtval");
      asm.j("end");
      asm.align(4096);
      asm.label("block");
      asm.space(64);
    });
    assertEquals([a0, a1].map((n) => bench.hart.readRegister(n)), menvcfg === 0n ? [2n, 0x44_a00fn] : [9n, 0n]);
    bench.dispose();
  }
});

Deno.test("without Sstc there is no stimecmp, nor a bit that enables it", () => {
  for (const [features, exists] of [[ALL_FEATURES, true], [without("Sstc"), false]] as const) {
    const bench = run(features, (asm) => {
      asm.li(t0, -1);
      asm.csrw("menvcfg", t0);
      asm.csrr(a1, "menvcfg");
      asm.csrr(a2, "stimecmp");
      asm.j("end");
      asm.align(4);
      asm.label("trap");
      asm.csrr(a0, "mcause");
    });
    const values = [a0, a1].map((n) => bench.hart.readRegister(n));
    assertEquals(values, exists ? [0n, 1n << 63n | 0xf1n] : [2n, 0xf1n]);
    bench.dispose();
  }
});

Deno.test("fields for cache blocks are there with what they enable", () => {
  const rows: [OptionalExtension[], bigint][] = [
    [[], 0xf1n],
    [["Zicbom"], 0x81n],
    [["Zicboz"], 0x71n],
    [["Zicbom", "Zicboz"], 1n],
  ];
  for (const [off, expected] of rows) {
    const bench = new Bench(1, RAM_BYTES, without(...off));
    bench.hart.reset({ pc: RAM });
    bench.hart.writeCsr(0x10a, (1n << 64n) - 1n);
    assertEquals(bench.hart.readCsr(0x10a), expected, off.join());
    bench.dispose();
  }
});

Deno.test("satp takes page tables down to the deepest that there is, and is zero if there is none", () => {
  for (const levels of [0, 3, 4, 5] as const) {
    const bench = new Bench(1, RAM_BYTES, { ...ALL_FEATURES, levels });
    const taken = [...Array(16).keys()].filter((mode) => {
      bench.hart.reset({ pc: RAM });
      const written = BigInt(mode) << 60n | 5n;
      bench.hart.writeCsr(0x180, written);
      return bench.hart.readCsr(0x180) === written;
    });
    assertEquals(taken, levels === 0 ? [] : [0, 8, 9, 10].filter((mode) => mode - 5 <= levels));
    bench.dispose();
  }
});
