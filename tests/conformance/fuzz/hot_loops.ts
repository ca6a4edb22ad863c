/**
 * Pieces that get hot, and in which much can be taken for granted until it no longer holds: accesses that move over the
 * ends of pages, leaf functions, jumps by tables, code that changes while it runs.
 */
import { encode } from "../../../machines/riscv/encode.ts";
import { x } from "../../../machines/riscv/registers.ts";
import { DEVICE } from "../../machines/riscv/bare_metal.ts";
import { Random } from "../random.ts";
import {
  beImpatient,
  computing,
  COUNTERS,
  fresh,
  instruction,
  MEMORY,
  type Pieces,
  ROUNDS,
  shaped,
  type Writer,
} from "./instructions.ts";
import * as at from "./layout.ts";

const { zero, ra, sp, t0, t1, t2, a0, a1, a2, a3, a4, a5, a6, a7, s0, s6, s7, s8, s9, s10, t3, t4, t5, t6 } = x;
/** Registers that walks move: set anew each time. Many, since what is learned of one holds for all of a page. */
const WALKERS = [s6, s7, s8, a4, a6, a7, t5, t6] as const;
/** What walks load into and store from. */
const VALUES = [t1, t2, a0, a1, a2, a3, s9, s10, t3, t4, zero] as const;
const BRANCH = shaped("branch");

/** Near a page's end, from where walks set out. */
function edge({ random, isPortable }: Pieces): bigint {
  const data = () => at.RAM + BigInt(at.DATA + at.PAGE * (1 + random.below(at.DATA_PAGES)));
  const kind = random.below(20);
  const end = kind < 15
    ? data()
    : kind === 15
    ? at.RAM + BigInt(isPortable ? at.MACHINE_RAM_BYTES : at.BENCH_RAM_BYTES)
    : kind === 16
    ? at.RAM
    : isPortable
    ? data()
    : kind === 17
    ? random.pick([at.RAM + BigInt(at.DATA), 1n << 64n])
    : kind === 18
    ? at.MOVED_WINDOW + BigInt(at.PAGE * random.below(2))
    : DEVICE + BigInt(at.PAGE * random.below(2));
  const start = end -
    BigInt(random.pick([0, 8, 40, random.below(40), random.below(40), random.below(300), 8 * random.below(40)]));
  return BigInt.asIntN(64, random.chance(0.15) ? start + at.WINDOWS[1] - at.WINDOWS[0] : start);
}

const STEPS = [8, 8, 16, 4, 1, 1, 3, 5, 7, 24, 64, -8, -1, -3, -16, -64, 256, -200, 2040] as const;
const SMALL_STEPS = [8, 8, 16, 4, 1, -8, -8, -3, 24] as const;
/** How far a walk goes at most, so that it does not come to what programs need: page tables, handlers. */
const FAR = 5000;

/** Distances of the accesses of one walk: near to one another, or as far apart as they can be. */
function distances(random: Random): () => number {
  const spread = random.pick([16, 64, 64, 200, 520, 2048]);
  const middle = random.pick([0, 0, 0, -64, 100, -1000, 2047 - spread]);
  const unit = random.pick([1, 4, 8, 8, 8]);
  return () => {
    const distance = middle + Math.floor((random.below(2 * spread) - spread) / unit) * unit;
    return Math.min(2047, Math.max(-2048, distance));
  };
}

/** A load or store by a register at a distance; f registers take part. */
function access({ asm, random }: Pieces, pointer: number, distance: number): void {
  const row = random.pick(MEMORY);
  const isFloat = row.semantics.shape !== "compute" && "file" in row.semantics && row.semantics.file === "f";
  const value = isFloat ? random.below(32) : random.pick(VALUES);
  // Now and then a pointer is read into itself, and leads anywhere.
  const rd = !isFloat && random.chance(0.01) ? pointer : value;
  asm.word(encode(row, { rd, rs1: pointer, rs2: value, imm: distance }));
}

/** Some accesses by a few registers, which move in between, on one way or another. */
function stretch(pieces: Pieces, pointers: readonly number[], far: () => number): void {
  const { asm, random } = pieces;
  const joins: string[] = [];
  for (let i = 1 + random.below(7); i > 0; i--) {
    const kind = random.below(16);
    const pointer = random.pick(pointers);
    if (kind < 10) access(pieces, pointer, far());
    else if (kind < 11) asm.addi(pointer, pointer, random.pick(SMALL_STEPS));
    else if (kind < 12) asm.addi(random.pick(pointers), pointer, random.pick([0, 0, 8, -8, 64]));
    else if (kind < 13) instruction(pieces, computing(pieces));
    else if (kind < 15) {
      const end = fresh(pieces), row = random.pick(BRANCH).name as "beq";
      asm[row](random.pick(VALUES), random.pick(VALUES), end);
      joins.push(end);
      if (random.chance(0.4)) asm.label(joins.splice(random.below(joins.length), 1)[0] ?? fresh(pieces));
    } else asm.add(random.pick(VALUES), random.pick(VALUES), random.pick(VALUES));
  }
  for (const join of joins) {
    asm.label(join);
    if (random.chance(0.5)) access(pieces, random.pick(pointers), far());
  }
}

