/**
 * The encodings of the base formats (unprivileged specification, 2.2 and 2.3; major opcodes: chapter "RV32/64G
 * Instruction Set Listings"): one constructor per format, so that an instruction's row reads like the manual's table.
 */
import type { Format, Instruction, Semantics } from "./instruction.ts";

/** An instruction whose name and format are known to the type checker: the assembler's methods come from them. */
export interface Row<N extends string = string, F extends Format = Format> extends Instruction {
  readonly name: N;
  readonly format: F;
}

/** A row before it is told which extension it belongs to. */
type Encoding<N extends string = string, F extends Format = Format> = Omit<Row<N, F>, "extension">;

/** Major opcodes: bits 6 to 2 of the word, under the names of the specification. */
const OPCODES = {
  "LOAD": 0b00000,
  "LOAD-FP": 0b00001,
  "MISC-MEM": 0b00011,
  "OP-IMM": 0b00100,
  "AUIPC": 0b00101,
  "OP-IMM-32": 0b00110,
  "STORE": 0b01000,
  "STORE-FP": 0b01001,
  "AMO": 0b01011,
  "OP": 0b01100,
  "LUI": 0b01101,
  "OP-32": 0b01110,
  "MADD": 0b10000,
  "MSUB": 0b10001,
  "NMSUB": 0b10010,
  "NMADD": 0b10011,
  "OP-FP": 0b10100,
  "BRANCH": 0b11000,
  "JALR": 0b11001,
  "JAL": 0b11011,
  "SYSTEM": 0b11100,
} as const;

export type Opcode = keyof typeof OPCODES;

/** A fixed field: its lowest bit, its width and its value; no value leaves the bits to an operand. */
type Field = readonly [low: number, width: number, value: number | undefined];

/** @throws RangeError if a value does not fit its field. */
function encode<const N extends string, F extends Format>(
  name: N,
  format: F,
  opcode: Opcode,
  fields: readonly Field[],
  semantics: Semantics,
): Encoding<N, F> {
  let mask = 0x7f, match = (OPCODES[opcode] << 2) | 0b11;
  for (const [low, width, value] of fields) {
    if (value === undefined) continue;
    if (value < 0 || value >= 2 ** width) throw new RangeError(`${name}: ${value} does not fit ${width} bits`);
    mask |= (2 ** width - 1) << low;
    match |= value << low;
  }
  return { name, format, mask: mask >>> 0, match: match >>> 0, semantics };
}

const funct3 = (value: number | undefined): Field => [12, 3, value];
const funct7 = (value: number): Field => [25, 7, value];

/** rd, rs1, rs2. No funct3: the field is the rounding mode. */
export const R = <const N extends string>(name: N, opcode: Opcode, f3: number | undefined, f7: number, s: Semantics) =>
  encode(name, "R", opcode, [funct3(f3), funct7(f7)], s);

/** rd, rs1; the field of rs2 tells instructions apart. No funct3: the field is the rounding mode. */
export const R2 = <const N extends string>(
  name: N,
  opcode: Opcode,
  f3: number | undefined,
  f7: number,
  rs2: number,
  s: Semantics,
) => encode(name, "R2", opcode, [funct3(f3), funct7(f7), [20, 5, rs2]], s);

/** rd, rs1, rs2, rs3, rm. `fmt` is 0 for single and 1 for double precision. */
export const R4 = <const N extends string>(name: N, opcode: Opcode, fmt: number, s: Semantics) =>
  encode(name, "R4", opcode, [[25, 2, fmt]], s);

/** rd, rs1, immediate. */
export const I = <const N extends string>(name: N, opcode: Opcode, f3: number, s: Semantics) =>
  encode(name, "I", opcode, [funct3(f3)], s);

/** rd, immediate(rs1): loads and jalr. */
export const L = <const N extends string>(name: N, opcode: Opcode, f3: number, s: Semantics) =>
  encode(name, "L", opcode, [funct3(f3)], s);

/** rs2, immediate(rs1): stores. */
export const S = <const N extends string>(name: N, opcode: Opcode, f3: number, s: Semantics) =>
  encode(name, "S", opcode, [funct3(f3)], s);

