/**
 * Translated instructions that begin in one page and end in the next: what is there counts when they run, whichever page
 * that is, and whatever was stored there.
 */
import { assert, assertEquals } from "@std/assert";
import { encode } from "../../../../machines/riscv/encode.ts";
import { STORES_WRITE } from "../../../../machines/riscv/layout.ts";
import { x } from "../../../../machines/riscv/registers.ts";
import { INSTRUCTIONS } from "../../../../machines/riscv/table.ts";
import { Bench, NOWHERE, RAM } from "../bare_metal.ts";

const { zero, ra, t0, t1, t2, a0, a1, a2, s0, s1 } = x;
const PAGE = 0x1000;
/** The page that the instructions begin in, and two that may lie behind it, in RAM; the data. */
const FIRST_AT = 0x10_0000, BEHIND_AT = [0x18_0000, 0x20_0000], DATA_AT = 0x28_0000;
/** Where the pages are seen: with the one and with the other behind the first. */
const SEEN = [NOWHERE, NOWHERE + 0x10_0000n] as const;
const ROUNDS = 3000;

type Fields = Parameters<typeof encode>[1];

function word(name: string, fields: Partial<Fields>): number {
  const row = INSTRUCTIONS.find((instruction) => instruction.name === name);
  if (!row) throw new Error(`there is no ${name}`);
  return encode(row, { rd: 0, rs1: 0, rs2: 0, imm: 0, ...fields });
}

/** What straddles, as it is in each of the two places; both have the same first half. */
const STRADDLING: Readonly<Record<string, readonly [number, number]>> = {
  "a sum": [word("addi", { rd: t0, rs1: t0, imm: 1 }), word("addi", { rd: t0, rs1: t0, imm: 77 })],
  "a constant": [word("lui", { rd: t1, imm: 0x1_0000 }), word("lui", { rd: t1, imm: 0x7_0000 })],
  "a load": [word("ld", { rd: t1, rs1: s0, imm: 8 }), word("ld", { rd: t1, rs1: s0, imm: 24 })],
  "a store": [word("sd", { rs1: s0, rs2: a0, imm: 0x28 }), word("sd", { rs1: s0, rs2: a0, imm: 0x48 })],
  "an atomic": [word("amoadd.d", { rd: t1, rs1: s0, rs2: a0 }), word("amoxor.d", { rd: t1, rs1: s0, rs2: a0 })],
  "a branch": [word("bne", { rs1: t0, rs2: t2, imm: 8 }), word("bne", { rs1: t0, rs2: t2, imm: 40 })],
  "a call": [word("jal", { rd: ra, imm: 8 }), word("jal", { rd: ra, imm: 12 })],
  "a jump by register": [word("jalr", { rd: t1, rs1: a2, imm: 0 }), word("jalr", { rd: t1, rs1: a2, imm: 4 })],
};

const NOP = word("addi", {});

/** Writes instructions from an offset on, the last of which may go on at the start of another page. */
function put(bench: Bench, at: number, words: readonly number[]): void {
  const bytes = new Uint8Array(4 * words.length);
  words.forEach((word, i) => new DataView(bytes.buffer).setUint32(4 * i, word, true));
  bench.write(RAM + BigInt(at), bytes);
}

function putHalf(bench: Bench, at: number, half: number): void {
  bench.write(RAM + BigInt(at), new Uint8Array([half & 0xff, half >>> 8]));
}

/** Where the loop begins: four instructions before the one that straddles. */
const LOOP = PAGE - 2 - 16;

/** A function in both places: it runs what straddles as often as a0 says. */
function writeFunction(bench: Bench, words: readonly [number, number]): void {
  put(bench, FIRST_AT + LOOP, [
    word("addi", { rd: t2, rs1: t2, imm: 3 }),
    word("xor", { rd: a1, rs1: a1, rs2: t0 }),
    word("add", { rd: a1, rs1: a1, rs2: t1 }),
    word("andi", { rd: t0, rs1: t0, imm: 0xff }),
  ]);
  putHalf(bench, FIRST_AT + PAGE - 2, words[0] & 0xffff);
  assertEquals(words[0] & 0xffff, words[1] & 0xffff, "the first half is the same");
  words.forEach((straddling, i) => {
    const behind = BEHIND_AT[i] ?? 0;
    putHalf(bench, behind, straddling >>> 16);
    const code = [
      ...Array.from({ length: 10 }, (_, i) => i < 6 ? word("addi", { rd: a1, rs1: a1, imm: i + 1 }) : NOP),
      word("addi", { rd: a0, rs1: a0, imm: -1 }),
      word("bne", { rs1: a0, rs2: zero, imm: -(PAGE - LOOP) - 2 - 44 }),
      word("jalr", { rs1: s1 }),
    ];
    put(bench, behind + 2, code);
  });
}

