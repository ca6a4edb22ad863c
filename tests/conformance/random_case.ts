/**
 * A random situation for the lockstep runner: a short stream of instructions, the registers that it starts with, the mode
 * and translation that it runs under, and page tables with every kind of permission.
 */

import { POINTERS, randomWord, STATUS_VALUE } from "./random_instruction.ts";
import { Random } from "./random.ts";

/** Physical addresses of what a case uses. */
export const PLACES = {
  /** Clears the reservation, flushes translations, then MRET into the stream. */
  launch: 0x8000_0000,
  machineVector: 0x8000_1000,
  supervisorVector: 0x8000_2000,
  scratch: 0x8000_3000,
  /** Two pages. */
  code: 0x8001_0000,
  /** Eight pages. */
  data: 0x8002_0000,
  /** Root, then middle and leaf tables of the supervisor's window, then of the user's. */
  tables: 0x8004_0000,
} as const;

const PAGE = 4096;
const DATA_PAGES = 8;
const CODE_PAGES = 2;
const TABLE_PAGES = 5;
/** Virtual address where user mode sees what lies at 0x8000_0000. */
const USER_WINDOW = 0x4000_0000;
const WINDOW = 0x8000_0000;

export interface Case {
  readonly seed: number;
  readonly mode: 0 | 1 | 3;
  readonly paging: boolean;
  /** Where the stream starts, as the mode sees it. */
  readonly pc: bigint;
  readonly memory: readonly { readonly address: number; readonly bytes: Uint8Array }[];
  readonly registers: ReadonlyMap<string, bigint>;
  readonly csrs: ReadonlyMap<string, bigint>;
}

/** What may differ after a case, besides registers. */
export const COMPARED_MEMORY = [
  { address: PLACES.data, length: DATA_PAGES * PAGE },
  { address: PLACES.tables, length: TABLE_PAGES * PAGE },
] as const;

export function randomCase(seed: number): Case {
  const random = new Random(seed);
  const mode = random.pick([0, 1, 1, 3] as const);
  const paging = random.chance(mode === 3 ? 0.3 : 0.6);
  const virtual = paging && mode !== 3;
  const start = random.pick([0, 0, 0x100, PAGE - 2, PAGE - 4, PAGE - 10, PAGE - 18]);
  const window = virtual && mode === 0 ? USER_WINDOW : WINDOW;
  const pc = BigInt(window + (PLACES.code - WINDOW) + start);
  return {
    seed,
    mode,
    paging,
    pc,
    memory: [
      { address: PLACES.code + start, bytes: stream(random) },
      { address: PLACES.data, bytes: data(random) },
      { address: PLACES.tables, bytes: pageTables(random) },
    ],
    registers: registers(random, virtual),
    csrs: csrs(random, mode, paging, pc),
  };
}

const STREAM_WORDS = 12;

function stream(random: Random): Uint8Array {
  const bytes = new Uint8Array(STREAM_WORDS * 4 + 4);
  const view = new DataView(bytes.buffer);
  let at = 0;
  for (let i = 0; i < STREAM_WORDS; i++) {
    const { word, length } = randomWord(random);
    if (length === 2) view.setUint16(at, word, true);
    else view.setUint32(at, word, true);
    at += length;
  }
  return bytes.subarray(0, at);
}

const EDGES64 = [
  ...[0n, 1n, 2n, 0x7fn, 0x80n, 0xffn, 0x7fff_ffffn, 0x8000_0000n, 0xffff_ffffn, 0x1_0000_0000n],
  ...[0x7fff_ffff_ffff_ffffn, 0x8000_0000_0000_0000n, 0xffff_ffff_ffff_ffffn, 0xffff_ffff_8000_0000n],
];
/** Doubles, then singles in their boxes, then a single without one. */
const EDGES_FLOAT = [
  ...[0n, 0x8000_0000_0000_0000n, 0x3ff0_0000_0000_0000n, 0xbff8_0000_0000_0000n, 0x7ff0_0000_0000_0000n],
  ...[0xfff0_0000_0000_0000n, 0x7ff8_0000_0000_0000n, 0x7ff0_0000_0000_0001n, 1n, 0x000f_ffff_ffff_ffffn],
  ...[0x0010_0000_0000_0000n, 0x7fef_ffff_ffff_ffffn, 0x43e0_0000_0000_0000n, 0x41df_ffff_ffc0_0000n],
  ...[0xffff_ffff_0000_0000n, 0xffff_ffff_8000_0000n, 0xffff_ffff_3f80_0000n, 0xffff_ffff_7f80_0000n],
  ...[0xffff_ffff_7fc0_0000n, 0xffff_ffff_7f80_0001n, 0xffff_ffff_0000_0001n, 0xffff_ffff_007f_ffffn],
  ...[0xffff_ffff_4f00_0000n, 0xffff_ffff_7f7f_ffffn, 0x3f80_0000n],
];

