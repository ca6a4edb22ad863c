/**
 * Random programs for whole harts: functions of pieces that compute, loop, call, jump, fault, ask for services, and store
 * into themselves, in all modes and several address spaces. The same seed gives the same program.
 */
import { type Assembler, assembler } from "../../../machines/riscv/assemble.ts";
import { x } from "../../../machines/riscv/registers.ts";
import { DEVICE } from "../../machines/riscv/bare_metal.ts";
import { Random } from "../random.ts";
import { handlers, POINTERS, satpOf } from "./handler.ts";
import * as at from "./layout.ts";
import { PATIENCE, type Pieces, THEMES } from "./instructions.ts";
import { writePieces } from "./pieces.ts";

/** A stretch of code that can be made to do nothing: the smallest part of a program that counts. */
export interface Piece {
  /** From the start of RAM. */
  readonly offset: number;
  readonly length: number;
}

export interface Program {
  readonly seed: number;
  readonly harts: number;
  /** For the peer, too: what it does otherwise does not occur, and the program ends by itself. */
  readonly isPortable: boolean;
  /** The first bytes of RAM. */
  readonly image: Uint8Array;
  readonly pieces: readonly Piece[];
}

/** Ticks of the CLINT until it is given up: half a second. */
const TIME_LIMIT = 5_000_000;
const MTIME = 0x200_bff8, MTIMECMP = 0x200_4000;
const V = 1, R = 2, W = 4, X = 8, U = 16, A = 64, D = 128;

export function randomProgram(seed: number, isPortable: boolean): Program {
  const random = new Random(seed);
  const harts = isPortable || random.chance(0.7) ? 1 : at.HARTS;
  const image = new Uint8Array(at.COMPARED_BYTES);
  const view = new DataView(image.buffer);
  image.set(handlers({ dumps: isPortable }), at.HANDLER);
  for (let i = at.DATA; i < at.DATA + at.DATA_PAGES * at.PAGE; i += 4) view.setUint32(i, random.bits32(), true);
  const { pieces, functions } = code(image, random, isPortable);
  for (let hart = 0; hart < harts; hart++) saveArea(view, hart, functions, random, isPortable);
  for (let hart = 0; hart < harts; hart++) {
    for (let space = 0; space < at.SPACES; space++) tables(view, hart, space, random, isPortable);
  }
  return { seed, harts, isPortable, image, pieces };
}

/** The code's pages, full of functions; the last bytes are whatever they were. */
function code(image: Uint8Array, random: Random, isPortable: boolean) {
  const asm = assembler({ compressed: random.chance(0.6) });
  const boundaries: number[] = [], functions: number[] = [];
  const room = at.CODE_PAGES * at.PAGE;
  const boundary = () => void boundaries.push(asm.offset);
  const theme = random.pick(THEMES);
  const pieces: Pieces = { asm, random, isPortable, theme, functions, labels: 0, calls: 0, boundary };
  // Functions may call each other, also those that come later.
  for (let i = 0; i < at.FUNCTIONS; i++) {
    // Some begin near the end of a page.
    const end = Math.ceil(asm.offset / at.PAGE) * at.PAGE;
    if (random.chance(0.3) && end - asm.offset < 0x600) asm.space(Math.max(0, end - asm.offset - 2 * random.below(24)));
    asm.align(2);
    asm.label(`function ${i}`);
    functions.push(asm.offset);
    writePieces(pieces, i);
  }
  const base = at.RAM + BigInt(at.CODE);
  const { bytes } = asm.finish({ base });
  if (bytes.length > room) throw new RangeError(`seed code takes ${bytes.length} bytes`);
  image.set(bytes, at.CODE);
  boundaries.push(bytes.length);
  return {
    functions: functions.map((offset) => base + BigInt(offset)),
    pieces: boundaries.slice(1).map((end, i) => {
      const offset = boundaries[i] ?? 0;
      return { offset: at.CODE + offset, length: end - offset };
    }).filter(({ length }) => length > 0),
  };
}

