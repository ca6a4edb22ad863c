/**
 * Decoded pages: for a page of guest memory that is executed, one slot for each halfword, filled as instructions are
 * first reached. A pool of fixed size serves all harts of a machine.
 *
 * Slots always agree with memory. A page with decoded code is in no write TLB, so harts' stores to it take the slow
 * path, which undecodes what they touch; stores by devices are told to `clear`.
 */
import { allocateRange, freeRange, type GuestMemory } from "../../ecs/ram_block.ts";
import { countOperands } from "../wasm/rewrite.ts";
import { decode, type Decoded } from "./decode.ts";
import { directCsr } from "./direct_csrs.ts";
import type { Semantics } from "./instruction.ts";
import * as at from "./layout.ts";
import { BREAKPOINT, hasStaticTarget, ILLEGAL, opcodeOf, SENTINEL, STRADDLING } from "./opcodes.ts";
import { INSTRUCTIONS } from "./table.ts";

/** Instructions that one call decodes at most. */
const RUN_LIMIT = 64;

/** Where an instruction begins that may end in the next page. */
const LAST_PLACE = at.PAGE_BYTES - 2;

/** What the harts must do when the set of decoded pages changes. */
export interface DecodedPageUsers {
  /** A page of guest memory now holds decoded code: drop it from the write TLBs. */
  pageCreated(source: number): void;
  /** Bytes of a decoded page change, from one place in it to another (inclusive). */
  pageChanged(page: number, first: number, last: number): void;
  /** Pages were dropped: forget all fetch translations. */
  pagesDropped(): void;
  fillBytes(start: number, value: number, length: number): void;
}

/** Offset from the hart's base of an operand's register 0, by instruction: X or F. */
interface RegisterFiles {
  readonly rd: number;
  readonly rs1: number;
  readonly rs2: number;
}

function filesOf(s: Semantics): RegisterFiles {
  const file = (name: "x" | "f") => name === "f" ? at.F : at.X;
  switch (s.shape) {
    case "load":
      return { rd: file(s.file), rs1: at.X, rs2: at.X };
    case "store":
      return { rd: at.X, rs1: at.X, rs2: file(s.file) };
    case "float":
      return { rd: file(s.file), rs1: countOperands(s.result).has("rs1") ? at.X : at.F, rs2: at.F };
    default:
      return { rd: at.X, rs1: at.X, rs2: at.X };
  }
}

const FILES: readonly RegisterFiles[] = INSTRUCTIONS.map(({ semantics }) => filesOf(semantics));
const NO_FILES: RegisterFiles = { rd: at.X, rs1: at.X, rs2: at.X };

/** Writes slots of decoded instructions. */
export class SlotWriter {
  readonly #u8: Uint8Array;
  readonly #u16: Uint16Array;
  readonly #i32: Int32Array;

  constructor(memory: GuestMemory) {
    this.#u8 = new Uint8Array(memory.memory.buffer);
    this.#u16 = new Uint16Array(memory.memory.buffer);
    this.#i32 = new Int32Array(memory.memory.buffer);
  }

  opcode(slot: number): number {
    return this.#u16[slot >>> 1] ?? 0;
  }

  /** It will be some time until control has come here often. */
  forgetCount(slot: number): void {
    this.#u16[(slot + at.SLOT_COUNT) >>> 1] = 0;
  }

  special(slot: number, opcode: number, length: 2 | 4, raw = 0): void {
    this.#i32[(slot + at.SLOT_IMM) >>> 2] = raw;
    this.#u8[slot + at.SLOT_LENGTH] = length;
    this.#u16[slot >>> 1] = opcode;
  }

  /** `offset` is the instruction's place in its page; nothing if it runs apart from it. */
  instruction(slot: number, decoded: Decoded, offset: number | undefined): void {
    const { instruction, index, rd, rs1, rs2, rs3, imm, length, rm } = decoded;
    const files = FILES[index] ?? NO_FILES;
    const target = (offset ?? -at.PAGE_BYTES * 2 ** 20) + imm;
    const near = hasStatic[index] === true && target >= 0 && target < at.PAGE_BYTES;
    const half = slot >>> 1;
    this.#u16[half + at.SLOT_RD / 2] = rd === 0 && files.rd === at.X ? at.SINK : files.rd + rd * 8;
    this.#u16[half + at.SLOT_RS1 / 2] = instruction.format === "csri" ? rs1 : files.rs1 + rs1 * 8;
    this.#u16[half + at.SLOT_RS2 / 2] = files.rs2 + rs2 * 8;
    if (instruction.format === "R4") this.#u16[half + at.SLOT_RS3 / 2] = at.F + rs3 * 8;
    else this.#i32[(slot + at.SLOT_IMM) >>> 2] = near ? (imm / 2) * at.SLOT_BYTES : imm;
    this.#u8[slot + at.SLOT_LENGTH] = length;
    this.#u8[slot + at.SLOT_RM] = rm;
    if (instruction.semantics.shape === "csr") {
      const direct = directCsr(imm);
      this.#u16[half + at.SLOT_CSR_FIELD / 2] = direct?.field ?? 0;
      this.#u8[slot + at.SLOT_CSR_ZEROS] = direct?.zeros ?? 0;
    }
    this.#u16[half] = opcodeOf(index, instruction, length, near);
  }
}