function registers(random: Random, virtual: boolean): Map<string, bigint> {
  const values = new Map<string, bigint>();
  for (let i = 1; i < 32; i++) {
    const pointer = POINTERS.some((register) => register === i);
    values.set(
      `x${i}`,
      pointer ? address(random, virtual) : random.chance(0.4) ? random.pick(EDGES64) : random.bits64(),
    );
  }
  values.set(
    `x${STATUS_VALUE}`,
    random.bits64() & WRITABLE_STATUS | 10n << 32n | BigInt(random.pick([0, 1, 3])) << MPP_SHIFT,
  );
  for (let i = 0; i < 32; i++) values.set(`f${i}`, float(random));
  return values;
}

function float(random: Random): bigint {
  const kind = random.below(4);
  if (kind === 0) return random.bits64();
  if (kind === 1) return 0xffff_ffff_0000_0000n | BigInt(random.bits32());
  if (kind === 2) return random.pick(EDGES_FLOAT);
  // Exponents near one another, so that sums cancel and products stay finite.
  return random.bits64() & 0x800f_ffff_ffff_ffffn | BigInt(0x3f8 + random.below(16)) << 52n;
}

/** Mostly in the data pages, near page ends as often as not; sometimes nowhere. */
function address(random: Random, virtual: boolean): bigint {
  const page = PLACES.data + random.below(DATA_PAGES) * PAGE;
  const within = random.pick([
    0,
    8,
    16,
    PAGE - 1,
    PAGE - 2,
    PAGE - 4,
    PAGE - 8,
    8 * random.below(512),
    random.below(PAGE),
  ]);
  if (random.chance(0.04)) return random.bits64();
  if (random.chance(0.03)) {
    return BigInt(random.pick([0, 0x20_0000, 0xc000_0000, 0x8020_0000, 0x1_0000_0000]));
  }
  const window = virtual && random.chance(0.5) ? USER_WINDOW : WINDOW;
  return BigInt(window + (page - WINDOW) + within);
}

function data(random: Random): Uint8Array {
  const bytes = new Uint8Array(DATA_PAGES * PAGE);
  const view = new DataView(bytes.buffer);
  // Only what pointers name is worth random content: page ends and beginnings.
  for (let page = 0; page < DATA_PAGES; page++) {
    for (let at = 0; at < 128; at += 4) {
      view.setUint32(page * PAGE + at, random.bits32(), true);
      view.setUint32(page * PAGE + PAGE - 128 + at, random.bits32(), true);
    }
  }
  return bytes;
}

/** Bits of a page-table entry (privileged specification, Sv39). */
const V = 1n, R = 2n, W = 4n, X = 8n, U = 16n, A = 64n, D = 128n;
const ALL = V | R | W | X | A | D;

function leafFlags(random: Random): bigint {
  const flags = random.pick([
    ...[ALL, ALL, ALL, V | R | W | A | D, V | R | A, V | R | X | A, V | X | A, 0n, V | R | W, V | R | X, V | R | W | A],
    ...[V | W | A | D, V | W | X | A | D, V, ALL | 1n << 54n, ALL | 1n << 61n, ALL | 1n << 63n, ALL | 32n],
  ]);
  return flags;
}

const entry = (address: number, flags: bigint) => BigInt(address / PAGE) << 10n | flags;

