/** Assembly text of one instruction, spelt as GNU objdump spells it without aliases. */
import { csrName } from "./csr_names.ts";
import { decode, type Decoded } from "./decode.ts";
import type { Instruction } from "./instruction.ts";
import { layoutOf, type OperandName, registerFiles } from "./operands.ts";
import { F_NAMES, X_NAMES } from "./registers.ts";

const ROUNDING = ["rne", "rtz", "rdn", "rup", "rmm"];

/**
 * A compressed instruction reads as the base instruction that it stands for, an illegal one as the data that it is.
 * @param word 32 bits, or 16 in the low half.
 * @param pc address of the instruction, from which the targets of branches and jumps are counted.
 */
export function disassemble(word: number, pc: number | bigint): string {
  const decoded = decode(word);
  if (!decoded) {
    return (word & 3) === 3 ? `.word 0x${hex(word >>> 0, 8)}` : `.half 0x${hex(word & 0xffff, 4)}`;
  }
  const { instruction, rm } = decoded;
  if (instruction.format === "fence") return fenceText(decoded.imm);
  const texts = layoutOf(instruction.format).operands.map((name) => operandText(name, decoded, BigInt(pc)));
  const rounding = ROUNDING[rm];
  if (rounding && rounds(instruction)) texts.push(rounding);
  const operands = parenthesised(instruction, texts);
  return `${instruction.name}${ordering(instruction, word)}${operands === "" ? "" : ` ${operands}`}`;
}

function rounds({ semantics }: Instruction): boolean {
  return semantics.shape === "float" && semantics.rounds;
}

/** Addresses stand in parentheses: directly after an offset, else after a comma. */
function parenthesised({ format }: Instruction, texts: string[]): string {
  const others = texts.slice(0, -1).join(",");
  switch (format) {
    case "L":
    case "S":
      return `${others}(${texts.at(-1)})`;
    case "amo":
    case "lr":
      return `${others},(${texts.at(-1)})`;
    case "cbo":
      return `(${texts.at(-1)})`;
    default:
      return texts.join(",");
  }
}

function operandText(name: OperandName, decoded: Decoded, pc: bigint): string {
  const { instruction, imm } = decoded;
  if (name !== "imm") {
    if (name === "rs1" && instruction.format === "csri") return String(decoded.rs1);
    const names = registerFiles(instruction)[name] === "f" ? F_NAMES : X_NAMES;
    return names[decoded[name]] ?? "";
  }
  switch (instruction.format) {
    case "B":
    case "J":
      return `0x${hex(BigInt.asUintN(64, pc + BigInt(imm)))}`;
    case "U":
      return `0x${hex(imm >>> 12)}`;
    case "shift32":
    case "shift64":
      return `0x${hex(imm)}`;
    case "csr":
    case "csri":
      return csrName(imm);
    default:
      return String(imm);
  }
}

function ordering({ format }: Instruction, word: number): string {
  if (format !== "amo" && format !== "lr") return "";
  return ["", ".rl", ".aq", ".aqrl"][(word >>> 25) & 3] ?? "";
}

/** Predecessor and successor sets (2.7, "Memory Ordering Instructions"); modes other than TSO are plain fences. */
function fenceText(imm: number): string {
  const [mode, before, after] = [imm >>> 8, (imm >>> 4) & 15, imm & 15];
  if (mode === 8 && before === 3 && after === 3) return "fence.tso";
  return `fence ${accessSet(before)},${accessSet(after)}`;
}

function accessSet(bits: number): string {
  return [..."iorw"].filter((_, i) => bits & (8 >> i)).join("") || "0";
}

function hex(value: number | bigint, digits = 0): string {
  return value.toString(16).padStart(digits, "0");
}