const hasStatic: readonly boolean[] = INSTRUCTIONS.map(hasStaticTarget);

/** Instructions after which straight-line decoding stops: nothing is decoded unless control comes there. */
const endsRun: readonly boolean[] = INSTRUCTIONS.map(({ semantics: s }) =>
  s.shape === "jump" || s.shape === "branch" || (s.shape === "system" && s.action !== "fence" && s.action !== "fence.i")
);

export class DecodedPages {
  /** Address of an i32 for each page of guest memory: its decoded page, or 0. */
  readonly map: number;
  readonly writer: SlotWriter;
  /** Places in a page where a hart is asked before it runs the instruction, and by how many addresses each is meant. */
  readonly #stops: Map<number, number> = new Map();
  readonly #memory: GuestMemory;
  readonly #pool: number;
  readonly #limit: number;
  readonly #free: number[] = [];
  /** Pages in use, oldest first. */
  readonly #used: Set<number> = new Set();
  readonly #users: DecodedPageUsers;
  readonly #i32: Int32Array;
  readonly #u16: Uint16Array;

  /** @param instructionSet which instructions the harts have: see `decode` */
  constructor(memory: GuestMemory, limit: number, readonly instructionSet: Uint8Array, users: DecodedPageUsers) {
    this.#memory = memory;
    this.#limit = limit;
    this.#users = users;
    this.#i32 = new Int32Array(memory.memory.buffer);
    this.#u16 = new Uint16Array(memory.memory.buffer);
    this.writer = new SlotWriter(memory);
    this.map = allocateRange(memory, mapBytes(memory), 8);
    this.#pool = allocateRange(memory, limit * at.DECODED_PAGE_BYTES, at.SLOT_BYTES);
    for (let i = limit - 1; i >= 0; i--) this.#free.push(this.#pool + i * at.DECODED_PAGE_BYTES);
  }