function saveArea(view: DataView, hart: number, functions: readonly bigint[], random: Random, isPortable: boolean) {
  const start = at.SAVE_AREAS + hart * at.SAVE_BYTES;
  const set = (field: number, value: bigint) => view.setBigUint64(start + field, BigInt.asUintN(64, value), true);
  set(at.SAVE.limit, isPortable ? BigInt(at.TRAP_LIMIT) : -1n);
  set(at.SAVE.services, BigInt(random.below(16)));
  set(at.SAVE.tables, BigInt(hart * at.TABLE_PAGES));
  functions.forEach((address, i) => set(at.SAVE.functions + 8 * i, address));
  POINTERS.forEach((register, i) => set(at.SAVE.pointers + 8 * i, initialPointer(register, hart, functions, random)));
  for (let i = 0; i < at.TEMPLATES; i++) {
    const place = at.CODE + 2 * random.below(at.CODE_PAGES * at.PAGE / 2 - 1);
    set(
      at.SAVE.templates + 8 * i,
      BigInt(random.pick([0x00150513, 0x0001, 0x40b50533, 0xffff_ffff, 0x00008067, 0x00853583])),
    );
    set(at.SAVE.templatePlaces + 8 * i, at.RAM + BigInt(place));
  }
}

function initialPointer(register: number, hart: number, functions: readonly bigint[], random: Random): bigint {
  if (register === x.sp) return at.RAM + BigInt(at.STACKS + at.STACK_BYTES * (hart + 1) - 0x100);
  if (register === x.ra) return random.pick(functions);
  // One points into the code.
  if (register === x.s1) return at.RAM + BigInt(at.CODE + 4 * random.below(at.CODE_PAGES * at.PAGE / 4));
  const page = random.below(at.DATA_PAGES);
  const place = random.pick([0, 8, 0x7f8, at.PAGE - 8, at.PAGE - 4, at.PAGE - 1, 4 * random.below(1024)]);
  return at.RAM + BigInt(at.DATA + page * at.PAGE + place);
}

/** What a space shows behind its data. */
function behind(random: Random, isPortable: boolean): { target: bigint; rights: number } {
  const ram = (offset: number, rights: number) => ({ target: at.RAM + BigInt(offset), rights });
  const shared = [ram(at.BEHIND, R | W), ram(at.BEHIND, R), ram(at.BEHIND, 0), ram(at.DATA, R | W), ram(at.DATA, R)];
  const others = [{ target: DEVICE, rights: R | W }, { target: at.MOVED_WINDOW, rights: R | W | X }];
  return random.pick(isPortable ? shared : [...shared, ...others]);
}

/** Spaces 0 and 1 are the supervisor's, 2 and 3 the user's; in 1 and 3 some pages lie elsewhere or allow less. */
function tables(view: DataView, hart: number, space: number, random: Random, isPortable: boolean): void {
  const root = at.TABLES + (3 * space + hart * at.TABLE_PAGES) * at.PAGE,
    middle = root + at.PAGE,
    leaves = middle + at.PAGE;
  const frame = (offset: number) => (at.RAM + BigInt(offset)) >> 12n << 10n;
  const set = (table: number, index: number, entry: bigint) => view.setBigUint64(table + 8 * index, entry, true);
  set(root, 511, frame(middle) | BigInt(V));
  set(root, 2, frame(middle) | BigInt(V));
  set(root, 3, frame(0) | BigInt(V | R | W | X | A | D | (space >= 2 ? U : 0)));
  set(middle, 0, frame(leaves) | BigInt(V));
  set(middle, 511, frame(0) | BigInt(V | R | W | X | A | D | (space >= 2 ? U : 0)));
  const isOdd = space % 2 === 1;
  for (let page = 0; page < 512; page++) {
    const offset = page * at.PAGE;
    const isProgram = offset < at.TABLES;
    const isData = offset >= at.DATA && offset < at.DATA + at.DATA_PAGES * at.PAGE;
    const user = isProgram && space >= 2 ? U : isData && random.chance(0.3) ? U : 0;
    let target = offset, rights = R | W | X;
    if (!isOdd && offset === at.DATA + at.PAGE) target = at.DATA + 3 * at.PAGE;
    else if (!isOdd && offset === at.DATA + 3 * at.PAGE) target = at.DATA + at.PAGE;
    else if (isOdd && offset === at.DATA) target = at.DATA + 2 * at.PAGE;
    else if (isOdd && offset === at.DATA + 2 * at.PAGE) target = at.DATA;
    else if (isOdd && isData) rights = random.pick([R | W, R, X, R | X, 0]);
    else if (isOdd && offset >= at.CODE && offset < at.DATA) rights = random.pick([R | W | X, R | X, X]);
    const seen = random.pick([A | D, A | D, A, 0]);
    const where = offset === at.BEHIND ? behind(random, isPortable) : { target: at.RAM + BigInt(target), rights };
    set(leaves, page, where.target >> 12n << 10n | BigInt(V | where.rights | user | seen));
  }
}