/** Loops, unrolled or not, of several blocks, whose accesses move over the ends of pages. */
export const walk: Writer = (pieces, depth) => {
  const { asm, random } = pieces;
  const counter = COUNTERS[depth];
  if (counter === undefined) return instruction(pieces, computing(pieces));
  const pointers = Array.from({ length: random.pick([1, 1, 2, 3]) }, () => random.pick(WALKERS));
  const far = distances(random), head = fresh(pieces), out = fresh(pieces);
  for (const pointer of pointers) asm.li(pointer, edge(pieces));
  // Also by a pointer that goes nowhere, as a frame's does.
  const bases = random.chance(0.3) ? [...pointers, random.pick([sp, s0])] : pointers;
  const seed = random.bits32(), step = random.pick(STEPS);
  const copies = random.pick([1, 1, 1, 2, 4]);
  const most = Math.ceil(FAR / Math.abs(step) / copies);
  asm.li(counter, 1 + random.below(Math.min(most, depth === 0 ? 60 : 12)));
  asm.label(head);
  for (let copy = 0; copy < copies; copy++) {
    pieces.boundary();
    // Unrolled loops repeat themselves; others go on.
    if (copies > 1) sameAgain(pieces, seed, (same) => stretch(same, bases, far));
    else for (let i = 1 + random.below(3); i > 0; i--) stretch(pieces, bases, far);
    for (const pointer of pointers) if (random.chance(0.9)) asm.addi(pointer, pointer, step);
  }
  if (random.chance(0.2)) asm.bltu(random.pick(pointers), random.pick(VALUES), out);
  pieces.boundary();
  asm.addi(counter, counter, -1);
  asm.andi(counter, counter, 63);
  asm.bnez(counter, head);
  asm.label(out);
};

/** What is written is the same for the same seed, but for labels. */
function sameAgain(pieces: Pieces, seed: number, write: (same: Pieces) => void): void {
  const same: Pieces = { ...pieces, random: new Random(seed) };
  write(same);
  pieces.labels = same.labels;
}

/** A loop that calls leaf functions of its own page, which mostly return to behind the call. */
export const leafCalls: Writer = (pieces, depth) => {
  const { asm, random } = pieces;
  const counter = COUNTERS[depth] ?? ROUNDS;
  const head = fresh(pieces), start = fresh(pieces), end = fresh(pieces), inner = fresh(pieces);
  const far = distances(random);
  pieces.calls++;
  const pointer = random.pick(WALKERS.slice(0, 3));
  asm.mv(a5, ra);
  asm.li(pointer, edge(pieces));
  asm.j(start);
  const leaf = asm.offset;
  for (let i = random.below(5); i > 0; i--) {
    random.chance(0.6) ? access(pieces, pointer, far()) : instruction(pieces, computing(pieces));
  }
  if (random.chance(0.3)) {
    asm.li(a4, 1 + random.below(4));
    asm.label(inner);
    access(pieces, pointer, far());
    asm.addi(a4, a4, -1);
    asm.bnez(a4, inner);
  }
  if (random.chance(0.5)) asm.addi(pointer, pointer, random.pick(SMALL_STEPS));
  if (random.chance(0.1)) asm.la(ra, random.pick([head, end]));
  else if (random.chance(0.05)) asm.addi(ra, ra, 4);
  asm.ret();
  asm.label(start);
  asm.li(counter, 1 + random.below(40));
  asm.label(head);
  pieces.boundary();
  for (let i = 1 + random.below(3); i > 0; i--) {
    if (random.chance(0.5)) access(pieces, pointer, far());
    if (random.chance(0.5)) asm.jal(ra, leaf - asm.offset);
    else farJump(pieces, ra, leaf);
  }
  asm.addi(counter, counter, -1);
  asm.andi(counter, counter, 63);
  beImpatient(pieces);
  asm.bnez(counter, head);
  asm.label(end);
  asm.mv(ra, a5);
};

/** `auipc` and `jalr` to a place that is written already. */
function farJump({ asm, random }: Pieces, link: number, to: number): void {
  const distance = to - asm.offset, upper = (distance + 0x800) >> 12;
  const pair = random.pick([t0, t1, link === zero ? t0 : link]);
  asm.auipc(pair, upper);
  asm.jalr(link, distance - (upper << 12), pair);
}

export const farCall: Writer = (pieces) => {
  const { random, functions } = pieces;
  if (functions.length === 0) return instruction(pieces, MEMORY);
  pieces.calls++;
  farJump(pieces, random.pick([ra, ra, ra, t0, zero]), random.pick(functions));
};

