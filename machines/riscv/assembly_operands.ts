/** The operands of assembler methods, by format, in the order of assembly text. */
import { csr, type CsrName } from "./csr_names.ts";
import { OperandError, type OperandValues } from "./encode.ts";
import type { Format, Instruction } from "./instruction.ts";
import { layoutOf } from "./operands.ts";

/** Number of a register: `x.a0`, `f.fa0`. Which file it is in follows from the instruction. */
export type Register = number;
/** A label, or a distance in bytes from the instruction. */
export type Target = string | number;
export type Ordering = "" | "aq" | "rl" | "aqrl";
export type Rounding = "rne" | "rtz" | "rdn" | "rup" | "rmm" | "dyn";

export interface OperandsByFormat {
  R: [rd: Register, rs1: Register, rs2: Register, rounding?: Rounding];
  R2: [rd: Register, rs1: Register, rounding?: Rounding];
  R4: [rd: Register, rs1: Register, rs2: Register, rs3: Register, rounding?: Rounding];
  I: [rd: Register, rs1: Register, immediate: number];
  L: [rd: Register, offset: number, base: Register];
  S: [rs2: Register, offset: number, base: Register];
  B: [rs1: Register, rs2: Register, target: Target];
  /** The upper 20 bits, as a number from −0x80000 to 0xfffff. */
  U: [rd: Register, upper: number];
  J: [rd: Register, target: Target];
  shift32: [rd: Register, rs1: Register, amount: number];
  shift64: [rd: Register, rs1: Register, amount: number];
  csr: [rd: Register, csr: number | CsrName, rs1: Register];
  csri: [rd: Register, csr: number | CsrName, immediate: number];
  amo: [rd: Register, rs2: Register, address: Register, ordering?: Ordering];
  lr: [rd: Register, address: Register, ordering?: Ordering];
  /** Sets of accesses out of "i", "o", "r" and "w"; both are "iorw" if left out. */
  fence: [before?: string, after?: string];
  sfence: [rs1: Register, rs2: Register];
  cbo: [address: Register];
  none: [];
}

const ROUNDING_MODES: Record<Rounding, number> = { rne: 0, rtz: 1, rdn: 2, rup: 3, rmm: 4, dyn: 7 };
const ORDERINGS: Record<Ordering, number> = { "": 0, rl: 1, aq: 2, aqrl: 3 };

/** Operands as given, sorted into fields. A label is apart, since its distance is not known yet. */
export interface Operands {
  readonly values: OperandValues;
  readonly label: string | undefined;
}

/** @throws OperandError if a fence's set of accesses is not one. */
export function sortOperands(instruction: Instruction, given: OperandsByFormat[Format]): Operands {
  const { format } = instruction;
  if (format === "fence") return { values: { imm: fenceSets(instruction, given) }, label: undefined };
  const values: Record<string, number> = {};
  let label: string | undefined;
  const { operands } = layoutOf(format);
  operands.forEach((operand, i) => {
    const value = given[i];
    if (typeof value === "number") values[operand] = operand === "imm" && format === "U" ? upper(value) : value;
    else if (format === "csr" || format === "csri") values[operand] = csr[value as CsrName];
    else label = value;
  });
  const qualifier = given[operands.length];
  if (typeof qualifier === "string") {
    if (format === "amo" || format === "lr") values.ordering = ORDERINGS[qualifier as Ordering];
    else values.rm = ROUNDING_MODES[qualifier as Rounding];
  }
  return { values, label };
}

/** 0xfffff and −1 are the same 20 bits. */
function upper(value: number): number {
  return (value > 0x7ffff && value <= 0xfffff ? value - 0x100000 : value) * 0x1000;
}

function fenceSets({ name }: Instruction, [before = "iorw", after = "iorw"]: OperandsByFormat[Format]): number {
  const [first = 0, second = 0] = [String(before), String(after)].map((set) => {
    if (!/^[iorw]*$/.test(set)) {
      throw new OperandError(name, "set of accesses", set, 'made of "i", "o", "r" and "w"');
    }
    return [..."iorw"].reduce((bits, access, i) => set.includes(access) ? bits | (8 >> i) : bits, 0);
  });
  return (first << 4) | second;
}
