/** Profiles of programs whose shares are known: by counting their instructions. */
import { assert, assertEquals } from "@std/assert";
import { Symbols } from "../../../machines/loader/symbols.ts";
import { symbolsOf } from "../../../machines/loader/boot_symbols.ts";
import { shares, topList } from "../../../machines/profile/report.ts";
import { type CallTree, Sampler } from "../../../machines/profile/sampler.ts";
import { type Assembler, assembler } from "../../../machines/riscv/assemble.ts";
import { x } from "../../../machines/riscv/registers.ts";
import { createVirt } from "../../../machines/virt/machine.ts";
import type { VirtOptions } from "../../../machines/virt/options.ts";
import { writeElf } from "../loader/elf_file.ts";
import { finish, POWER_OFF, RAM } from "../virt/program.ts";

function kernel(functions: readonly string[], write: (asm: Assembler) => void): { name: string; bytes: Uint8Array } {
  const asm = assembler();
  write(asm);
  const { bytes, symbols } = asm.finish({ base: RAM });
  const named = functions.map((name) => ({ name, address: Number(symbols.get(name)) }));
  return { name: "k", bytes: writeElf(bytes, RAM, named) };
}

async function profile(image: { name: string; bytes: Uint8Array }, period: number, options: VirtOptions = {}) {
  const sampler = new Sampler(new Symbols(symbolsOf({ kernel: image })), period);
  const processor: VirtOptions["processor"] = (hart, memory) => sampler.sampled(hart, memory);
  const machine = createVirt({ ramBytes: 8 << 20, kernel: image, ...options, processor });
  try {
    const exit = await machine.run();
    return { tree: sampler.tree, exit, retired: machine.harts[0]?.instret ?? 0 };
  } finally {
    machine.dispose();
  }
}

const ROUNDS = 20_000;

/** In each round `often` runs 63 instructions, `seldom` 21, and the loop 4. */
const shared = kernel(["start", "often", "seldom"], (asm) => {
  const spin = (name: string, count: number) => {
    asm.label(name);
    asm.li(x.t0, BigInt(count));
    asm.label(`${name} loop`);
    asm.addi(x.t0, x.t0, -1);
    asm.bnez(x.t0, `${name} loop`);
    asm.jalr(x.zero, 0, x.ra);
  };
  asm.label("start");
  asm.li(x.s1, BigInt(ROUNDS));
  asm.label("again");
  asm.jal(x.ra, "often");
  asm.jal(x.ra, "seldom");
  asm.addi(x.s1, x.s1, -1);
  asm.bnez(x.s1, "again");
  finish(asm, POWER_OFF);
  spin("often", 30);
  spin("seldom", 9);
});
const OFTEN = 62, SELDOM = 20, LOOP = 4, ROUND = OFTEN + SELDOM + LOOP;

const TIERS: readonly [string, VirtOptions][] = [
  ["interpreted", {}],
  ["translated", { accelerator: "jit", translation: { threshold: 1 } }],
  ["repeatable", { instructionClock: { shift: 0 } }],
];
for (const [tier, options] of TIERS) {
  Deno.test(`functions of ${tier} code have the shares of the instructions that they run`, async () => {
    const { tree, exit, retired } = await profile(shared, 97, options);
    assertEquals(exit.reason, "power-off");
    assert(Math.abs(tree.total - retired / 97) < 0.03 * tree.total, `${tree.total} samples of ${retired}`);
    const found = shares(tree);
    for (const [name, instructions] of [["often", OFTEN], ["seldom", SELDOM], ["start", LOOP]] as const) {
      const share = (found.get(name)?.self ?? 0) / tree.total;
      assert(Math.abs(share - instructions / ROUND) < 0.015, `${name} has ${share}, not ${instructions / ROUND}`);
    }
  });
}

Deno.test("a function without frames of its own is called by whom ra names, and the list is in order", async () => {
  const { tree } = await profile(shared, 97);
  const start = child(tree, "[machine]", "start");
  assertEquals([...start.callees.keys()].sort(), ["often", "seldom"]);
  const lines = topList(tree, 2).trimEnd().split("\n");
  assertEquals(lines.length, 3);
  assert(
    /^ +7[0-9.]+ % +7[0-9.]+ % {2}often$/.test(lines[1] ?? "") && /seldom$/.test(lines[2] ?? ""),
    lines.join("\n"),
  );
});

