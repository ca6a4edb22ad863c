/** Guest code as logs show it: where decoded pages lie in the guest's address spaces, and instructions as text. */
import type { Symbols } from "../loader/symbols.ts";
import { decode } from "../riscv/decode.ts";
import type { DecodedPages } from "../riscv/decoded_pages.ts";
import { disassemble } from "../riscv/disassemble.ts";
import * as at from "../riscv/layout.ts";
import { UNDECODED } from "../riscv/opcodes.ts";
import type { WatchedHart } from "../riscv/watch.ts";

export interface Instruction {
  /** Virtual address. */
  readonly address: bigint;
  /** The low 16 bits are all of a compressed one. */
  readonly word: number;
}

export const hex = (value: bigint | number, digits = 16) => `0x${value.toString(16).padStart(digits, "0")}`;

/** "0xADDRESS:  WORD  text" for each. */
export function listing(code: readonly Instruction[]): string[] {
  return code.map(({ address, word }) => {
    const isLong = (word & 3) === 3;
    const raw = (isLong ? word >>> 0 : word & 0xffff).toString(16).padStart(isLong ? 8 : 4, "0");
    return `${hex(address)}:  ${raw.padEnd(8)}  ${disassemble(word, address)}`;
  });
}

/** "name+0x10 at ADDRESS", without a name where none is known. */
export function placeText(symbols: Symbols, address: bigint): string {
  const name = symbols.text(address);
  return name === "" ? hex(address) : `${name} at ${hex(address)}`;
}

/** The run that decoding from this undecoded slot on will give. */
export function runFrom(hart: WatchedHart, pages: DecodedPages, slot: number): Instruction[] {
  const page = pages.pageAt(slot);
  if (page === undefined) return [];
  const base = virtualPage(hart, page) ?? physicalPage(hart, pages.source(page));
  const code: Instruction[] = [];
  for (let offset = (slot - page) >>> at.SLOT_SHIFT; offset < at.PAGE_BYTES;) {
    const place = page + (offset << at.SLOT_SHIFT);
    if (pages.writer.opcode(place) !== UNDECODED) break;
    const word = pages.wordAt(place);
    code.push({ address: base + BigInt(offset), word });
    const decoded = decode(word);
    const shape = decoded?.instruction.semantics.shape;
    if (!decoded || shape === "jump" || shape === "system") break;
    offset += decoded.length;
  }
  return code;
}

/** The virtual address by which the hart fetches from a decoded page now; nothing if it does not. */
export function virtualPage({ state }: WatchedHart, page: number): bigint | undefined {
  const table = state.get32(at.FETCH_TLB) + at.FETCH_TABLE - state.base;
  for (let entry = table; entry < table + at.TLB_TABLE_BYTES; entry += at.TLB_ENTRY_BYTES) {
    if (state.get32(entry + 8) === page && state.get(entry) !== NO_PAGE) return state.get(entry);
  }
  return undefined;
}

const NO_PAGE = 2n ** 64n - 1n;

/** The physical address of a page of guest memory; its place there if it is not mapped. */
export function physicalPage({ state }: WatchedHart, source: number): bigint {
  for (let i = 0; i < state.get32(at.RANGE_COUNT); i++) {
    const range = at.RANGES + i * at.RANGE_BYTES;
    const first = state.get(range), offset = BigInt(source - state.get32(range + 16));
    if (offset >= 0n && first + offset <= state.get(range + 8)) return first + offset;
  }
  return BigInt(source);
}
