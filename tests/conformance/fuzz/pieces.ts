/** The pieces of random functions: each a few instructions that do something together. */
import { encode } from "../../../machines/riscv/encode.ts";
import { x } from "../../../machines/riscv/registers.ts";
import {
  BASES,
  beImpatient,
  computing,
  COUNTERS,
  FREE,
  fresh,
  instruction,
  MEMORY,
  type Pieces,
  ROUNDS,
  shaped,
  type Theme,
  type Writer,
} from "./instructions.ts";
import { computedGoto, farCall, frames, hotPatch, leafCalls, walk } from "./hot_loops.ts";
import * as at from "./layout.ts";

const { zero, ra, sp, gp, tp, t0, t1, t2, s0, a0, a1, a2, a3, a4, a5, s2, s3 } = x;
const BRANCH = shaped("branch"), FLOAT = shaped("float"), ATOMIC = shaped("atomic");
const FLAGS = [0x001, 0x002, 0x003] as const;
const SCRATCH = [...FLAGS, 0x140] as const;
/** The peer's causes and values are others (known_differences.ts), and it keeps odd addresses in sepc. */
const OURS_ALONE = [0x141, 0x142, 0x143] as const;
const COUNTS = [0xc00, 0xc02, 0xb00, 0xb02] as const;
const PRIVILEGED = [
  ...SCRATCH,
  ...OURS_ALONE,
  ...COUNTS,
  0x100,
  0x104,
  0x144,
  0x106,
  0x300,
  0x341,
  0x342,
  0x344,
] as const;
const MPRV = 1 << 17, SUM = 1 << 18, SSTATUS = 0x100;

/** One piece after the other, then a return. */
export function writePieces(pieces: Pieces, current: number): void {
  const { asm, random } = pieces;
  const count = 4 + random.below(10);
  const room = (at.CODE_PAGES * at.PAGE - asm.offset) / (at.FUNCTIONS - current);
  const start = asm.offset;
  // Calls that return find their way: the address is on the stack meanwhile.
  const isLeaf = random.chance(0.3);
  pieces.boundary();
  if (!isLeaf) {
    asm.addi(sp, sp, -32);
    asm.sd(ra, 8, sp);
  }
  for (let i = 0; i < count && asm.offset - start < room - 200; i++) piece(pieces, 0, current);
  pieces.boundary();
  if (!isLeaf) {
    asm.ld(ra, 8, sp);
    asm.addi(sp, sp, 32);
  }
  // Functions that return into themselves ask for a service before long.
  beImpatient(pieces);
  if (random.chance(0.85)) asm.ret();
  else asm.ecall();
}

/** Bytes that must be left for the longest piece, and for the ends of those around it. */
const LONGEST = 1500;
const THEME_FACTOR = 5;

function piece(pieces: Pieces, depth: number, current: number): void {
  pieces.boundary();
  if (pieces.asm.offset > at.CODE_PAGES * at.PAGE - LONGEST) return straight(pieces, depth, current);
  const weights = WRITERS.map(([weight, _, theme]) => theme === pieces.theme ? THEME_FACTOR * weight : weight);
  let pick = pieces.random.below(weights.reduce((sum, weight) => sum + weight));
  for (const [i, [, write]] of WRITERS.entries()) {
    pick -= weights[i] ?? 0;
    if (pick < 0) return write(pieces, depth, current);
  }
}

const straight: Writer = (pieces) => {
  for (let i = 1 + pieces.random.below(8); i > 0; i--) {
    instruction(pieces, pieces.random.chance(0.75) ? computing(pieces) : MEMORY);
  }
};

const floats: Writer = (pieces) => {
  for (let i = 1 + pieces.random.below(6); i > 0; i--) {
    instruction(pieces, pieces.random.chance(0.8) ? FLOAT : MEMORY);
  }
};