/** A loop with a jump into a table of cases, or by a table of addresses. */
export const computedGoto: Writer = (pieces, depth) => {
  const { asm, random } = pieces;
  const counter = COUNTERS[depth] ?? ROUNDS;
  const cases = random.pick([2, 4, 8]), isByAddress = random.chance(0.5);
  const head = fresh(pieces), next = fresh(pieces), table = fresh(pieces);
  const labels = Array.from({ length: cases }, () => fresh(pieces));
  pieces.calls++;
  asm.li(counter, 1 + random.below(40));
  asm.label(head);
  // Mostly in turn; now and then by what is anywhere.
  asm.andi(t1, random.chance(0.8) ? counter : a3, cases - 1);
  asm.slli(t1, t1, isByAddress ? 3 : 4);
  asm.la(t2, table);
  asm.add(t2, t2, t1);
  if (isByAddress) asm.ld(t2, 0, t2);
  if (random.chance(0.2)) {
    asm.mv(a5, ra);
    asm.jalr(ra, 0, t2);
    asm.mv(ra, a5);
  } else asm.jr(t2);
  if (isByAddress) {
    asm.align(8);
    asm.label(table);
    asm.dword(...labels);
  } else {
    asm.align(16);
    asm.label(table);
  }
  for (const label of labels) {
    if (!isByAddress) asm.align(16);
    asm.label(label);
    instruction(pieces, random.chance(0.7) ? computing(pieces) : MEMORY);
    if (random.chance(0.5)) instruction(pieces, computing(pieces));
    asm.j(next);
  }
  asm.label(next);
  asm.addi(counter, counter, -1);
  asm.andi(counter, counter, 63);
  beImpatient(pieces);
  asm.bnez(counter, head);
};

/** In one round of a loop that is hot by then, an instruction of it, or of what it calls, becomes another. */
export const hotPatch: Writer = (pieces, depth) => {
  const { asm, random } = pieces;
  const counter = COUNTERS[depth] ?? ROUNDS;
  const head = fresh(pieces), leaf = fresh(pieces), place = fresh(pieces), skip = fresh(pieces), start = fresh(pieces);
  const isInLeaf = random.chance(0.5), rounds = 10 + random.below(50);
  const patched = () => {
    asm.align(4);
    asm.label(place);
    asm.word(encode(random.pick(ADDITIONS), { rd: a0, rs1: a0, imm: 1 }));
    asm.word(encode(random.pick(ADDITIONS), { rd: a1, rs1: a0, imm: 2 }));
  };
  pieces.calls++;
  asm.mv(a5, ra);
  asm.j(start);
  asm.label(leaf);
  if (isInLeaf) patched();
  else asm.add(a2, a2, a0);
  asm.ret();
  asm.label(start);
  asm.li(counter, rounds);
  asm.label(head);
  if (!isInLeaf && random.chance(0.5)) patched();
  else if (!isInLeaf) {
    asm.call(leaf);
    patched();
  } else asm.call(leaf);
  asm.li(t0, random.below(rounds));
  asm.bne(counter, t0, skip);
  asm.la(t0, place);
  asm.li(t1, encode(random.pick(ADDITIONS), { rd: random.pick([a0, a1, a2]), rs1: a1, imm: random.below(900) }) | 0);
  if (random.chance(0.3)) {
    asm.slli(t2, t1, 32);
    asm.li(t1, 0x13);
    asm.or(t1, t1, t2);
    asm.sd(t1, 0, t0);
  } else asm.sw(t1, random.pick([0, 4]), t0);
  // Ours follows at once; the architecture asks for the fence.
  if (pieces.isPortable || random.chance(0.5)) asm.fence_i();
  asm.label(skip);
  asm.addi(counter, counter, -1);
  asm.andi(counter, counter, 63);
  beImpatient(pieces);
  asm.bnez(counter, head);
  asm.mv(ra, a5);
};

const ADDITIONS = shaped("compute").filter(({ name }) => ["addi", "addiw", "xori", "ori"].includes(name));

/** Recursion with frames of several doublewords, which lie across the ends of pages, deeper than calls nest on the host. */
export const frames: Writer = (pieces) => {
  const { asm, random } = pieces;
  const again = fresh(pieces), leaf = fresh(pieces), end = fresh(pieces);
  const size = random.pick([16, 32, 48, 112]);
  const kept = [a0, a1, t3, t4, s9, s10].slice(0, size / 8 - 2);
  pieces.calls++;
  asm.mv(s8, ra);
  asm.mv(s7, sp);
  if (random.chance(0.5)) asm.li(sp, at.RAM + BigInt(at.BEHIND - 8 * random.below(30)));
  asm.li(a3, Math.min(random.pick([3, 20, 60, 300]), Math.floor(FAR / size)));
  asm.jal(ra, again);
  asm.j(end);
  asm.label(again);
  asm.beqz(a3, leaf);
  asm.addi(sp, sp, -size);
  asm.sd(ra, size - 8, sp);
  kept.forEach((register, i) => asm.sd(register, 8 * i, sp));
  asm.sd(a3, size - 16, sp);
  asm.addi(a3, a3, -1);
  asm.jal(ra, again);
  asm.ld(a4, size - 16, sp);
  asm.add(a0, a0, a4);
  kept.forEach((register, i) => asm.ld(register, 8 * i, sp));
  asm.ld(ra, size - 8, sp);
  asm.addi(sp, sp, size);
  asm.label(leaf);
  asm.ret();
  asm.label(end);
  asm.mv(sp, s7);
  asm.mv(ra, s8);
};
