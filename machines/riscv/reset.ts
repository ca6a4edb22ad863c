/** Reset: the state in which a hart begins (privileged specification, 3.4): what it asks for, and all else 0. */
import type { HartState } from "./hart_state.ts";
import * as at from "./layout.ts";
import { MSTATUS_RESET } from "./status.ts";

/** No address that can be reserved. */
export const NO_RESERVATION = BigInt.asUintN(64, -1n);

/** Registers, CSRs and what is derived from them; not the program counter and what depends on it. */
export function resetState(state: HartState): void {
  for (let field = at.X; field < at.PC; field += 8) state.set(field, 0n);
  for (const field of Object.values(at.CSR)) state.set(field, 0n);
  for (let i = 0; i < at.IDLE_COUNTER_COUNT; i++) state.set(at.IDLE_COUNTERS + 8 * i, 0n);
  for (let i = 0; i < at.EVENT_SELECTOR_COUNT; i++) state.set(at.EVENT_SELECTORS + 8 * i, 0n);
  for (const field of [at.FFLAGS, at.FRM, at.FS, at.LEVELS]) state.set32(field, 0);
  state.set(at.ROOT, 0n);
  state.set(at.RESERVATION, NO_RESERVATION);
  state.set(at.CSR.mstatus, MSTATUS_RESET);
  state.set(at.CSR.stimecmp, BigInt.asUintN(64, -1n));
}