  dispose(): void {
    freeRange(this.#memory, this.#pool, this.#limit * at.DECODED_PAGE_BYTES);
    freeRange(this.#memory, this.map, mapBytes(this.#memory));
  }

  get size(): number {
    return this.#used.size;
  }

  get stops(): ReadonlyMap<number, number> {
    return this.#stops;
  }

  /** Adds or takes away an address at which a hart may stop. All that was decoded goes. */
  changeStops(address: bigint, change: 1 | -1): void {
    const place = Number(address & BigInt(at.PAGE_BYTES - 1));
    const count = (this.#stops.get(place) ?? 0) + change;
    if (count > 0) this.#stops.set(place, count);
    else this.#stops.delete(place);
    this.drop(0, this.#memory.bytes.length);
  }

  /** A new decoded page, without decoded slots, for a page of guest memory that has none. */
  create(source: number): number {
    if (this.#free.length === 0) this.#evict();
    const page = this.#free.pop();
    if (page === undefined) throw new RangeError("the pool of decoded pages is empty");
    this.#users.fillBytes(page, 0, at.PAGE_SENTINEL);
    this.writer.special(page + at.PAGE_SENTINEL, SENTINEL, 2);
    this.#i32[(page + at.PAGE_SOURCE) >>> 2] = source;
    this.#i32[(page + at.PAGE_STORES) >>> 2] = 0;
    this.#i32[this.#mapIndex(source)] = page;
    this.#used.add(page);
    this.#users.pageCreated(source);
    return page;
  }

  /** Forgets the decoded page of a page of guest memory. */
  retire(source: number): void {
    const page = this.#pageOf(source);
    if (page === 0) return;
    this.#drop(page);
    this.#users.pagesDropped();
  }

  /** Guest memory was written by someone other than a hart: undecodes what was there. */
  clear(offset: number, length: number): void {
    const end = offset + length;
    for (let source = Math.floor(offset / at.PAGE_BYTES) * at.PAGE_BYTES; source < end; source += at.PAGE_BYTES) {
      const page = this.#pageOf(source);
      if (page === 0) continue;
      const first = Math.max(offset - source - 2, 0) & ~1;
      const last = Math.min(end - source, at.PAGE_BYTES);
      this.#users.pageChanged(page, Math.max(offset - source, 0), last - 1);
      this.#users.fillBytes(page + (first << at.SLOT_SHIFT), 0, (((last + 1) & ~1) - first) << at.SLOT_SHIFT);
    }
  }

  /** Guest memory is no longer, or no longer only, what it was: forgets all decoded pages in a range. */
  drop(offset: number, length: number): void {
    let dropped = false;
    for (const page of [...this.#used]) {
      const source = this.source(page);
      if (source + at.PAGE_BYTES <= offset || source >= offset + length) continue;
      this.#drop(page);
      dropped = true;
    }
    if (dropped) this.#users.pagesDropped();
  }

  /** The page of guest memory that a decoded page was made from. */
  source(page: number): number {
    return (this.#i32[(page + at.PAGE_SOURCE) >>> 2] ?? 0) >>> 0;
  }

  /** The instruction that a word is for the harts of this memory. */
  decode(word: number): Decoded | undefined {
    return decode(word, this.instructionSet);
  }

  /** Decodes from this slot on to the end of the straight line. */
  decodeRun(start: number): void {
    const page = start - (start - this.#pool) % at.DECODED_PAGE_BYTES;
    const source = this.source(page);
    let offset = (start - page) >>> at.SLOT_SHIFT;
    for (let count = 0; count < RUN_LIMIT && offset < at.PAGE_BYTES; count++) {
      const slot = page + (offset << at.SLOT_SHIFT);
      if (count > 0 && this.writer.opcode(slot) !== 0) return;
      const low = this.#u16[(source + offset) >>> 1] ?? 0;
      const length = (low & 3) === 3 ? 4 : 2;
      if (this.#stops.has(offset)) return this.writer.special(slot, BREAKPOINT, length);
      if (offset + length > at.PAGE_BYTES) return this.writer.special(slot, STRADDLING, 4);
      const high = length === 4 ? this.#u16[(source + offset + 2) >>> 1] ?? 0 : 0;
      const word = (low | (high << 16)) >>> 0;
      const decoded = this.decode(word);
      if (!decoded) return this.writer.special(slot, ILLEGAL, length, word | 0);
      this.writer.instruction(slot, decoded, offset);
      if (endsRun[decoded.index]) return;
      offset += length;
    }
  }

  /** The decoded page, in use, that a slot is in; nothing for other addresses and for sentinels. */
  pageAt(slot: number): number | undefined {
    const page = slot - (slot - this.#pool) % at.DECODED_PAGE_BYTES;
    return this.#used.has(page) && slot - page < at.PAGE_SENTINEL ? page : undefined;
  }

  /** By halfword of a page: 1 where an instruction was decoded, which control has come to since the page is as it is. */
  decodedIn(page: number): Uint8Array<ArrayBuffer> {
    const decoded = new Uint8Array(at.PAGE_BYTES / 2);
    for (let i = 0; i < decoded.length; i++) decoded[i] = this.writer.opcode(page + i * at.SLOT_BYTES) === 0 ? 0 : 1;
    return decoded;
  }

  /** The instruction whose second half lies in the page behind this one, as it was when it ran last; nothing if it never did. */
  straddlingWord(page: number): number | undefined {
    const slot = page + (LAST_PLACE << at.SLOT_SHIFT);
    const low = this.#u16[(this.source(page) + LAST_PLACE) >>> 1] ?? 0;
    const word = (this.#i32[(slot + at.SLOT_IMM) >>> 2] ?? 0) >>> 0;
    return (low & 3) === 3 && (word & 0xffff) === low ? word : undefined;
  }

  /** The instruction word that a slot of a page was decoded from. */
  wordAt(slot: number): number {
    const page = slot - (slot - this.#pool) % at.DECODED_PAGE_BYTES;
    const place = (slot - page) >>> at.SLOT_SHIFT, address = this.source(page) + place;
    const straddling = place === LAST_PLACE ? this.straddlingWord(page) : undefined;
    if (straddling !== undefined) return straddling;
    const low = this.#u16[address >>> 1] ?? 0;
    return (low & 3) === 3 ? (low | ((this.#u16[(address + 2) >>> 1] ?? 0) << 16)) >>> 0 : low;
  }

  /**
   * Room for new pages: an eighth goes, so that the fetch TLBs are flushed rarely. The oldest go first, but pages with
   * translated code only if there are no others: that code is run often, and costs a thousand times what decoding does.
   */
  #evict() {
    let count = Math.max(1, this.#limit >>> 3);
    const oldest = [...this.#used];
    for (const page of [...oldest.filter((page) => !this.#isTranslated(page)), ...oldest]) {
      if (!this.#used.has(page)) continue;
      this.#drop(page);
      if (--count === 0) break;
    }
    this.#users.pagesDropped();
  }

  #isTranslated(page: number): boolean {
    const half = (page + at.PAGE_TRANSLATED) >>> 2;
    return ((this.#i32[half] ?? 0) | (this.#i32[half + 1] ?? 0)) !== 0;
  }

  #drop(page: number) {
    this.#users.pageChanged(page, 0, at.PAGE_BYTES - 1);
    this.#i32[this.#mapIndex(this.source(page))] = 0;
    this.#used.delete(page);
    this.#free.push(page);
  }

  #pageOf(source: number): number {
    return (this.#i32[this.#mapIndex(source)] ?? 0) >>> 0;
  }

  #mapIndex(source: number): number {
    return (this.map >>> 2) + Math.floor(source / at.PAGE_BYTES);
  }
}

function mapBytes(memory: GuestMemory): number {
  return (memory.bytes.length / at.PAGE_BYTES) * 4;
}

/** Bytes of guest memory that decoded pages take, for a memory of this size. */
export function decodedPagesBytes(memoryBytes: number, limit: number): number {
  return Math.ceil(memoryBytes / at.PAGE_BYTES) * 4 + limit * at.DECODED_PAGE_BYTES;
}
