/**
 * Reads guest memory by virtual address as a debugger does: without traps, without setting accessed bits, and whatever the
 * mode and PMP allow. Guest memory only; devices are not touched.
 *
 * Source: privileged specification, 4.3 to 4.5.
 */
import type { GuestMemory } from "../../ecs/ram_block.ts";
import { type HartState, M_MODE, type Mode } from "./hart_state.ts";
import * as at from "./layout.ts";

const VALID = 1n, LEAF = 14n;
const PPN = 0x003f_ffff_ffff_fc00n;

export interface ReadableHart {
  readonly state: HartState;
  readonly mode: Mode;
}

/** The doubleword at an address that is a multiple of 8; nothing where no guest memory is mapped. */
export function readDoubleword(memory: GuestMemory, hart: ReadableHart, address: bigint): bigint | undefined {
  if ((address & 7n) !== 0n) return undefined;
  const physical = translate(memory, hart, BigInt.asUintN(64, address));
  return physical === undefined ? undefined : readPhysical(memory, hart.state, physical);
}

function translate(memory: GuestMemory, { state, mode }: ReadableHart, address: bigint): bigint | undefined {
  const levels = state.get32(at.LEVELS);
  if (mode === M_MODE || levels === 0) return address;
  const bits = 12 + 9 * levels;
  if (BigInt.asIntN(bits, address) !== BigInt.asIntN(64, address)) return undefined;
  let table = state.get(at.ROOT);
  for (let level = levels - 1; level >= 0; level--) {
    const shift = BigInt(12 + 9 * level);
    const entry = readPhysical(memory, state, table + ((address >> shift & 511n) << 3n));
    if (entry === undefined || (entry & VALID) === 0n) return undefined;
    const page = (entry & PPN) << 2n, inside = (1n << shift) - 1n;
    if ((entry & LEAF) !== 0n) return (page & ~inside) | (address & inside);
    table = page;
  }
  return undefined;
}

function readPhysical({ view }: GuestMemory, state: HartState, address: bigint): bigint | undefined {
  for (let i = 0; i < state.get32(at.RANGE_COUNT); i++) {
    const range = at.RANGES + i * at.RANGE_BYTES;
    const first = state.get(range);
    if (address < first || address + 7n > state.get(range + 8)) continue;
    return view.getBigUint64((state.get32(range + 16) >>> 0) + Number(address - first), true);
  }
  return undefined;
}
