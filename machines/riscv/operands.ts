/** Where the operands of each format stand in the word, and in which order assembly text names them. */
import { type Immediate, immediate } from "./immediate.ts";
import type { Format, Instruction } from "./instruction.ts";
import { countOperands } from "../wasm/rewrite.ts";

export type RegisterField = "rd" | "rs1" | "rs2" | "rs3";
export type OperandName = RegisterField | "imm";

/** Lowest bit of each 5-bit register field. */
export const REGISTER_FIELDS: Readonly<Record<RegisterField, number>> = { rd: 7, rs1: 15, rs2: 20, rs3: 27 };
/** Lowest bit of the 3-bit rounding mode. */
export const ROUNDING_FIELD = 12;

interface Layout {
  /** In the order of assembly text. */
  readonly operands: readonly OperandName[];
  readonly immediate?: Immediate;
}

const I_IMMEDIATE = immediate(true, ["31:20", "11:0"]);
const CSR_NUMBER = immediate(false, ["31:20", "11:0"]);

export const LAYOUTS = {
  R: { operands: ["rd", "rs1", "rs2"] },
  R2: { operands: ["rd", "rs1"] },
  R4: { operands: ["rd", "rs1", "rs2", "rs3"] },
  I: { operands: ["rd", "rs1", "imm"], immediate: I_IMMEDIATE },
  L: { operands: ["rd", "imm", "rs1"], immediate: I_IMMEDIATE },
  S: { operands: ["rs2", "imm", "rs1"], immediate: immediate(true, ["31:25", "11:5"], ["11:7", "4:0"]) },
  B: { operands: ["rs1", "rs2", "imm"], immediate: immediate(true, ["31:25", "12|10:5"], ["11:7", "4:1|11"]) },
  U: { operands: ["rd", "imm"], immediate: immediate(true, ["31:12", "31:12"]) },
  J: { operands: ["rd", "imm"], immediate: immediate(true, ["31:12", "20|10:1|11|19:12"]) },
  shift32: { operands: ["rd", "rs1", "imm"], immediate: immediate(false, ["24:20", "4:0"]) },
  shift64: { operands: ["rd", "rs1", "imm"], immediate: immediate(false, ["25:20", "5:0"]) },
  csr: { operands: ["rd", "imm", "rs1"], immediate: CSR_NUMBER },
  csri: { operands: ["rd", "imm", "rs1"], immediate: CSR_NUMBER },
  amo: { operands: ["rd", "rs2", "rs1"] },
  lr: { operands: ["rd", "rs1"] },
  fence: { operands: ["imm"], immediate: immediate(false, ["31:20", "11:0"]) },
  sfence: { operands: ["rs1", "rs2"] },
  cbo: { operands: ["rs1"] },
  none: { operands: [] },
} as const satisfies Record<Format, Layout>;

/** The layout without its literal types, for code that works on any format. */
export function layoutOf(format: Format): Layout {
  return LAYOUTS[format];
}

/** Which register file each register operand is in. */
export type RegisterFiles = Readonly<Record<RegisterField, "x" | "f">>;

/** The files follow from the semantics: an operand is an f register if the instruction treats it as one. */
export function registerFiles({ semantics }: Instruction): RegisterFiles {
  const used = "result" in semantics ? countOperands(semantics.result) : new Map<string, number>();
  const file = (name: string) => used.has(name) ? "f" : "x";
  return {
    rd: semantics.shape === "load" || semantics.shape === "float" ? semantics.file : "x",
    rs1: file("fs1"),
    rs2: semantics.shape === "store" ? semantics.file : file("fs2"),
    rs3: file("fs3"),
  };
}
