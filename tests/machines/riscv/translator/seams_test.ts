/**
 * Accesses that regions check together, at every byte around the end of a page: behind it is a page from elsewhere in
 * memory, none, a device, one that keeps nothing of
 * what is stored, or the one that is next in memory, too.
 */
import { assert, assertEquals } from "@std/assert";
import { type Assembler, assembler } from "../../../../machines/riscv/assemble.ts";
import { encode } from "../../../../machines/riscv/encode.ts";
import { STORES_LOST, STORES_WRITE } from "../../../../machines/riscv/layout.ts";
import { x } from "../../../../machines/riscv/registers.ts";
import { INSTRUCTIONS } from "../../../../machines/riscv/table.ts";
import { Random } from "../../../conformance/random.ts";
import { Bench, DEVICE, NOWHERE, RAM } from "../bare_metal.ts";

const { zero, ra, t0, t1, t2, a0, a1, a2, s0, s1 } = x;
const PAGE = 0x1000n;
/** Where the page that loops move over and the one behind it lie in RAM. */
const FIRST_AT = 0x20_0000, SECOND_AT = 0x28_0000;
const LOOPS = 60, MOST = 2_000_000;
/** From so far before the end of the page, and so far behind it. */
const BEFORE = 72n, BEHIND = 24n;

const ACCESSES = INSTRUCTIONS.filter(({ semantics: s }) =>
  (s.shape === "load" || s.shape === "store") && s.file === "x"
);
const VALUES = [t0, t1, t2, a1, a2, zero] as const;

/** A loop whose base register moves by a byte a round; its accesses are near to each other, on one way or another. */
function writeLoop(asm: Assembler, index: number, seam: bigint): void {
  const random = new Random(index);
  const isBack = random.chance(0.3), blocks = 1 + random.below(3);
  asm.align(0x1000);
  asm.li(s0, isBack ? seam + BEHIND : seam - BEFORE);
  asm.li(a0, Number(BEFORE + BEHIND));
  asm.label(`round ${index}`);
  for (let block = 0; block < blocks; block++) {
    let moved = 0;
    for (let i = 1 + random.below(5); i > 0; i--) {
      const row = random.pick(ACCESSES), value = random.pick(VALUES);
      asm.word(encode(row, { rd: value, rs1: s0, rs2: value, imm: random.below(48) - 24 }));
      if (random.chance(0.2)) {
        const step = random.below(17) - 8;
        moved += step;
        asm.addi(s0, s0, step);
      }
      if (random.chance(0.3)) asm.add(a1, a1, random.pick(VALUES));
    }
    asm.addi(s0, s0, -moved);
    if (block === blocks - 1) break;
    asm.andi(s1, random.pick([t0, t1, a0, a1]), 1 << random.below(3));
    asm.bnez(s1, `join ${index} ${block}`);
    if (random.chance(0.7)) {
      asm.word(encode(random.pick(ACCESSES), { rd: t2, rs1: s0, rs2: a1, imm: random.below(32) - 16 }));
    }
    asm.label(`join ${index} ${block}`);
  }
  asm.addi(s0, s0, isBack ? -1 : 1);
  asm.addi(a0, a0, -1);
  asm.bnez(a0, `round ${index}`);
}

/** Skips what faults, and sums up what for and where. */
function handler(asm: Assembler): void {
  asm.align(4);
  asm.label("trap");
  asm.csrw("mscratch", t0);
  for (const csr of ["mcause", "mtval", "mepc"] as const) {
    asm.csrr(t0, csr);
    asm.add(a2, a2, t0);
    asm.slli(a2, a2, 1);
  }
  asm.addi(t0, t0, 4);
  asm.csrw("mepc", t0);
  asm.csrr(t0, "mscratch");
  asm.mret();
}

const BEHINDS = ["apart", "nothing", "a device", "stores lost", "the same"] as const;