function mapPages(bench: Bench): void {
  SEEN.forEach((seen, i) => {
    const range = (first: bigint, at: number) => ({
      first,
      last: first + BigInt(PAGE) - 1n,
      offset: bench.offset + at,
      stores: STORES_WRITE,
    });
    bench.ranges.push(range(seen, FIRST_AT), range(seen + BigInt(PAGE), BEHIND_AT[i] ?? 0));
  });
  bench.mapChanged();
}

interface Options {
  readonly threshold: number;
  readonly isChecked?: boolean;
}

/**
 * Calls the function in the places in turn, as often as `calls` has them. After every so many stretches of a thousand
 * instructions a device writes what is behind the first page in the first place: the one and the other in turn.
 */
function run(words: readonly [number, number], calls: readonly (0 | 1)[], options?: Options, writes = Infinity) {
  const bench = new Bench();
  try {
    mapPages(bench);
    bench.hart.translate(options && { limit: 64, eager: options.threshold === 1, ...options });
    writeFunction(bench, words);
    bench.load((asm) => {
      asm.li(s0, RAM + BigInt(DATA_AT));
      asm.li(t0, 0);
      for (const place of calls) {
        asm.li(a0, ROUNDS);
        asm.li(a2, SEEN[place] + BigInt(PAGE + 6));
        asm.li(t1, SEEN[place] + BigInt(LOOP));
        asm.jalr(s1, 0, t1);
      }
      asm.label("end");
      asm.wfi();
      asm.j("end");
    });
    const { hart } = bench;
    for (let i = 1; i < 1000 && !hart.waiting; i++) {
      hart.run(1000);
      if (i % writes === 0) putHalf(bench, BEHIND_AT[0] ?? 0, (words[(i / writes) % 2] ?? 0) >>> 16);
    }
    assert(hart.waiting, `did not end: pc ${hart.pc.toString(16)}`);
    const registers = Array.from({ length: 32 }, (_, number) => hart.readRegister(number).toString(16));
    const data = Array.from({ length: 16 }, (_, i) => bench.peek(RAM + BigInt(DATA_AT + 8 * i)).toString(16));
    return { state: { registers, data, instret: hart.instret }, translation: hart.translation };
  } finally {
    bench.dispose();
  }
}

for (const [what, words] of Object.entries(STRADDLING)) {
  Deno.test(`${what} that straddles pages does what is behind the first page now, in every tier`, () => {
    const calls = [0, 0, 1, 0, 1, 1, 0] as const;
    const { state } = run(words, calls);
    for (const threshold of [1, 2, 200]) {
      for (const isChecked of [false, true]) {
        assertEquals(run(words, calls, { threshold, isChecked }).state, state, `threshold ${threshold}`);
      }
    }
  });
}

Deno.test("what a device writes behind the first page counts at once", () => {
  const { "a sum": sum } = STRADDLING;
  assert(sum);
  const calls = [0, 0, 0] as const;
  const { state } = run(sum, calls, undefined, 7);
  for (const threshold of [1, 200]) assertEquals(run(sum, calls, { threshold }, 7).state, state);
  assert(state.registers.join() !== run(sum, calls).state.registers.join(), "nothing was written");
});

Deno.test("an instruction that straddles pages is translated with the code before it", () => {
  const { "a sum": sum } = STRADDLING;
  assert(sum);
  const once = run(sum, [0, 0, 0], { threshold: 200 }).translation;
  const again = run(sum, [0, 0, 0, 0, 0, 0], { threshold: 200 }).translation;
  // Each call, each stretch of a thousand instructions, and hardly anything else, comes from the interpreter.
  const more = again.entered - once.entered;
  assert(more < ROUNDS / 5, `${more} entries for ${3 * ROUNDS} rounds`);
});