function pageTables(random: Random): Uint8Array {
  const bytes = new Uint8Array(TABLE_PAGES * PAGE);
  const view = new DataView(bytes.buffer);
  const set = (table: number, index: number, value: bigint) => view.setBigUint64(table * PAGE + index * 8, value, true);
  const table = (index: number) => PLACES.tables + index * PAGE;
  set(0, WINDOW >>> 30, entry(table(1), V));
  set(0, USER_WINDOW >>> 30, entry(table(3), V));
  set(0, 0, entry(WINDOW, ALL | random.pick([0n, U]))); // a gigapage
  set(0, 3, entry(WINDOW + PAGE, ALL)); // a misaligned one
  for (const [middle, user] of [[1, 0n], [3, U]] as const) {
    set(middle, 0, entry(table(middle + 1), V));
    set(middle, 1, entry(WINDOW, ALL | user)); // a megapage
    set(middle, 2, entry(WINDOW + PAGE, ALL | user)); // a misaligned one
    for (let page = 0; page < CODE_PAGES; page++) {
      const flags = page > 0 && random.chance(0.3) ? leafFlags(random) : ALL;
      const at = PLACES.code + page * PAGE;
      set(middle + 1, (at - WINDOW) / PAGE, entry(at, flags | user));
    }
    for (let page = 0; page < DATA_PAGES; page++) {
      const at = PLACES.data + page * PAGE;
      const flags = leafFlags(random) | (random.chance(0.9) ? user : U ^ user);
      set(middle + 1, (at - WINDOW) / PAGE, entry(random.chance(0.03) ? 0xc000_0000 : at, flags));
    }
  }
  return bytes;
}

const MPP_SHIFT = 11n;
const STATUS = { MPIE: 7n, SPP: 8n, SPIE: 5n, MPRV: 17n, SUM: 18n, MXR: 19n, TVM: 20n, TW: 21n, TSR: 22n };
const FS_SHIFT = 13n;
/** Without MPP, of which 2 is reserved, and without what belongs to vectors and hypervisors. */
const WRITABLE_STATUS = 0x7e_61aan;
const SV39 = 8n << 60n;

function csrs(random: Random, mode: 0 | 1 | 3, paging: boolean, pc: bigint): Map<string, bigint> {
  let status = BigInt(mode) << MPP_SHIFT | BigInt(random.pick([0, 1, 2, 3, 3, 3])) << FS_SHIFT;
  for (const [name, bit] of Object.entries(STATUS)) {
    // TW makes WFI trap below machine mode, where streams run into data.
    const chance = name === "MPRV" ? (mode === 3 ? 0.4 : 0) : name === "TVM" || name === "TSR" ? 0.15 : 0.5;
    const set = name === "TW" || random.chance(chance);
    if (set) status |= 1n << bit;
  }
  const values = new Map<string, bigint>([
    ["fcsr", BigInt(random.pick([0, 0, 0x20, 0x40, 0x60, 0x80, 0xa0, 0xff, random.below(256)]))],
    ["medeleg", random.pick([0n, 0xb1ffn, random.bits64() & 0xb1ffn])],
    ["mideleg", 0x222n],
    ["mcounteren", BigInt(random.pick([0, 7, random.below(8)]))],
    ["scounteren", BigInt(random.pick([0, 7, random.below(8)]))],
    ["satp", paging ? SV39 | BigInt(PLACES.tables / PAGE) : 0n],
    ["mtvec", BigInt(PLACES.machineVector)],
    ["stvec", BigInt(PLACES.supervisorVector)],
    ["mcause", 0n],
    ["mtval", 0n],
    ["scause", 0n],
    ["sepc", 0n],
    ["stval", 0n],
    ["mscratch", random.bits64()],
    ["sscratch", random.bits64()],
    ["mepc", pc],
  ]);
  for (const [name, value] of protection(random)) values.set(name, value);
  values.set("mstatus", status);
  return values;
}

/** PMP: usually open; sometimes with three small ranges of little rights over the data. None is locked. */
function protection(random: Random): Map<string, bigint> {
  const [napot, topOfRange, all] = [3n << 3n, 1n << 3n, 7n];
  const everything = (1n << 53n) - 1n;
  if (random.chance(0.75)) {
    return new Map([["pmpcfg0", napot | all], ["pmpaddr0", everything], ["pmpaddr1", 0n], ["pmpaddr2", 0n], [
      "pmpaddr3",
      0n,
    ]]);
  }
  let configuration = (napot | all) << 24n;
  const values = new Map<string, bigint>();
  for (let entry = 0; entry < 3; entry++) {
    // Write without read is reserved.
    const rights = random.pick([0n, 1n, 3n, 4n, 5n, 7n]);
    const matching = random.pick([0n, topOfRange, 2n << 3n, napot]);
    configuration |= (matching | rights) << BigInt(8 * entry);
    const at = BigInt(PLACES.data + random.below(DATA_PAGES) * PAGE + random.pick([0, 4, 8, 64, PAGE - 8, PAGE - 4])) >>
      2n;
    values.set(`pmpaddr${entry}`, at | (matching === napot ? (1n << BigInt(random.below(10))) - 1n : 0n));
  }
  return new Map([["pmpcfg0", configuration], ...values, ["pmpaddr3", everything]]);
}