const memory: Writer = (pieces) => {
  const { asm, random } = pieces;
  for (let i = 1 + random.below(6); i > 0; i--) instruction(pieces, MEMORY);
  // Near the end of the page, whatever the pointer.
  if (random.chance(0.3)) {
    asm.lui(t0, 0x1000);
    asm.or(t1, gp, t0);
    asm.addi(t0, t0, -1 - random.below(9));
    asm.and(t1, gp, t0);
    asm.or(t1, gp, t0);
    asm.sd(t2, random.below(4), t1);
    asm.ld(t2, random.below(8), t1);
  }
};

const atomics: Writer = (pieces) => {
  const { asm, random } = pieces;
  asm.andi(t0, random.pick(BASES.slice(1)), -8);
  asm.word(
    encode(random.pick(ATOMIC), { rd: random.pick(FREE), rs1: random.chance(0.9) ? t0 : s0, rs2: random.below(32) }),
  );
  if (random.chance(0.5)) {
    // An SC that fails anyway faults on ours, and not on the peer: there it goes where it can succeed.
    if (pieces.isPortable) asm.li(t0, at.RAM + BigInt(at.STACKS + 8 * random.below(32)));
    const again = fresh(pieces);
    asm.li(a1, 3);
    asm.label(again);
    asm.lr_d(a0, t0);
    asm.add(a0, a0, a1);
    asm.sc_d(a2, a0, t0);
    asm.addi(a1, a1, -1);
    asm.bnez(a1, again);
  }
  if (!pieces.isPortable && random.chance(0.3)) instruction(pieces, shaped("loadReserved", "storeConditional"));
};

/** Hot enough to be translated at any threshold that is tried. */
const loop: Writer = (pieces, depth, current) => {
  const { asm, random } = pieces;
  const counter = COUNTERS[depth];
  if (counter === undefined) return straight(pieces, depth, current);
  const head = fresh(pieces), { calls } = pieces;
  asm.li(counter, 1 + random.below(depth === 0 ? 40 : 8));
  asm.label(head);
  for (let i = 1 + random.below(3); i > 0; i--) piece(pieces, depth + 1, current);
  pieces.boundary();
  asm.addi(counter, counter, -1);
  // A counter that something else has written must not count from far away.
  asm.andi(counter, counter, 63);
  // What is called has loops with the same counters.
  if (pieces.calls > calls) beImpatient(pieces);
  asm.bnez(counter, head);
};

const skip: Writer = (pieces, depth, current) => {
  const { asm, random } = pieces;
  const end = fresh(pieces), row = random.pick(BRANCH).name as "beq";
  asm[row](random.below(32), random.below(32), end);
  piece(pieces, depth, current);
  asm.label(end);
};

/** Calls of functions further on always end; others do because the stack's page does, or the handler's patience. */
const call: Writer = (pieces, _depth, current) => {
  const { asm, random } = pieces;
  pieces.calls++;
  const target = random.chance(0.85) && current + 1 < at.FUNCTIONS
    ? current + 1 + random.below(at.FUNCTIONS - current - 1)
    : random.below(at.FUNCTIONS);
  if (random.chance(0.7)) asm.jal(ra, `function ${target}`);
  else {
    asm.la(t0, `function ${target}`);
    if (random.chance(0.1)) asm.addi(t0, t0, 2);
    asm.jalr(random.pick([ra, ra, ra, t1]), 0, t0);
  }
};

/** A jump by a table of addresses in registers: some cases are rare. */
const jumpTable: Writer = (pieces, depth, current) => {
  const { asm, random } = pieces;
  pieces.calls++;
  const cases = 2 + random.below(3), end = fresh(pieces);
  const labels = Array.from({ length: cases }, () => fresh(pieces));
  asm.andi(t1, random.pick([s2, s3, a0, a3]), random.pick([1, 3]));
  labels.forEach((label, i) => {
    const next = fresh(pieces);
    asm.li(t2, i);
    asm.bne(t1, t2, next);
    asm.la(t0, label);
    asm.label(next);
  });
  asm.beqz(t0, end);
  asm.la(t2, labels[0] ?? end);
  asm.li(a4, cases);
  asm.bltu(t1, a4, `${end} go`);
  asm.mv(t0, t2);
  asm.label(`${end} go`);
  asm.jr(t0);
  for (const label of labels) {
    asm.label(label);
    if (depth < 2) piece(pieces, depth + 1, current);
    asm.j(end);
  }
  asm.label(end);
};