/** Matching and rights of PMP entries (privileged specification, 3.7.1). */
const TOR = 1 << 3, NAPOT = 3 << 3, LOCKED = 1 << 7, RWX = 7;
/** Test finisher, CLINT, UART and RAM: elsewhere the peer has devices that ours has not. */
const SHARED = [
  [0x10_0000n, 0x10_1000n],
  [0x200_0000n, 0x201_0000n],
  [0x1000_0000n, 0x1000_1000n],
  [at.RAM, at.RAM + BigInt(at.MACHINE_RAM_BYTES)],
] as const;

/** PMP: one page of data that services open and close; or, for good, all that not both machines have. */
function protection(isPortable: boolean): [number, bigint][] {
  const everything = (1n << 54n) - 1n;
  const entries: (readonly [bigint, number])[] = isPortable
    ? [
      ...SHARED.flatMap(([start, end]) => [[start >> 2n, TOR | LOCKED], [end >> 2n, TOR | RWX]] as const),
      [everything, NAPOT | LOCKED],
    ]
    : [[(at.RAM + BigInt(at.DATA + at.PAGE)) >> 2n | 0x1ffn, NAPOT | RWX], [everything, NAPOT | RWX]];
  const configuration = (first: number) =>
    entries.slice(first, first + 8).reduce((word, [, rights], i) => word | BigInt(rights) << BigInt(8 * i), 0n);
  return [
    ...entries.map(([address], i): [number, bigint] => [0x3b0 + i, address]),
    [0x3a0, configuration(0)],
    [0x3a2, configuration(8)],
  ];
}

/** Registers and CSRs that a hart starts with, by number: x, then f; the code is entered by a trap. */
export function initialState(program: Program, hart: number) {
  const random = new Random(program.seed * 7 + hart + 1);
  const registers = Array.from(
    { length: 64 },
    () =>
      random.pick([
        random.bits64(),
        BigInt.asUintN(64, BigInt(random.below(256) - 128)),
        1n << BigInt(random.below(64)),
      ]),
  );
  registers[PATIENCE] = 10n;
  const saves = at.RAM + BigInt(at.SAVE_AREAS + hart * at.SAVE_BYTES);
  const csrs: (readonly [number, bigint])[] = [
    [0x305, at.RAM + BigInt(at.HANDLER)],
    [0x105, at.RAM + BigInt(at.SUPERVISOR_HANDLER)],
    [0x340, saves],
    ...protection(program.isPortable),
    [0x180, satpOf(0, hart)],
    [0x306, 7n],
    [0x106, 7n],
    [0x304, 0xaaan],
    // Nothing interrupts the peer but the timer that ends the program.
    [0x303, !program.isPortable && random.chance(0.5) ? 0x222n : 0n],
    [0x300, 0x2000n],
  ];
  return { registers, csrs };
}

/**
 * Sets the same state by instructions, and the timer that ends the program if it does not trap often enough: for machines
 * whose registers can't be set from outside. It is entered at its first byte, and leaves through the handler.
 */
export function startingCode(program: Program): Uint8Array {
  const asm: Assembler = assembler();
  const { registers, csrs } = initialState(program, 0);
  const { t0, t1 } = x;
  for (const [csr, value] of csrs) {
    asm.li(t0, csr === 0x304 ? 1n << 7n : value);
    asm.csrw(csr, t0);
  }
  asm.li(t0, MTIME);
  asm.ld(t1, 0, t0);
  asm.li(t0, TIME_LIMIT);
  asm.add(t1, t1, t0);
  asm.li(t0, MTIMECMP);
  asm.sd(t1, 0, t0);
  for (let number = 0; number < 32; number++) {
    asm.li(t0, registers[32 + number] ?? 0n);
    asm.fmv_d_x(number, t0);
  }
  for (let number = 1; number < 32; number++) asm.li(number, registers[number] ?? 0n);
  asm.ecall();
  return asm.finish().bytes;
}
