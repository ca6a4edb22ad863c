/**
 * The interpreter's opcodes: five special ones, then for each instruction of the table one for every form that the
 * interpreter runs by code of its own: each length that occurs, and jumps within the page apart from others.
 */
import { RVC } from "./compressed.ts";
import type { Instruction } from "./instruction.ts";
import { countOperands } from "../wasm/rewrite.ts";
import { INSTRUCTIONS } from "./table.ts";

/** Slots are zero before they are decoded. */
export const UNDECODED = 0;
/** Behind the last instruction of a page or of the single slots: goes on at the program counter. */
export const SENTINEL = 1;
export const ILLEGAL = 2;
/** The first half of a 32-bit instruction whose second half lies in the next page. */
export const STRADDLING = 3;
/** A debugger may want to stop here: the hart is asked before the instruction runs. */
export const BREAKPOINT = 4;
export const FIRST_FORM = 5;
/** From here on an opcode says that a translated region is entered here, and by which of all entries; u16. */
export const FIRST_ENTRY = 0x8000;
export const ENTRY_LIMIT = 0x8000;

export interface Form {
  readonly instruction: Instruction;
  readonly length: 2 | 4;
  /** The target lies in the same page: SLOT_IMM is a distance in slots. */
  readonly near: boolean;
}

const COMPRESSIBLE = new Set<string>(RVC.map((row) => row.base));

/** True if the target depends on pc and imm only. */
export function hasStaticTarget(instruction: Instruction): boolean {
  const { semantics } = instruction;
  return semantics.shape === "branch" || (semantics.shape === "jump" && !countOperands(semantics.target).has("rs1"));
}

/** In order of opcode, from `FIRST_FORM` on. */
export const FORMS: readonly Form[] = INSTRUCTIONS.flatMap((instruction) => {
  const lengths = COMPRESSIBLE.has(instruction.name) ? [4, 2] as const : [4] as const;
  const places = hasStaticTarget(instruction) ? [false, true] : [false];
  return lengths.flatMap((length) => places.map((near) => ({ instruction, length, near })));
});

/** Opcodes of the instructions' first forms. */
const BASES: readonly number[] = FORMS.flatMap(({ instruction }, index) =>
  instruction === FORMS[index - 1]?.instruction ? [] : [FIRST_FORM + index]
);

/** The opcode of a form. `index` is the instruction's position in the table. */
export function opcodeOf(index: number, instruction: Instruction, length: 2 | 4, near: boolean): number {
  const base = BASES[index] ?? ILLEGAL;
  const places = hasStaticTarget(instruction) ? 2 : 1;
  return base + (length === 2 ? places : 0) + (near ? 1 : 0);
}

export function formOf(opcode: number): Form | undefined {
  return FORMS[opcode - FIRST_FORM];
}