/** Returns to a place that is not behind the call: as longjmp, and as coroutines do. */
const strayReturn: Writer = (pieces) => {
  const { asm, random } = pieces;
  pieces.calls++;
  const landing = fresh(pieces), routine = fresh(pieces), end = fresh(pieces);
  asm.mv(a5, ra);
  asm.jal(ra, routine);
  asm.addi(a0, a0, 1);
  asm.j(end);
  asm.label(routine);
  if (random.chance(0.5)) asm.la(ra, landing);
  else asm.addi(ra, ra, random.pick([2, 4]));
  asm.ret();
  asm.label(landing);
  asm.addi(a0, a0, 2);
  asm.label(end);
  asm.mv(ra, a5);
};

/** Calls itself until its counter is 0. */
const recursion: Writer = (pieces) => {
  const { asm, random } = pieces;
  pieces.calls++;
  const again = fresh(pieces), leaf = fresh(pieces), end = fresh(pieces);
  asm.mv(a5, ra);
  asm.li(a3, random.pick([3, 40, 120]));
  asm.jal(ra, again);
  asm.j(end);
  asm.label(again);
  asm.beqz(a3, leaf);
  asm.addi(sp, sp, -16);
  asm.sd(ra, 0, sp);
  asm.addi(a3, a3, -1);
  asm.jal(ra, again);
  asm.ld(ra, 0, sp);
  asm.addi(sp, sp, 16);
  asm.label(leaf);
  asm.ret();
  asm.label(end);
  asm.mv(ra, a5);
};

/** Stores an instruction over one that is about to run, or has just run. */
const selfModifying: Writer = (pieces) => {
  const { asm, random } = pieces;
  const place = fresh(pieces), back = fresh(pieces);
  const isFirst = random.chance(0.5);
  const word = random.chance(0.8) ? encodeAddi(random.pick(FREE), random.below(100)) : random.bits32();
  const patch = () => {
    asm.la(t0, place);
    asm.li(t1, word | 0);
    if (random.chance(0.5)) asm.sw(t1, 0, t0);
    else asm.sh(t1, random.pick([0, 2]), t0);
    // Ours follows at once; the architecture asks for the fence.
    if (pieces.isPortable || random.chance(0.5)) asm.fence_i();
  };
  if (isFirst) patch();
  else asm.li(ROUNDS, 2);
  asm.label(back);
  asm.label(place);
  asm.word(encodeAddi(random.pick(FREE), 1));
  if (isFirst) return;
  patch();
  asm.addi(ROUNDS, ROUNDS, -1);
  asm.andi(ROUNDS, ROUNDS, 1);
  asm.bnez(ROUNDS, back);
};

const encodeAddi = (rd: number, imm: number) => (imm << 20 | rd << 15 | rd << 7 | 0x13) >>> 0;

const csrs: Writer = ({ asm, random, isPortable }) => {
  const csr = random.pick(
    isPortable ? SCRATCH : random.chance(0.6) ? [...SCRATCH, ...OURS_ALONE, ...COUNTS] : PRIVILEGED,
  );
  // FS and the like are read where all machines agree on them only; the writable ones must not undo the handler.
  const isReadOnly = csr >= 0xb00 || [0x300, 0x100, 0x341, 0x104, 0x106].includes(csr);
  const rd = random.pick(FREE);
  if (isReadOnly) asm.csrrs(rd, csr, zero);
  else if (random.chance(0.4)) asm.csrrwi(rd, csr, random.below(32));
  else asm.csrrs(rd, csr, random.pick(FREE));
};

const system: Writer = ({ asm, random, isPortable }) => {
  const kind = random.below(isPortable ? 6 : 9);
  if (kind < 3) asm.ecall();
  else if (kind < 4) asm.ebreak();
  else if (kind < 5) asm.fence_i();
  else if (kind < 6) asm.word(random.pick([0, 0xffff_ffff, 0x0000_0053 | 5 << 12, 0xc000_1073]));
  else if (kind < 7) asm.sfence_vma(random.pick([zero, gp]), zero);
  else if (kind < 8) asm.csrrw(random.pick(FREE), random.pick([0xc02, 0xc00]), zero);
  else asm.fence("rw", "rw");
};

