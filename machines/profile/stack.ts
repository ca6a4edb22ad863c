/**
 * Who called whom, from a hart's registers and stack. Code compiled with frame pointers (Linux is) keeps the caller's
 * frame pointer and the return address below the address that s0 holds; other code tells its direct caller at most, in
 * ra. What does not look like a frame, or a return into known code, ends the walk.
 *
 * Source: RISC-V ELF psABI, "Frame Pointer Convention"; Linux arch/riscv/kernel/stacktrace.c for leaf functions.
 */
import type { GuestMemory } from "../../ecs/ram_block.ts";
import type { Symbols } from "../loader/symbols.ts";
import { readDoubleword } from "../riscv/debug_read.ts";
import type { Hart } from "../riscv/hart.ts";

const RA = 1, SP = 2, FP = 8;
/** Frames lie above the stack pointer, and stacks are not endless. */
const STACK_BYTES = 1n << 18n;
export const MAX_DEPTH = 64;

/** Addresses in functions, innermost first: PC, then return addresses. */
export function callStack(memory: GuestMemory, hart: Hart, symbols: Symbols): bigint[] {
  const { pc } = hart, ra = hart.readRegister(RA), sp = hart.readRegister(SP);
  const stack = [pc];
  const function_ = symbols.at(pc);
  // Code without a name may be anything: its registers tell nothing.
  if (function_ === undefined) return stack;
  const caller = symbols.at(ra);
  // After its first call, ra points into the function itself; until then, and at its end, to its caller.
  if (caller !== undefined && caller.start !== function_.start) stack.push(ra);
  const isFrame = (frame: bigint) => (frame & 7n) === 0n && frame >= sp && frame - sp <= STACK_BYTES;
  let frame = hart.readRegister(FP);
  while (isFrame(frame) && stack.length < MAX_DEPTH) {
    const above = readDoubleword(memory, hart, frame - 8n), below = readDoubleword(memory, hart, frame - 16n);
    if (above === undefined || below === undefined) break;
    // A leaf function keeps no return address: the caller's frame pointer is in its place.
    const isLeaf = stack.length <= 2 && isFrame(above) && above > frame;
    const next = isLeaf ? above : below;
    if (!isLeaf) {
      if (symbols.at(above) === undefined) break;
      if (stack.at(-1) !== above || stack.length === 1) stack.push(above);
    }
    if (next <= frame) break;
    frame = next;
  }
  return stack;
}
