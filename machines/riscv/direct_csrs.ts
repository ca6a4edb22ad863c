/**
 * CSRs that generated code reads and writes by itself, where an access has no other effect than that on the hart's state:
 * what both it and `csr.ts` know of them. All others are left to TypeScript.
 */
import { CSR } from "./layout.ts";

/** A register that is a field of the hart's state. */
export interface StoredCsr {
  readonly field: number;
  /** Bits, of the lowest eight, that stay 0. */
  readonly zeros: number;
}

const whole = (field: number): StoredCsr => ({ field, zeros: 0 });
/** Instruction addresses are even. */
const address = (field: number): StoredCsr => ({ field, zeros: 1 });

/** By number: those that hold what is written, and mean nothing until they are read. */
export const STORED_CSRS: ReadonlyMap<number, StoredCsr> = new Map([
  [0x140, whole(CSR.sscratch)],
  [0x141, address(CSR.sepc)],
  [0x142, whole(CSR.scause)],
  [0x143, whole(CSR.stval)],
  [0x340, whole(CSR.mscratch)],
  [0x341, address(CSR.mepc)],
  [0x342, whole(CSR.mcause)],
  [0x343, whole(CSR.mtval)],
]);

export const SSTATUS = 0x100;

/** Where generated code finds a register: a stored one, or mstatus, which it sees as sstatus; else nothing. */
export function directCsr(number: number): StoredCsr | undefined {
  return number === SSTATUS ? whole(CSR.mstatus) : STORED_CSRS.get(number);
}

/** What an instruction does to a register, as generated code passes it on. */
export const CSR_OPERATIONS = { write: 0, set: 1, clear: 2 } as const;

/** The lowest mode that may use a register (privileged specification, "CSR Address Mapping Conventions"). */
export function lowestMode(number: number): number {
  return number >> 8 & 3;
}