function run(behind: (typeof BEHINDS)[number], isTranslated: boolean, isChecked: boolean) {
  const bench = new Bench();
  try {
    const isDevice = behind === "a device", seam = isDevice ? DEVICE : NOWHERE;
    const first = { first: seam - PAGE, last: seam - 1n, offset: bench.offset + FIRST_AT, stores: STORES_WRITE };
    const second = { ...first, first: seam, last: seam + PAGE - 1n, offset: bench.offset + SECOND_AT };
    bench.ranges.push(first);
    if (behind === "apart") bench.ranges.push(second);
    if (behind === "stores lost") bench.ranges.push({ ...second, stores: STORES_LOST });
    if (behind === "the same") bench.ranges.push({ ...second, offset: first.offset + Number(PAGE) });
    bench.mapChanged();
    bench.onAccess = ({ address }) => address * 0x9e37_79b9n;
    if (isTranslated) bench.hart.translate({ threshold: 2, limit: 4000, eager: true, isChecked, straddles: 10_000 });
    const asm = assembler();
    asm.la(t0, "trap");
    asm.csrw("mtvec", t0);
    asm.j("begin");
    handler(asm);
    asm.label("begin");
    for (let loop = 0; loop < LOOPS; loop++) writeLoop(asm, loop, seam);
    asm.label("end");
    asm.wfi();
    asm.j("end");
    bench.write(RAM, asm.finish({ base: RAM }).bytes);
    for (const [place, seed] of [[FIRST_AT, 1], [FIRST_AT + Number(PAGE), 2], [SECOND_AT, 3]] as const) {
      const random = new Random(seed);
      bench.write(RAM + BigInt(place), Uint8Array.from({ length: Number(PAGE) }, () => random.below(256)));
    }
    bench.hart.reset({ pc: RAM });
    bench.hart.run(MOST);
    assert(bench.hart.waiting, `did not end: pc ${bench.hart.pc.toString(16)}`);
    const registers = Array.from({ length: 32 }, (_, number) => bench.hart.readRegister(number).toString(16));
    const memory = [FIRST_AT, FIRST_AT + Number(PAGE), SECOND_AT].map((place) =>
      bench.memory.bytes.slice(bench.offset + place, bench.offset + place + Number(PAGE)).join(" ")
    );
    const accesses = bench.accesses.map(({ kind, address, size, value }) => `${kind} ${size} ${address} ${value}`);
    const { regions } = bench.hart.translation.made;
    return { state: { registers, memory, accesses, instret: bench.hart.instret }, regions };
  } finally {
    bench.dispose();
  }
}

for (const behind of BEHINDS) {
  Deno.test(`accesses at every byte around the end of a page, with ${behind} behind it, do what they do interpreted`, () => {
    const { state } = run(behind, false, false);
    for (const isChecked of [false, true]) {
      const translated = run(behind, true, isChecked);
      assert(translated.regions >= LOOPS, `${translated.regions} regions`);
      assertEquals(translated.state, state);
    }
  });
}

/** Nodes of a list in three pages, far from one another. */
const NODES = [0x1_0000n, 0x2_0ff0n, 0x3_0800n].map((place) => RAM + place);

for (const by of ["ld", "amoswap_d", "lr_d"] as const) {
  Deno.test(`a base register that ${by} reads anew is another base`, () => {
    const bench = new Bench();
    bench.hart.translate({ threshold: 2, limit: 64, eager: true, straddles: 10_000 });
    bench.runToWait((asm) => {
      NODES.forEach((node, i) => {
        asm.li(s0, node);
        asm.li(t0, NODES[(i + 1) % NODES.length] ?? 0n);
        asm.sd(t0, 0, s0);
        asm.li(t0, 10 ** i);
        asm.sd(t0, 8, s0);
      });
      asm.li(a0, 300);
      asm.label("round");
      asm.ld(t0, 8, s0);
      asm.add(a1, a1, t0);
      if (by === "ld") asm.ld(s0, 0, s0);
      else if (by === "lr_d") asm.lr_d(s0, s0);
      else {
        asm.ld(t1, 0, s0);
        asm.amoswap_d(s0, t1, s0);
      }
      asm.ld(t0, 8, s0);
      asm.add(a2, a2, t0);
      asm.sd(a0, 16, s0);
      asm.addi(a0, a0, -1);
      asm.bnez(a0, "round");
    }, 10_000);
    assertEquals([a1, a2].map((register) => bench.hart.readRegister(register)), [11_100n, 11_100n]);
    bench.dispose();
  });
}

Deno.test("a link register is another base behind a call", () => {
  const bench = new Bench();
  bench.hart.translate({ threshold: 2, limit: 64, eager: true, straddles: 10_000 });
  bench.runToWait((asm) => {
    asm.li(a0, 300);
    asm.li(ra, NODES[0] ?? 0n);
    asm.li(t0, 5);
    asm.sw(t0, 0, ra);
    asm.label("round");
    asm.li(ra, NODES[0] ?? 0n);
    asm.lw(t0, 0, ra);
    asm.add(a1, a1, t0);
    asm.call("leaf");
    asm.word(7);
    asm.addi(a0, a0, -1);
    asm.bnez(a0, "round");
    asm.j("end");
    // What is behind the call is its operand.
    asm.label("leaf");
    asm.lw(t0, 0, ra);
    asm.lw(t1, -4, ra);
    asm.add(a2, a2, t0);
    asm.addi(ra, ra, 4);
    asm.ret();
  }, 10_000);
  assertEquals([a1, a2].map((register) => bench.hart.readRegister(register)), [1500n, 2100n]);
  bench.dispose();
});
