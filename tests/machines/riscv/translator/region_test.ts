/** What regions take for granted of memory and callees, and what becomes of it where it does not hold. */
import { assert, assertEquals } from "@std/assert";
import type { Assembler } from "../../../../machines/riscv/assemble.ts";
import { STORES_WRITE } from "../../../../machines/riscv/layout.ts";
import { x } from "../../../../machines/riscv/registers.ts";
import { Bench, RAM } from "../bare_metal.ts";

const { zero, ra, t0, t1, t2, a0, a1, a2, a3, s0 } = x;
/** Two pages that follow each other for the guest, but not in guest memory. */
const SEAM = RAM + 0x10_0000n;

function run(write: (asm: Assembler) => void, isChecked: boolean): Bench {
  const bench = new Bench();
  const [all] = bench.ranges;
  assert(all);
  const behind = { first: SEAM, last: all.last, offset: bench.offset + 0x18_0000, stores: STORES_WRITE };
  bench.ranges.splice(0, 1, { ...all, last: SEAM - 1n }, { ...behind, last: SEAM + 0xffffn });
  bench.mapChanged();
  bench.hart.translate({ threshold: 2, limit: 64, eager: true, isChecked });
  bench.load((asm) => {
    write(asm);
    asm.label("end");
    asm.wfi();
    asm.j("end");
  });
  bench.hart.run(200_000);
  assert(bench.hart.waiting, `did not end: pc ${bench.hart.pc.toString(16)}`);
  assert(bench.hart.translation.made.regions > 0, "nothing was translated");
  return bench;
}

/** The doubleword at a guest address around the seam. */
function word(bench: Bench, address: bigint): bigint {
  const place = (byte: bigint) => bench.offset + (byte < SEAM ? Number(byte - RAM) : 0x18_0000 + Number(byte - SEAM));
  return Array.from({ length: 8 }, (_, i) => BigInt(bench.memory.bytes[place(address + BigInt(i))] ?? 0))
    .reduceRight((value, byte) => value << 8n | byte, 0n);
}

for (const isChecked of [false, true]) {
  const how = isChecked ? " (checked)" : "";

  Deno.test(`accesses by one register may lie in pages that are apart in guest memory${how}`, () => {
    const bench = run((asm) => {
      asm.li(s0, SEAM - 16n);
      asm.li(a0, 200);
      asm.label("round");
      for (const distance of [0, 8, 16, 24]) {
        asm.ld(t0, distance, s0);
        asm.add(t0, t0, a0);
        asm.sd(t0, distance, s0);
      }
      // Moves back and forth: sometimes all is in one page, sometimes not.
      asm.andi(t1, a0, 1);
      asm.slli(t1, t1, 7);
      asm.li(s0, SEAM - 16n);
      asm.sub(s0, s0, t1);
      asm.addi(a0, a0, -1);
      asm.bnez(a0, "round");
    }, isChecked);
    // The first round, and those after an even one, are at the seam.
    const at = Array.from({ length: 200 }, (_, i) => 200 - i).filter((n) => n === 200 || (n + 1) % 2 === 0);
    const sum = BigInt(at.reduce((total, n) => total + n, 0));
    assertEquals([0n, 8n, 16n, 24n].map((distance) => word(bench, SEAM - 16n + distance)), [sum, sum, sum, sum]);
    bench.dispose();
  });

  Deno.test(`an access may begin in the page of the one before, and end in another${how}`, () => {
    const bench = run((asm) => {
      asm.li(a0, 100);
      asm.label("round");
      asm.li(s0, SEAM - 64n);
      asm.ld(t0, 0, s0);
      asm.add(a1, a1, t0);
      asm.addi(a2, s0, 60);
      asm.mv(s0, a2);
      asm.ld(t0, 0, s0);
      asm.add(a3, a3, t0);
      asm.slli(t0, a0, 40);
      asm.sd(t0, 0, a2);
      asm.addi(a0, a0, -1);
      asm.bnez(a0, "round");
    }, isChecked);
    assertEquals(word(bench, SEAM - 4n), 1n << 40n);
    assertEquals(bench.hart.readRegister(a3), 100n * 101n / 2n - 1n << 40n);
    assertEquals(bench.hart.readRegister(a1), 0n);
    bench.dispose();
  });

  Deno.test(`a small callee may return to elsewhere than behind its call${how}`, () => {
    const bench = run((asm) => {
      asm.li(a0, 300);
      asm.label("round");
      asm.call("callee");
      asm.addi(a1, a1, 1);
      asm.label("skipped");
      asm.addi(a2, a2, 1);
      asm.addi(a0, a0, -1);
      asm.bnez(a0, "round");
      asm.j("end");
      // Every fourth call comes back to where one instruction has been left out.
      asm.label("callee");
      asm.andi(t0, a0, 3);
      asm.bnez(t0, "back");
      asm.la(t1, "skipped");
      asm.mv(ra, t1);
      asm.label("back");
      asm.ret();
    }, isChecked);
    assertEquals([a1, a2].map((register) => bench.hart.readRegister(register)), [225n, 300n]);
    bench.dispose();
  });

  Deno.test(`a small callee that is changed is changed for its callers${how}`, () => {
    const bench = run((asm) => {
      asm.li(a0, 300);
      asm.la(t1, "changed");
      asm.la(t2, "other");
      asm.label("round");
      asm.call("callee");
      asm.li(t0, 100);
      asm.bne(a0, t0, "on");
      asm.lw(t0, 0, t2);
      asm.sw(t0, 0, t1);
      asm.fence_i();
      asm.label("on");
      asm.addi(a0, a0, -1);
      asm.bnez(a0, "round");
      asm.j("end");
      asm.label("callee");
      asm.label("changed");
      asm.addi(a1, a1, 1);
      asm.ret();
      asm.label("other");
      asm.addi(a1, a1, 1000);
    }, isChecked);
    assertEquals(bench.hart.readRegister(a1), 201n + 99n * 1000n);
    bench.dispose();
  });

  Deno.test(`loops that are entered in the middle run from there${how}`, () => {
    const bench = run((asm) => {
      asm.li(a0, 40);
      asm.label("outer");
      asm.li(t0, 7);
      asm.andi(t1, a0, 1);
      asm.bnez(t1, "middle");
      asm.label("inner");
      asm.addi(a1, a1, 1);
      asm.label("middle");
      asm.addi(a2, a2, 1);
      asm.li(t2, 3);
      asm.label("innermost");
      asm.addi(a3, a3, 1);
      asm.addi(t2, t2, -1);
      asm.bnez(t2, "innermost");
      asm.addi(t0, t0, -1);
      asm.bne(t0, zero, "inner");
      asm.addi(a0, a0, -1);
      asm.bnez(a0, "outer");
    }, isChecked);
    assertEquals([a1, a2, a3].map((register) => bench.hart.readRegister(register)), [260n, 280n, 840n]);
    bench.dispose();
  });
}
