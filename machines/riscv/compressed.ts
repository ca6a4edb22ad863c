/**
 * RV64C: 16-bit encodings, each a short form of one base instruction (unprivileged specification, chapter "C",
 * "RVC Instruction Set Listings"). Only reserved encodings are marked; hints are base instructions without effect.
 */
import { extract, type Immediate, immediate, insert } from "./immediate.ts";

/** A register operand: a number, a 5-bit field, or a 3-bit field that names x8 to x15. */
export type RegisterSource = number | { readonly low: number; readonly width: 3 | 5 };

export interface Compressed {
  readonly name: string;
  /** Fixed bits of the halfword, and their values. Where rows overlap, the first one counts. */
  readonly mask: number;
  readonly match: number;
  /** Name of the base instruction, and its operands; those that are not stated are 0. */
  readonly base: string;
  readonly rd?: RegisterSource;
  readonly rs1?: RegisterSource;
  readonly rs2?: RegisterSource;
  readonly imm?: Immediate;
  /** The encoding is reserved while this operand is 0. */
  readonly nonzero?: "rd" | "rs1" | "imm";
}

/** What a row's encoding means: the base instruction's operands. */
export interface Expansion {
  readonly rd: number;
  readonly rs1: number;
  readonly rs2: number;
  readonly imm: number;
}

/** The full register field at 11:7 (rd and rs1) and at 6:2 (rs2). */
const full = (low: 7 | 2): RegisterSource => ({ low, width: 5 });
/** The short register field at 9:7 (rs1′, rd′) and at 4:2 (rs2′, rd′). */
const short = (low: 7 | 2): RegisterSource => ({ low, width: 3 });

const ZERO = 0, RA = 1, SP = 2;

/**
 * Fixed fields by their lowest bit; quadrant (bits 1:0) and funct3 (15:13) come first.
 * @throws RangeError if a value does not fit its field.
 */
function c(
  name: string,
  quadrant: number,
  funct3: number,
  expansion: Omit<Compressed, "name" | "mask" | "match">,
  ...fields: readonly (readonly [low: number, width: number, value: number])[]
): Compressed {
  let mask = 0, match = 0;
  for (const [low, width, value] of [[0, 2, quadrant], [13, 3, funct3], ...fields] as const) {
    if (value >= 2 ** width) throw new RangeError(`${name}: ${value} does not fit ${width} bits`);
    mask |= (2 ** width - 1) << low;
    match |= value << low;
  }
  return { name, mask, match, ...expansion };
}

const unsigned = (...pairs: [string, string][]) => immediate(false, ...pairs);
const signed = (...pairs: [string, string][]) => immediate(true, ...pairs);

const words = unsigned(["12:10", "5:3"], ["6:5", "2|6"]);
const doublewords = unsigned(["12:10", "5:3"], ["6:5", "7:6"]);
const stackWords = unsigned(["12", "5"], ["6:2", "4:2|7:6"]);
const stackDoublewords = unsigned(["12", "5"], ["6:2", "4:3|8:6"]);
const shiftAmount = unsigned(["12", "5"], ["6:2", "4:0"]);
const small = signed(["12", "5"], ["6:2", "4:0"]);
const jumpDistance = signed(["12:2", "11|4|9:8|10|6|7|3:1|5"]);
const branchDistance = signed(["12:10", "8|4:3"], ["6:2", "7:6|2:1|5"]);
const stackFrame = unsigned(["12:5", "5:4|9:6|2|3"]);
const stackMove = signed(["12", "9"], ["6:2", "4|6|8:7|5"]);
const upper = signed(["12", "17"], ["6:2", "16:12"]);

const loading = { rd: short(2), rs1: short(7) };
const storing = { rs2: short(2), rs1: short(7) };
const inPlace = { rd: short(7), rs1: short(7) };

