/**
 * Where the peer (QEMU 7.2) and the specification differ, and so the peer and we: each with its rule. What is not listed
 * here is a bug of ours.
 */

import { decode } from "../../machines/riscv/decode.ts";
import type { State } from "./target.ts";

const MPRV = 1n << 17n;
const FS = 3n << 13n;
const SD = 1n << 63n;
const DIRTY = 3n << 13n;
const RAM = 0x8000_0000n;
const BREAKPOINT = 3n;

/** Names of registers whose values differ for no listed reason. */
export function unexplained(peer: State, ours: State, wasBelowMachineMode: boolean): string[] {
  return Array.from(peer).filter(([name, value]) => {
    const own = ours.get(name);
    if (own === undefined || own === value) return own === undefined;
    if (name === "mstatus") return !sameStatus(value, own, wasBelowMachineMode);
    if (name === "mtval" || name === "stval") return !sameFaultAddress(name, peer, value, own);
    return true;
  }).map(([name]) => name);
}

function sameStatus(peer: bigint, ours: bigint, wasBelowMachineMode: boolean): boolean {
  // MRET and SRET to a lower mode clear MPRV (privileged specification 1.12, 3.1.6.3); the peer keeps it, without effect.
  const ignored = wasBelowMachineMode ? MPRV : 0n;
  // FS may be set Dirty by any floating-point instruction (3.1.6.6): we do so, the peer only where a register is written.
  const dirtier = (ours & FS) === DIRTY && (peer & FS) !== 0n ? FS | SD : 0n;
  const mask = ~(ignored | dirtier);
  return (peer & mask) === (ours & mask);
}

/**
 * Access faults of the physical bus: the peer reports the aligned part of a misaligned access that failed. EBREAK: its
 * address or zero are both right (3.1.16).
 */
function sameFaultAddress(name: string, peer: State, value: bigint, own: bigint): boolean {
  const cause = peer.get(name === "mtval" ? "mcause" : "scause");
  if (cause === BREAKPOINT) return value === 0n || own === 0n;
  return (cause === 5n || cause === 7n) && value >> 3n === own >> 3n;
}

/** What can be said of a step whose results differ. */
export interface DifferentStep {
  readonly word: number;
  readonly pc: bigint;
  readonly peer: State;
  readonly ours: State;
}

const FETCH_ACCESS = 1n, LOAD_ACCESS = 5n, STORE_ACCESS = 7n;
const FETCH_PAGE = 12n, LOAD_PAGE = 13n, STORE_PAGE = 15n;
const LOAD_MISALIGNED = 4n, STORE_MISALIGNED = 6n;

/** Whether a step whose results differ is not to be compared, by one of the rules below. */
export function incomparable(step: DifferentStep): boolean {
  return [amoFault, failingStore, absentDevice, unreadableTable, protectedPart, zerosAbove].some((rule) => rule(step));
}

const causes = (state: State) => [state.get("mcause") ?? 0n, state.get("scause") ?? 0n];
const hasCause = (state: State, ...wanted: bigint[]) => causes(state).some((cause) => wanted.includes(cause));

/** An AMO's faults are store faults (3.1.15); the peer makes some of them load faults. */
function amoFault({ word, peer, ours }: DifferentStep): boolean {
  return shapeOf(word) === "atomic" && hasCause(peer, LOAD_MISALIGNED, LOAD_ACCESS, LOAD_PAGE) &&
    hasCause(ours, STORE_MISALIGNED, STORE_ACCESS, STORE_PAGE);
}

/** An SC that fails anyway, for want of a reservation, may still fault, as ours does; the peer's does not. */
function failingStore({ word, ours }: DifferentStep): boolean {
  return shapeOf(word) === "storeConditional" && hasCause(ours, STORE_MISALIGNED, STORE_ACCESS, STORE_PAGE);
}

/** An access, or a fetch, where the peer has a device that a bare hart has not. */
function absentDevice({ pc, ours }: DifferentStep): boolean {
  const [mtval = RAM, stval = RAM] = [ours.get("mtval"), ours.get("stval")];
  return hasCause(ours, FETCH_ACCESS, LOAD_ACCESS, STORE_ACCESS) && (pc < RAM || mtval < RAM || stval < RAM);
}

/** A page table outside of memory is an access fault (4.3.2, step 2); the peer calls it a page fault. */
function unreadableTable({ peer, ours }: DifferentStep): boolean {
  return [[FETCH_ACCESS, FETCH_PAGE], [LOAD_ACCESS, LOAD_PAGE], [STORE_ACCESS, STORE_PAGE]]
    .some(([access = 0n, page = 0n]) => hasCause(ours, access) && hasCause(peer, page));
}

/** A misaligned access that crosses pages may be two accesses to PMP (3.7.1), as ours is; the peer checks one. */
function protectedPart({ word, peer }: DifferentStep): boolean {
  const crosses = (address = 0n) => (address & 0xfffn) > 0xff8n;
  const shape = shapeOf(word);
  return (shape === "load" || shape === "store") && hasCause(peer, LOAD_ACCESS, STORE_ACCESS) &&
    (crosses(peer.get("mtval")) || crosses(peer.get("stval")));
}

/** ctzw of a low word of zeros is 32; the peer goes on counting in the upper word. */
function zerosAbove({ word, ours }: DifferentStep): boolean {
  const decoded = decode(word >>> 0);
  return decoded?.instruction.name === "ctzw" && ours.get(`x${decoded.rd}`) === 32n;
}

/**
 * Whether an instruction may have set other A and D bits: an AMO that traps, because the peer has looked at the page for
 * reading first; an SC that fails, because ours has looked at it for writing.
 */
export function touchesPagesOtherwise(word: number, isTrap: boolean): boolean {
  const shape = shapeOf(word);
  return shape === "storeConditional" || (shape === "atomic" && isTrap);
}

function shapeOf(word: number): string | undefined {
  return decode((word & 3) === 3 ? word >>> 0 : word & 0xffff)?.instruction.semantics.shape;
}