/** `outer` calls `middle` calls `inner`, each with a frame as compilers make them; inner spins. */
const framed = kernel(["_start", "outer", "middle", "inner"], (asm) => {
  const framed = (name: string, callee: string | undefined) => {
    asm.label(name);
    asm.addi(x.sp, x.sp, -32);
    asm.sd(x.ra, 24, x.sp);
    asm.sd(x.s0, 16, x.sp);
    asm.addi(x.s0, x.sp, 32);
    if (callee !== undefined) asm.jal(x.ra, callee);
    else {
      asm.li(x.t0, 40_000n);
      asm.label("spin");
      asm.addi(x.t0, x.t0, -1);
      asm.bnez(x.t0, "spin");
    }
    asm.ld(x.ra, 24, x.sp);
    asm.ld(x.s0, 16, x.sp);
    asm.addi(x.sp, x.sp, 32);
    asm.jalr(x.zero, 0, x.ra);
  };
  asm.label("_start");
  asm.li(x.sp, BigInt(RAM + (4 << 20)));
  asm.li(x.s0, 0n);
  asm.jal(x.ra, "outer");
  finish(asm, POWER_OFF);
  framed("outer", "middle");
  framed("middle", "inner");
  framed("inner", undefined);
});

Deno.test("frame pointers tell all callers", async () => {
  const { tree } = await profile(framed, 100);
  const inner = child(tree, "[machine]", "_start", "outer", "middle", "inner");
  assert(inner.self > 0.98 * tree.total, `${inner.self} of ${tree.total}`);
});

Deno.test("frame pointers that a guest makes up end the walk, and nothing else", async () => {
  const wild = kernel(["_start"], (asm) => {
    asm.label("_start");
    asm.la(x.t1, "cycle");
    for (const pointer of [-8n, 0x8000_0001n, 1n << 62n, 0n]) {
      asm.li(x.s0, pointer);
      asm.li(x.sp, pointer < 0n ? -4096n : 0n);
      spin(asm, `at ${pointer}`);
    }
    // A frame whose caller is itself.
    asm.mv(x.s0, x.t1);
    asm.mv(x.sp, x.t1);
    asm.sd(x.t1, -16, x.t1);
    asm.sd(x.t1, -8, x.t1);
    spin(asm, "in the cycle");
    finish(asm, POWER_OFF);
    asm.align(8);
    asm.label("frame");
    for (let i = 0; i < 4; i++) asm.nop();
    asm.label("cycle");
    asm.nop();
  });
  const { tree, exit } = await profile(wild, 50);
  assertEquals(exit.reason, "power-off");
  assert(tree.total > 50);
});

Deno.test("code without a symbol is counted by mode and page", async () => {
  const plain = assembler();
  spin(plain, "spin");
  finish(plain, POWER_OFF);
  const { tree } = await profile({ name: "k", bytes: plain.finish({ base: RAM }).bytes }, 100);
  assert(child(tree, "[machine]", "[machine] 0x80000000").self > 50);
});

Deno.test("a stop that comes with the last instruction of a stretch is heard", () => {
  const sampler = new Sampler(new Symbols([]), 1);
  const runs: number[] = [];
  const hart = {
    run: (most: number) => {
      runs.push(most);
      processor.requestExit();
      return most;
    },
    requestExit() {},
    waiting: false,
  };
  // Only `run`, `requestExit` and what a sample of unnamed code reads are used.
  const fake = { ...hart, mode: 3, pc: 0n, readRegister: () => 0n } as unknown as Parameters<Sampler["sampled"]>[0];
  const processor = sampler.sampled(fake, {} as Parameters<Sampler["sampled"]>[1]);
  assertEquals(processor.run(1000), 1);
  assertEquals(runs, [1]);
});

function spin(asm: Assembler, name: string): void {
  asm.li(x.t0, 5000n);
  asm.label(name);
  asm.addi(x.t0, x.t0, -1);
  asm.bnez(x.t0, name);
}

function child(tree: CallTree, ...names: readonly string[]): CallTree {
  let node = tree;
  for (const name of names) {
    const next = node.callees.get(name);
    assert(next !== undefined, `${node.name} calls ${[...node.callees.keys()]}, not ${name}`);
    node = next;
  }
  return node;
}
