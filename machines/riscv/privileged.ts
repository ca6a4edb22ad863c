/**
 * CSR instructions and those that act on the whole hart: traps asked for, returns, waiting, fences (unprivileged
 * specification, "Zicsr" and "Zihintpause"; privileged specification, 3.3 and 4.2).
 */
import { type CsrHart, operateCsr } from "./csr.ts";
import { M_MODE, type Mode, S_MODE } from "./hart_state.ts";
import type { Semantics } from "./instruction.ts";
import { CAUSE, TVAL, X } from "./layout.ts";
import { MSTATUS, statusBits } from "./status.ts";
import { returnFromMachine, returnFromSupervisor } from "./trap.ts";

/** What these instructions need of their hart. */
export interface PrivilegedHart extends CsrHart {
  readonly base: number;
  /** Takes an exception at PC, with the value in TVAL. */
  raise(base: number, cause: number): void;
  enterMode(mode: Mode): void;
  /** Moves PC over the instruction. */
  advance(length: number): void;
  /** Stops until an interrupt is pending. */
  wait(): void;
  /** Others may have their turn. */
  pause(): void;
  /** Forgets the translation of an address, or all. Address space identifiers are not looked at. */
  fence(address: bigint | undefined): void;
}

/** Operands as they stand in the slot: offsets of registers; of a CSR instruction with an immediate, that for rs1. */
export interface Operands {
  readonly rd: number;
  readonly rs1: number;
  readonly csr: number;
}

/**
 * Executes one. Those that go elsewhere, or change what the next instruction is fetched by, leave PC where it goes on;
 * CSR instructions and pauses leave it.
 * @returns false if the instruction is illegal in this mode.
 */
export function executePrivileged(
  hart: PrivilegedHart,
  semantics: Semantics,
  length: number,
  operands: Operands,
): boolean {
  if (semantics.shape === "csr") return executeCsr(hart, semantics, operands);
  if (semantics.shape === "system") return executeSystem(hart, semantics.action, length, operands);
  throw new Error(`"${semantics.shape}" is executed by the interpreter itself`);
}

function executeCsr(
  hart: PrivilegedHart,
  { op, immediate }: Extract<Semantics, { shape: "csr" }>,
  { rd, rs1, csr }: Operands,
): boolean {
  const operand = immediate ? BigInt(rs1) : hart.state.get(rs1);
  // The offset of x0 is 0, as is an immediate of 0: set and clear then don't write.
  const value = operateCsr(hart, csr, op, operand, op === "write" || rs1 !== 0);
  if (value === undefined) return false;
  hart.state.set(rd, value);
  return true;
}

function executeSystem(
  hart: PrivilegedHart,
  action: Extract<Semantics, { shape: "system" }>["action"],
  length: number,
  { rs1 }: Operands,
): boolean {
  const { state, mode } = hart;
  /** May supervisor mode do what this bit of mstatus traps? Machine mode may, user mode may not. */
  const allowed = (trapBit: number) => mode === M_MODE || (mode === S_MODE && (statusBits(state) & trapBit) === 0);
  switch (action) {
    case "ecall":
      return trap(hart, CAUSE.ecallUser + mode);
    case "ebreak":
      return trap(hart, CAUSE.breakpoint);
    case "mret":
      if (mode !== M_MODE) return false;
      hart.enterMode(returnFromMachine(state));
      return true;
    case "sret":
      if (!allowed(MSTATUS.TSR)) return false;
      hart.enterMode(returnFromSupervisor(state));
      return true;
    case "wfi":
      if (!allowed(MSTATUS.TW)) return false;
      hart.advance(length);
      hart.wait();
      return true;
    case "sfence.vma":
      if (!allowed(MSTATUS.TVM)) return false;
      hart.advance(length);
      hart.fence(rs1 === X ? undefined : BigInt.asIntN(64, state.get(rs1)));
      return true;
    case "pause":
      hart.pause();
      return true;
    case "fence":
    case "fence.i":
      throw new Error(`${action} is executed by the interpreter itself`);
  }
}

/** The value could be the breakpoint's address as well; QEMU 7.2 gives 0. */
function trap(hart: PrivilegedHart, cause: number): true {
  hart.state.set(TVAL, 0n);
  hart.raise(hart.base, cause);
  return true;
}
