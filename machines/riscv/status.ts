/** mstatus and its view sstatus (privileged specification, 3.1.6 and 4.1.1). */
import type { HartState } from "./hart_state.ts";
import { CSR, FS } from "./layout.ts";

/** Bits below 32. */
export const MSTATUS = {
  SIE: 1 << 1,
  MIE: 1 << 3,
  SPIE: 1 << 5,
  MPIE: 1 << 7,
  SPP: 1 << 8,
  MPP: 3 << 11,
  FS: 3 << 13,
  MPRV: 1 << 17,
  SUM: 1 << 18,
  MXR: 1 << 19,
  TVM: 1 << 20,
  TW: 1 << 21,
  TSR: 1 << 22,
} as const;
export const MPP_SHIFT = 11, SPP_SHIFT = 8, FS_SHIFT = 13;

/** UXL and SXL are 64 bits, always. Both little-endian. */
const FIXED = 2n << 32n | 2n << 34n;
const UXL = 3n << 32n;
export const SD = 1n << 63n;

const { SIE, MIE, SPIE, MPIE, SPP, MPP, MPRV, SUM, MXR, TVM, TW, TSR } = MSTATUS;
const M_WRITABLE = SIE | MIE | SPIE | MPIE | SPP | MPP | MPRV | SUM | MXR | TVM | TW | TSR;
export const SSTATUS_WRITABLE = SIE | SPIE | SPP | SUM | MXR;
export const SSTATUS_VISIBLE = BigInt(SSTATUS_WRITABLE | MSTATUS.FS) | UXL | SD;

export const MSTATUS_RESET = FIXED;

export function readMstatus(state: HartState): bigint {
  const fs = state.get32(FS);
  return state.get(CSR.mstatus) | BigInt(fs << FS_SHIFT) | (fs === 3 ? SD : 0n);
}

export function readSstatus(state: HartState): bigint {
  return readMstatus(state) & SSTATUS_VISIBLE;
}

export function writeMstatus(state: HartState, value: bigint): void {
  let writable = M_WRITABLE;
  // Mode 2 does not exist: MPP keeps its value (WARL).
  if (((Number(value & 0xffff_ffffn) >>> MPP_SHIFT) & 3) === 2) writable &= ~MPP;
  write(state, value, writable);
}

export function writeSstatus(state: HartState, value: bigint): void {
  write(state, value, SSTATUS_WRITABLE);
}

function write(state: HartState, value: bigint, writable: number) {
  const low = Number(value & 0xffff_ffffn);
  const old = statusBits(state);
  state.set32(FS, (low >>> FS_SHIFT) & 3);
  setStatusBits(state, (old & ~writable) | (low & writable));
}

/** The low 32 bits of mstatus without FS. */
export function statusBits(state: HartState): number {
  return state.get32(CSR.mstatus);
}

export function setStatusBits(state: HartState, bits: number): void {
  state.set32(CSR.mstatus, bits);
}
