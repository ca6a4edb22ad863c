/** Copies of loops are as good as the loops. */
import { assert, assertEquals } from "@std/assert";
import { decode } from "../../../../machines/riscv/decode.ts";
import { type Assembler, assembler } from "../../../../machines/riscv/assemble.ts";
import { x } from "../../../../machines/riscv/registers.ts";
import { type Block, discover, stepsOf } from "../../../../machines/riscv/translator/discovery.ts";
import { unrolled } from "../../../../machines/riscv/translator/unroll.ts";
import { Bench } from "../bare_metal.ts";

const { t0, a0, a1, a2, s0 } = x;

/** The blocks of a program at the start of a page. */
function blocksOf(write: (asm: Assembler) => void): readonly Block[] {
  const asm = assembler();
  write(asm);
  const page = new Uint8Array(4096);
  page.set(asm.finish().bytes);
  const readStep = stepsOf(new DataView(page.buffer), (word) => decode(word), new Set());
  const around = { elsewhere: () => 0, hasRun: () => true, seenOf: () => [], apart: new Set<number>(), copies: 0 };
  return discover(0, readStep, 0, around)?.blocks ?? [];
}

/** The offsets that control may take from the head on, as long as branches are taken or not as asked, until `steps` are done. */
function pathOf(blocks: readonly Block[], isTaken: (branch: number) => boolean, steps: number): number[] {
  const byPlace = new Map(blocks.map((block) => [block.place, block]));
  const path: number[] = [];
  let branches = 0;
  for (let block = blocks[0]; block && path.length < steps;) {
    path.push(...block.steps.map(({ offset }) => offset));
    const { end } = block;
    if (end.kind === "branch") path.push(end.step.offset);
    if (end.kind !== "branch" && end.kind !== "goto") break;
    block = byPlace.get(end.kind === "branch" && !isTaken(branches++) ? end.otherwise : end.to);
  }
  return path.slice(0, steps);
}

const loops: Readonly<Record<string, (asm: Assembler) => void>> = {
  "one block": (asm) => {
    asm.label("again");
    asm.lw(t0, 0, a0);
    asm.addi(a0, a0, 4);
    asm.bne(a0, a1, "again");
    asm.ret();
  },
  "a way out in the middle, and a way around": (asm) => {
    asm.li(a2, 0);
    asm.label("again");
    asm.lbu(t0, 0, a0);
    asm.addi(a0, a0, 1);
    asm.beqz(t0, "out");
    asm.bltu(t0, a1, "next");
    asm.addi(a2, a2, 1);
    asm.label("next");
    asm.bne(a0, s0, "again");
    asm.label("out");
    asm.ret();
  },
  "a loop in a loop": (asm) => {
    asm.label("outer");
    asm.li(a2, 8);
    asm.label("inner");
    asm.addi(a2, a2, -1);
    asm.bnez(a2, "inner");
    asm.addi(a0, a0, -1);
    asm.bnez(a0, "outer");
    asm.ret();
  },
};

for (const [what, write] of Object.entries(loops)) {
  Deno.test(`all ways through copies are those through the loop: ${what}`, () => {
    const blocks = blocksOf(write), copied = unrolled(blocks);
    assert(copied.length > blocks.length, "there are no copies");
    assertEquals(copied[0]?.place, blocks[0]?.place);
    for (let bits = 0; bits < 1 << 12; bits++) {
      const isTaken = (branch: number) => ((bits >> (branch % 12)) & 1) === 1;
      assertEquals(pathOf(copied, isTaken, 60), pathOf(blocks, isTaken, 60));
    }
  });
}

Deno.test("a loop that calls, or that is too large, is left as it is", () => {
  const calling = blocksOf((asm) => {
    asm.label("again");
    asm.jal(x.ra, 0x400);
    asm.bnez(a0, "again");
    asm.ret();
  });
  const large = blocksOf((asm) => {
    asm.label("again");
    for (let i = 0; i < 40; i++) asm.addi(a0, a0, 1);
    asm.bnez(a0, "again");
    asm.ret();
  });
  assertEquals(unrolled(calling), calling);
  assertEquals(unrolled(large), large);
});

Deno.test("a group of accesses is as right in the middle of a round as at its end, wherever a page ends", () => {
  const bench = new Bench();
  bench.hart.translate({ threshold: 2, limit: 64, eager: true, isChecked: true });
  bench.runToWait((asm) => {
    asm.la(s0, "start");
    asm.li(t0, 0x10_000 - 64);
    asm.add(s0, s0, t0);
    asm.li(a1, 400);
    asm.label("round");
    asm.mv(a0, s0);
    asm.andi(a2, a1, 15);
    asm.addi(a2, a2, 1);
    asm.label("again");
    asm.sb(a2, 0, a0);
    asm.lb(t0, 0, a0);
    asm.sb(t0, 1, a0);
    asm.addi(a0, a0, 1);
    asm.addi(a2, a2, -1);
    asm.bnez(a2, "again");
    asm.addi(s0, s0, 1);
    asm.addi(a1, a1, -1);
    asm.bnez(a1, "round");
    asm.label("start");
  }, 100_000);
  assert(bench.hart.translation.made.regions > 0, "nothing was translated");
  bench.dispose();
});