/**
 * In supervisor mode, users' pages: seen for a while in each round of a loop, by accesses here and in a function that is
 * called. Elsewhere what should make them seen does nothing, or traps.
 */
const userPages: Writer = (pieces, depth, current) => {
  const { asm, random } = pieces;
  // The peer lets the supervisor run a page that it has read so.
  if (pieces.isPortable) return straight(pieces, depth, current);
  const counter = COUNTERS[depth] ?? ROUNDS;
  const head = fresh(pieces), leaf = fresh(pieces), start = fresh(pieces);
  const accesses = () => {
    for (let i = 1 + random.below(3); i > 0; i--) instruction(pieces, MEMORY);
  };
  const change = (isSeen: boolean) => {
    asm.li(t0, isSeen || random.chance(0.5) ? SUM : random.pick([SUM | 2, SUM | 3 << 13, SUM | 1 << 19]));
    if (isSeen) asm.csrrs(random.pick([zero, t1]), SSTATUS, t0);
    else asm.csrrc(random.pick([zero, t1]), SSTATUS, t0);
  };
  pieces.calls++;
  asm.mv(a5, ra);
  asm.j(start);
  asm.label(leaf);
  accesses();
  if (random.chance(0.3)) change(random.chance(0.5));
  asm.ret();
  asm.label(start);
  asm.li(counter, 1 + random.below(30));
  asm.label(head);
  accesses();
  change(true);
  accesses();
  if (random.chance(0.5)) asm.jal(ra, leaf);
  if (random.chance(0.8)) change(false);
  accesses();
  asm.addi(counter, counter, -1);
  asm.andi(counter, counter, 63);
  beImpatient(pieces);
  asm.bnez(counter, head);
  asm.mv(ra, a5);
};

/** In machine mode, data of another space; elsewhere three illegal instructions. */
const borrowed: Writer = (pieces) => {
  const { asm, random } = pieces;
  if (pieces.isPortable) return straight(pieces, 0, 0);
  asm.li(t0, MPRV | (random.chance(0.5) ? 1 << 11 : 0));
  asm.li(t2, 3 << 11);
  asm.csrrc(zero, 0x300, t2);
  asm.csrrs(zero, 0x300, t0);
  for (let i = 1 + random.below(3); i > 0; i--) instruction(pieces, MEMORY);
  asm.csrrc(zero, 0x300, t0);
};

/** Halfwords that are instructions by chance. */
const compressed: Writer = ({ asm, random }) => {
  for (let i = 1 + random.below(5); i > 0; i--) {
    const half = random.bits32() & 0xffff;
    asm.half((half & 3) === 3 ? half & ~1 : half);
  }
  if (asm.offset % 4 !== 0) asm.half(1);
};

const noise: Writer = ({ asm, random }) => asm.word(random.bits32());

const pointer: Writer = ({ asm, random }) => {
  const step = random.pick([8, -8, 1, 64, 2040, -2040]);
  asm.addi(random.pick([gp, tp, s0]), random.pick([gp, tp, s0]), step);
};

/** By weight. What belongs to a program's theme comes more often. */
const WRITERS: readonly (readonly [number, Writer, Theme?])[] = [
  [16, straight],
  [8, floats],
  [10, memory, "memory"],
  [5, atomics],
  [12, loop],
  [6, skip],
  [10, call, "calls"],
  [4, jumpTable, "calls"],
  [3, strayReturn, "calls"],
  [3, recursion, "calls"],
  [4, selfModifying, "changes"],
  [6, csrs],
  [7, system, "changes"],
  [2, borrowed],
  [5, userPages, "changes"],
  [4, compressed],
  [1, noise],
  [4, pointer],
  [12, walk, "memory"],
  [4, leafCalls, "calls"],
  [3, computedGoto, "calls"],
  [3, hotPatch, "changes"],
  [3, frames, "calls"],
  [3, farCall, "calls"],
];
