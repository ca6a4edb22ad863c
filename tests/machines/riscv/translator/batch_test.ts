/** Which regions are made of places that are hot at the same time. */
import { assert, assertEquals } from "@std/assert";
import { assembler } from "../../../../machines/riscv/assemble.ts";
import { ALL_FEATURES, instructionSet } from "../../../../machines/riscv/features.ts";
import { decode } from "../../../../machines/riscv/decode.ts";
import { x } from "../../../../machines/riscv/registers.ts";
import { discover, stepsOf } from "../../../../machines/riscv/translator/discovery.ts";
import { compileBatch } from "../../../../machines/riscv/translator/batch.ts";
import { Bench } from "../bare_metal.ts";

const { zero, t0, t1, t2, t3, a0, a1 } = x;
const MSTATUS = 0x300, MEPC = 0x341, MPP = 3n << 11n;

Deno.test("a hot place in another one's region has none of its own", () => {
  const asm = assembler();
  asm.label("head");
  asm.andi(t0, a0, 1);
  asm.beqz(t0, "middle");
  asm.addi(t1, t1, 1);
  asm.label("middle");
  asm.addi(a0, a0, -1);
  asm.bnez(a0, "head");
  asm.ret();
  const { bytes, symbols } = asm.finish();
  const page = new Uint8Array(4096);
  page.set(bytes);
  const middle = Number(symbols.get("middle"));
  const source = {
    bytes: page,
    entries: new Map<number, number>(),
    stops: new Set<number>(),
    seen: new Map(),
    apart: new Set<number>(),
    hasRun: undefined,
  };
  const { regions } = compileBatch({
    pages: new Map([[0x8000, source]]),
    places: [{ page: 0x8000, head: middle }, { page: 0x8000, head: 0 }],
    room: 1000,
    copies: 200,
    instructionSet: instructionSet(ALL_FEATURES),
    memoryBytes: 65536,
    hart: undefined,
    isChecked: false,
    isShown: false,
  });
  assertEquals(regions.map(({ head, blocks }) => [head, blocks.includes(middle)]), [[0, true]]);
});

Deno.test("what never ran is not part of a region, and becomes one when it is hot", () => {
  const bench = new Bench();
  bench.hart.translate({ threshold: 200, limit: 64, eager: false });
  bench.load((asm) => {
    asm.li(a0, 200_000);
    asm.label("head");
    asm.blt(a0, a1, "rare");
    asm.addi(t1, t1, 1);
    asm.label("onward");
    asm.addi(a0, a0, -1);
    asm.bnez(a0, "head");
    asm.label("end");
    asm.wfi();
    asm.j("end");
    asm.label("rare");
    for (let i = 0; i < 20; i++) asm.addi(t2, t2, 1);
    asm.j("onward");
  });
  const { hart } = bench;
  for (let i = 0; i < 10; i++) hart.run(10_000);
  const translated = hart.translation.made.instructions;
  assert(translated > 0 && translated < 20, `${translated} instructions were translated before the rare ones ran`);
  hart.writeRegister(a1, 100_000n);
  while (!hart.waiting) hart.run(10_000);
  assert(hart.translation.made.instructions > translated + 20, "the rare ones were not translated");
  assertEquals(hart.readRegister(t2) / 20n + hart.readRegister(t1), 200_000n);
  bench.dispose();
});

Deno.test("a place in a region becomes an entry if control often comes there from outside later", () => {
  const bench = new Bench();
  bench.hart.translate({ threshold: 200, limit: 64, eager: false });
  bench.load((asm) => {
    asm.la(t2, "middle");
    asm.li(t3, MPP);
    asm.li(a0, 200_000);
    asm.li(a1, 60_000);
    asm.label("head");
    asm.andi(t0, a0, 1);
    asm.beqz(t0, "middle");
    asm.addi(t1, t1, 1);
    asm.label("middle");
    asm.addi(t1, t1, 2);
    asm.addi(a0, a0, -1);
    asm.blt(zero, a0, "head");
    asm.addi(a1, a1, -1);
    asm.beqz(a1, "end");
    // Only the interpreter runs mret.
    asm.csrrw(zero, MEPC, t2);
    asm.csrrs(zero, MSTATUS, t3);
    asm.mret();
    asm.label("end");
    asm.wfi();
    asm.j("end");
  });
  // A stretch may begin anywhere: there are fewer than it takes for a place to be hot.
  while (bench.hart.readRegister(a1) > 10_000n) bench.hart.run(10_000);
  const { entered } = bench.hart.translation;
  while (!bench.hart.waiting) bench.hart.run(10_000);
  assert(bench.hart.translation.entered - entered > 9000, "the place was left to the interpreter");
  bench.dispose();
});

Deno.test("a large function is several regions, and what is called within one stays whole", () => {
  const asm = assembler();
  // Branches to further code all along, each behind ten instructions and a call of a small function.
  for (let i = 0; i < 40; i++) {
    asm.label(`part ${i}`);
    for (let j = 0; j < 10; j++) asm.addi(a0, a0, 1);
    asm.jal(x.ra, "leaf");
    asm.beqz(a0, `part ${(7 * i) % 40}`);
  }
  asm.ret();
  asm.label("leaf");
  asm.addi(a1, a1, 1);
  asm.ret();
  const { bytes } = asm.finish();
  const page = new Uint8Array(4096);
  page.set(bytes);
  const readStep = stepsOf(new DataView(page.buffer), (word) => decode(word), new Set());
  const around = { elsewhere: () => 0, hasRun: () => true, seenOf: () => [], apart: new Set<number>(), copies: 200 };
  const { blocks } = discover(0, readStep, 0, around) ?? { blocks: [] };
  const places = new Set(blocks.map(({ place }) => place));
  const size = blocks.reduce((sum, { count }) => sum + count, 0);
  assert(size >= 200 && size < 260, `${size} instructions`);
  const calls = blocks.flatMap(({ end }) => end.kind === "call" ? [end.to] : []);
  assert(calls.length > 5 && calls.every((place) => places.has(place)), "a callee is missing");
});
