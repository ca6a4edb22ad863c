/** Entering and leaving trap handlers (privileged specification, 3.1.6 to 3.1.8, 3.3.2 and 4.1). */
import type { HartState, Mode } from "./hart_state.ts";
import { M_MODE, S_MODE, U_MODE } from "./hart_state.ts";
import { CSR, PC } from "./layout.ts";
import { MPP_SHIFT, MSTATUS, setStatusBits, SPP_SHIFT, statusBits } from "./status.ts";

const INTERRUPT = 1n << 63n;
const VECTORED = 1n;

/** Takes a trap at PC: saves what the handler needs, and goes to it. Gives the mode of the handler. */
export function enterTrap(state: HartState, mode: Mode, cause: number, isInterrupt: boolean, value: bigint): Mode {
  const delegation = state.get(isInterrupt ? CSR.mideleg : CSR.medeleg);
  const toSupervisor = mode < M_MODE && (delegation >> BigInt(cause) & 1n) !== 0n;
  const code = isInterrupt ? INTERRUPT | BigInt(cause) : BigInt(cause);
  const vector = toSupervisor ? CSR.stvec : CSR.mtvec;
  state.set(toSupervisor ? CSR.sepc : CSR.mepc, state.get(PC));
  state.set(toSupervisor ? CSR.scause : CSR.mcause, code);
  state.set(toSupervisor ? CSR.stval : CSR.mtval, value);
  const status = statusBits(state);
  setStatusBits(state, toSupervisor ? supervisorEntry(status, mode) : machineEntry(status, mode));
  const base = state.get(vector);
  const offset = isInterrupt && (base & VECTORED) !== 0n ? BigInt(4 * cause) : 0n;
  state.set(PC, (base & ~3n) + offset);
  return toSupervisor ? S_MODE : M_MODE;
}

function machineEntry(status: number, mode: Mode): number {
  const { MIE, MPIE, MPP } = MSTATUS;
  const enabled = (status & MIE) !== 0 ? MPIE : 0;
  return (status & ~(MIE | MPIE | MPP)) | enabled | (mode << MPP_SHIFT);
}

function supervisorEntry(status: number, mode: Mode): number {
  const { SIE, SPIE, SPP } = MSTATUS;
  const enabled = (status & SIE) !== 0 ? SPIE : 0;
  return (status & ~(SIE | SPIE | SPP)) | enabled | (mode << SPP_SHIFT);
}

/** MRET. Gives the mode that it returns to. */
export function returnFromMachine(state: HartState): Mode {
  const { MIE, MPIE, MPP, MPRV } = MSTATUS;
  const status = statusBits(state);
  const mode = modeOf((status & MPP) >>> MPP_SHIFT);
  const enabled = (status & MPIE) !== 0 ? MIE : 0;
  const leaving = mode === M_MODE ? 0 : MPRV;
  setStatusBits(state, (status & ~(MIE | MPP | leaving)) | enabled | MPIE);
  state.set(PC, state.get(CSR.mepc));
  return mode;
}

/** SRET. Gives the mode that it returns to. */
export function returnFromSupervisor(state: HartState): Mode {
  const { SIE, SPIE, SPP, MPRV } = MSTATUS;
  const status = statusBits(state);
  const mode = modeOf((status & SPP) >>> SPP_SHIFT);
  const enabled = (status & SPIE) !== 0 ? SIE : 0;
  setStatusBits(state, (status & ~(SIE | SPP | MPRV)) | enabled | SPIE);
  state.set(PC, state.get(CSR.sepc));
  return mode;
}

function modeOf(bits: number): Mode {
  return bits === 3 ? M_MODE : bits === 1 ? S_MODE : U_MODE;
}