export const RVC: readonly Compressed[] = [
  c("c.addi4spn", 0, 0b000, { base: "addi", rd: short(2), rs1: SP, imm: stackFrame, nonzero: "imm" }),
  c("c.fld", 0, 0b001, { base: "fld", ...loading, imm: doublewords }),
  c("c.lw", 0, 0b010, { base: "lw", ...loading, imm: words }),
  c("c.ld", 0, 0b011, { base: "ld", ...loading, imm: doublewords }),
  c("c.fsd", 0, 0b101, { base: "fsd", ...storing, imm: doublewords }),
  c("c.sw", 0, 0b110, { base: "sw", ...storing, imm: words }),
  c("c.sd", 0, 0b111, { base: "sd", ...storing, imm: doublewords }),

  c("c.nop", 1, 0b000, { base: "addi", imm: small }, [7, 5, ZERO]),
  c("c.addi", 1, 0b000, { base: "addi", rd: full(7), rs1: full(7), imm: small }),
  c("c.addiw", 1, 0b001, { base: "addiw", rd: full(7), rs1: full(7), imm: small, nonzero: "rd" }),
  c("c.li", 1, 0b010, { base: "addi", rd: full(7), rs1: ZERO, imm: small }),
  c("c.addi16sp", 1, 0b011, { base: "addi", rd: SP, rs1: SP, imm: stackMove, nonzero: "imm" }, [7, 5, SP]),
  c("c.lui", 1, 0b011, { base: "lui", rd: full(7), imm: upper, nonzero: "imm" }),
  c("c.srli", 1, 0b100, { base: "srli", ...inPlace, imm: shiftAmount }, [10, 2, 0b00]),
  c("c.srai", 1, 0b100, { base: "srai", ...inPlace, imm: shiftAmount }, [10, 2, 0b01]),
  c("c.andi", 1, 0b100, { base: "andi", ...inPlace, imm: small }, [10, 2, 0b10]),
  c("c.sub", 1, 0b100, { base: "sub", ...inPlace, rs2: short(2) }, [10, 3, 0b011], [5, 2, 0b00]),
  c("c.xor", 1, 0b100, { base: "xor", ...inPlace, rs2: short(2) }, [10, 3, 0b011], [5, 2, 0b01]),
  c("c.or", 1, 0b100, { base: "or", ...inPlace, rs2: short(2) }, [10, 3, 0b011], [5, 2, 0b10]),
  c("c.and", 1, 0b100, { base: "and", ...inPlace, rs2: short(2) }, [10, 3, 0b011], [5, 2, 0b11]),
  c("c.subw", 1, 0b100, { base: "subw", ...inPlace, rs2: short(2) }, [10, 3, 0b111], [5, 2, 0b00]),
  c("c.addw", 1, 0b100, { base: "addw", ...inPlace, rs2: short(2) }, [10, 3, 0b111], [5, 2, 0b01]),
  c("c.j", 1, 0b101, { base: "jal", rd: ZERO, imm: jumpDistance }),
  c("c.beqz", 1, 0b110, { base: "beq", rs1: short(7), rs2: ZERO, imm: branchDistance }),
  c("c.bnez", 1, 0b111, { base: "bne", rs1: short(7), rs2: ZERO, imm: branchDistance }),

  c("c.slli", 2, 0b000, { base: "slli", rd: full(7), rs1: full(7), imm: shiftAmount }),
  c("c.fldsp", 2, 0b001, { base: "fld", rd: full(7), rs1: SP, imm: stackDoublewords }),
  c("c.lwsp", 2, 0b010, { base: "lw", rd: full(7), rs1: SP, imm: stackWords, nonzero: "rd" }),
  c("c.ldsp", 2, 0b011, { base: "ld", rd: full(7), rs1: SP, imm: stackDoublewords, nonzero: "rd" }),
  c("c.jr", 2, 0b100, { base: "jalr", rd: ZERO, rs1: full(7), nonzero: "rs1" }, [12, 1, 0], [2, 5, 0]),
  c("c.mv", 2, 0b100, { base: "add", rd: full(7), rs1: ZERO, rs2: full(2) }, [12, 1, 0]),
  c("c.ebreak", 2, 0b100, { base: "ebreak" }, [12, 1, 1], [7, 5, 0], [2, 5, 0]),
  c("c.jalr", 2, 0b100, { base: "jalr", rd: RA, rs1: full(7) }, [12, 1, 1], [2, 5, 0]),
  c("c.add", 2, 0b100, { base: "add", rd: full(7), rs1: full(7), rs2: full(2) }, [12, 1, 1]),
  c("c.fsdsp", 2, 0b101, { base: "fsd", rs2: full(2), rs1: SP, imm: unsigned(["12:7", "5:3|8:6"]) }),
  c("c.swsp", 2, 0b110, { base: "sw", rs2: full(2), rs1: SP, imm: unsigned(["12:7", "5:2|7:6"]) }),
  c("c.sdsp", 2, 0b111, { base: "sd", rs2: full(2), rs1: SP, imm: unsigned(["12:7", "5:3|8:6"]) }),
];

/** Operands of the base instruction, or nothing if the encoding is reserved. */
export function expand(row: Compressed, halfword: number): Expansion | undefined {
  const expansion = {
    rd: register(row.rd, halfword),
    rs1: register(row.rs1, halfword),
    rs2: register(row.rs2, halfword),
    imm: row.imm === undefined ? 0 : extract(row.imm, halfword),
  };
  return row.nonzero !== undefined && expansion[row.nonzero] === 0 ? undefined : expansion;
}

function register(source: RegisterSource | undefined, halfword: number): number {
  if (source === undefined) return 0;
  if (typeof source === "number") return source;
  return source.width === 5 ? (halfword >>> source.low) & 31 : 8 + ((halfword >>> source.low) & 7);
}

/** The short form of a base instruction, or nothing if these operands have none. */
export function compress(base: string, operands: Expansion): number | undefined {
  for (const row of RVC) {
    if (row.base !== base) continue;
    const { rd, rs1, rs2, imm } = operands;
    const registers = fieldOf(row.rd, rd) | fieldOf(row.rs1, rs1) | fieldOf(row.rs2, rs2);
    const halfword = row.match | registers | (row.imm === undefined ? 0 : insert(row.imm, imm));
    // Whatever did not fit its field does not come back.
    const back = RVC.find(({ mask, match }) => (halfword & mask) === match) === row && expand(row, halfword);
    if (back && back.rd === rd && back.rs1 === rs1 && back.rs2 === rs2 && back.imm === imm) return halfword;
  }
  return undefined;
}

function fieldOf(source: RegisterSource | undefined, value: number): number {
  if (source === undefined || typeof source === "number") return 0;
  return (source.width === 5 ? value & 31 : (value - 8) & 7) << source.low;
}
