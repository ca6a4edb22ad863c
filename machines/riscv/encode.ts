/** Puts an instruction's word together: the inverse of `decode`. */
import { insert, range } from "./immediate.ts";
import type { Instruction } from "./instruction.ts";
import { layoutOf, type OperandName, REGISTER_FIELDS, ROUNDING_FIELD } from "./operands.ts";

/** Values under the names that `Decoded` gives them. */
export interface OperandValues extends Partial<Readonly<Record<OperandName, number>>> {
  /** Rounding mode 0–4 or 7 (dynamic, the default); only of instructions that round. */
  readonly rm?: number;
  /** Bit 1 acquire, bit 0 release; only of atomic instructions. */
  readonly ordering?: number;
}

/** An operand that its field cannot hold. */
export class OperandError extends RangeError {
  override readonly name = "OperandError";

  constructor(readonly instruction: string, readonly operand: string, readonly value: unknown, expected: string) {
    super(`${instruction}: ${operand} ${value} is not ${expected}`);
  }
}

const DYNAMIC_ROUNDING = 7;

/**
 * The word of an instruction. Operands that are left out are 0.
 * @throws OperandError if an operand is out of its range or not a multiple of what its format stores.
 */
export function encode(instruction: Instruction, values: OperandValues): number {
  const { operands, immediate } = layoutOf(instruction.format);
  let word = instruction.match;
  for (const operand of operands) {
    const value = values[operand] ?? 0;
    if (operand !== "imm") {
      if (!isWithin(value, 0, 31)) throw new OperandError(instruction.name, operand, value, "a register number");
      word |= value << REGISTER_FIELDS[operand];
    } else if (immediate) {
      const [least, greatest] = range(immediate);
      if (!isWithin(value, least, greatest) || value % immediate.unit !== 0) {
        const step = immediate.unit === 1 ? "" : ` in steps of ${immediate.unit}`;
        throw new OperandError(instruction.name, "immediate", value, `in ${least} to ${greatest}${step}`);
      }
      word |= insert(immediate, value);
    }
  }
  return (word | rounding(instruction, values.rm) | ordering(instruction, values.ordering)) >>> 0;
}

function rounding({ name, semantics }: Instruction, rm: number | undefined): number {
  if (semantics.shape !== "float" || !semantics.rounds) {
    if (rm) throw new OperandError(name, "rounding mode", rm, "possible: it does not round");
    return 0;
  }
  const mode = rm ?? DYNAMIC_ROUNDING;
  if (!isWithin(mode, 0, 4) && mode !== DYNAMIC_ROUNDING) throw new OperandError(name, "rounding mode", mode, "known");
  return mode << ROUNDING_FIELD;
}

function ordering({ name, format }: Instruction, bits = 0): number {
  if (bits === 0) return 0;
  if (format !== "amo" && format !== "lr") throw new OperandError(name, "ordering", bits, "possible: it is not atomic");
  return (bits & 3) << 25;
}

function isWithin(value: number, least: number, greatest: number): boolean {
  return Number.isInteger(value) && value >= least && value <= greatest;
}