/** rs1, rs2, distance. */
export const B = <const N extends string>(name: N, opcode: Opcode, f3: number, s: Semantics) =>
  encode(name, "B", opcode, [funct3(f3)], s);

/** rd, upper 20 bits. */
export const U = <const N extends string>(name: N, opcode: Opcode, s: Semantics) => encode(name, "U", opcode, [], s);

/** rd, distance. */
export const J = <const N extends string>(name: N, opcode: Opcode, s: Semantics) => encode(name, "J", opcode, [], s);

/** rd, rs1, shift amount of 6 bits; `f6` are the bits above it. */
export const shift64 = <const N extends string>(name: N, opcode: Opcode, f3: number, f6: number, s: Semantics) =>
  encode(name, "shift64", opcode, [funct3(f3), [26, 6, f6]], s);

/** rd, rs1, shift amount of 5 bits; `f7` are the bits above it. */
export const shift32 = <const N extends string>(name: N, opcode: Opcode, f3: number, f7: number, s: Semantics) =>
  encode(name, "shift32", opcode, [funct3(f3), funct7(f7)], s);

/** rd, rs2, (rs1), with the ordering bits aq and rl below `f5`. */
export const amo = <const N extends string>(name: N, f3: number, f5: number, s: Semantics) =>
  encode(name, "amo", "AMO", [funct3(f3), [27, 5, f5]], s);

/** rd, (rs1), with the ordering bits: the rs2 field is zero. */
export const lr = <const N extends string>(name: N, f3: number, f5: number, s: Semantics) =>
  encode(name, "lr", "AMO", [funct3(f3), [27, 5, f5], [20, 5, 0]], s);

/** rd, CSR, rs1. */
export const csr = <const N extends string>(name: N, f3: number, s: Semantics) =>
  encode(name, "csr", "SYSTEM", [funct3(f3)], s);

/** rd, CSR, immediate of 5 bits. */
export const csri = <const N extends string>(name: N, f3: number, s: Semantics) =>
  encode(name, "csri", "SYSTEM", [funct3(f3)], s);

/** Predecessor and successor sets; rd and rs1 are ignored, as forward compatibility demands (2.7). */
export const fence = <const N extends string>(name: N, f3: number, s: Semantics) =>
  encode(name, "fence", "MISC-MEM", [funct3(f3)], s);

/** No operands, and every field but funct3 is ignored ("Zifencei"). */
export const bareFence = <const N extends string>(name: N, f3: number, s: Semantics) =>
  encode(name, "none", "MISC-MEM", [funct3(f3)], s);

/** rs1, rs2; rd is zero. */
export const sfence = <const N extends string>(name: N, f7: number, s: Semantics) =>
  encode(name, "sfence", "SYSTEM", [funct3(0), funct7(f7), [7, 5, 0]], s);

/** (rs1); the immediate field says what is done, rd is zero. */
export const cbo = <const N extends string>(name: N, f12: number, s: Semantics) =>
  encode(name, "cbo", "MISC-MEM", [funct3(2), [7, 5, 0], [20, 12, f12]], s);

/** A fence that is a hint of its own: rd and rs1 are zero, `f12` is the whole immediate field. */
export const hint = <const N extends string>(name: N, f12: number, s: Semantics) =>
  encode(name, "none", "MISC-MEM", [funct3(0), [7, 5, 0], [15, 5, 0], [20, 12, f12]], s);

/** No operands: `f12` is the whole immediate field, rd and rs1 are zero. */
export const none = <const N extends string>(name: N, opcode: Opcode, f12: number, s: Semantics) =>
  encode(name, "none", opcode, [[7, 13, 0], [20, 12, f12]], s);

/** Marks rows as an extension's. */
export function extension<const T extends readonly Encoding[]>(
  name: string,
  rows: T,
): { readonly [K in keyof T]: T[K] & { readonly extension: string } } {
  return rows.map((row) => ({ ...row, extension: name })) as {
    readonly [K in keyof T]: T[K] & { readonly extension: string };
  };
}
