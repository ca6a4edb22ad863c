/** Interrupt numbers and which of the pending ones a hart takes (privileged specification, 3.1.9 and 4.1.3). */
import type { HartState, Mode } from "./hart_state.ts";
import { M_MODE, S_MODE } from "./hart_state.ts";
import { CSR } from "./layout.ts";
import { MSTATUS, statusBits } from "./status.ts";

export const SSI = 1, MSI = 3, STI = 5, MTI = 7, SEI = 9, MEI = 11;
/** In order of priority. */
const PRIORITY = [MEI, MSI, MTI, SEI, SSI, STI] as const;

export const SUPERVISOR_INTERRUPTS = 1n << 1n | 1n << 5n | 1n << 9n;
export const ALL_INTERRUPTS = SUPERVISOR_INTERRUPTS | 1n << 3n | 1n << 7n | 1n << 11n;

/** Interrupts that this mode would take if they were pending, as bits of mip. */
export function takableInterrupts(state: HartState, mode: Mode): number {
  const enabled = state.get32(CSR.mie);
  if (enabled === 0) return 0;
  const status = statusBits(state);
  const delegated = state.get32(CSR.mideleg);
  const machine = mode < M_MODE || (status & MSTATUS.MIE) !== 0 ? enabled & ~delegated : 0;
  const supervisor = mode < S_MODE || (mode === S_MODE && (status & MSTATUS.SIE) !== 0) ? enabled & delegated : 0;
  return machine | supervisor;
}

/** Of takable pending interrupts, the one to take: those for machine mode first. */
export function firstInterrupt(state: HartState, bits: number): number {
  const machine = bits & ~state.get32(CSR.mideleg);
  const candidates = machine !== 0 ? machine : bits;
  return PRIORITY.find((line) => (candidates & (1 << line)) !== 0) ?? -1;
}
