/** RV64I: the base integer instruction set (unprivileged specification, chapters "RV32I" and "RV64I"). */
import { type Expr, i32, i64 } from "../../wasm/expression.ts";
import { B, extension, fence, I, J, L, none, R, S, shift32, shift64, U } from "../encoding.ts";
import { imm, pc, rs1, rs2, type Semantics } from "../instruction.ts";

const compute = (result: Expr): Semantics => ({ shape: "compute", result });
/** A 32-bit result, sign-extended as every W-form's is. */
const word = (result: Expr) => compute(i64.extend_i32_s(result));
const low = (value: Expr) => i32.wrap_i64(value);
/** A comparison's 0 or 1 as a register value. */
const flag = (condition: Expr) => compute(i64.extend_i32_u(condition));
const load = (bytes: 1 | 2 | 4 | 8, signed: boolean): Semantics => ({ shape: "load", bytes, signed, file: "x" });
const store = (bytes: 1 | 2 | 4 | 8): Semantics => ({ shape: "store", bytes, file: "x" });
const branch = (taken: Expr): Semantics => ({ shape: "branch", taken });
const jump = (target: Expr): Semantics => ({ shape: "jump", target });

// Shift amounts: WebAssembly, too, takes the low 6 (or 5) bits only.
export const RV64I = extension("I", [
  // name, major opcode, funct3, funct7 (or what takes its place)
  U("lui", "LUI", compute(imm)),
  U("auipc", "AUIPC", compute(i64.add(pc, imm))),
  J("jal", "JAL", jump(i64.add(pc, imm))),
  L("jalr", "JALR", 0b000, jump(i64.and(i64.add(rs1, imm), i64.const(-2)))),

  B("beq", "BRANCH", 0b000, branch(i64.eq(rs1, rs2))),
  B("bne", "BRANCH", 0b001, branch(i64.ne(rs1, rs2))),
  B("blt", "BRANCH", 0b100, branch(i64.lt_s(rs1, rs2))),
  B("bge", "BRANCH", 0b101, branch(i64.ge_s(rs1, rs2))),
  B("bltu", "BRANCH", 0b110, branch(i64.lt_u(rs1, rs2))),
  B("bgeu", "BRANCH", 0b111, branch(i64.ge_u(rs1, rs2))),

  L("lb", "LOAD", 0b000, load(1, true)),
  L("lh", "LOAD", 0b001, load(2, true)),
  L("lw", "LOAD", 0b010, load(4, true)),
  L("ld", "LOAD", 0b011, load(8, true)),
  L("lbu", "LOAD", 0b100, load(1, false)),
  L("lhu", "LOAD", 0b101, load(2, false)),
  L("lwu", "LOAD", 0b110, load(4, false)),
  S("sb", "STORE", 0b000, store(1)),
  S("sh", "STORE", 0b001, store(2)),
  S("sw", "STORE", 0b010, store(4)),
  S("sd", "STORE", 0b011, store(8)),

  I("addi", "OP-IMM", 0b000, compute(i64.add(rs1, imm))),
  shift64("slli", "OP-IMM", 0b001, 0b000000, compute(i64.shl(rs1, imm))),
  I("slti", "OP-IMM", 0b010, flag(i64.lt_s(rs1, imm))),
  I("sltiu", "OP-IMM", 0b011, flag(i64.lt_u(rs1, imm))),
  I("xori", "OP-IMM", 0b100, compute(i64.xor(rs1, imm))),
  shift64("srli", "OP-IMM", 0b101, 0b000000, compute(i64.shr_u(rs1, imm))),
  shift64("srai", "OP-IMM", 0b101, 0b010000, compute(i64.shr_s(rs1, imm))),
  I("ori", "OP-IMM", 0b110, compute(i64.or(rs1, imm))),
  I("andi", "OP-IMM", 0b111, compute(i64.and(rs1, imm))),

  R("add", "OP", 0b000, 0b0000000, compute(i64.add(rs1, rs2))),
  R("sub", "OP", 0b000, 0b0100000, compute(i64.sub(rs1, rs2))),
  R("sll", "OP", 0b001, 0b0000000, compute(i64.shl(rs1, rs2))),
  R("slt", "OP", 0b010, 0b0000000, flag(i64.lt_s(rs1, rs2))),
  R("sltu", "OP", 0b011, 0b0000000, flag(i64.lt_u(rs1, rs2))),
  R("xor", "OP", 0b100, 0b0000000, compute(i64.xor(rs1, rs2))),
  R("srl", "OP", 0b101, 0b0000000, compute(i64.shr_u(rs1, rs2))),
  R("sra", "OP", 0b101, 0b0100000, compute(i64.shr_s(rs1, rs2))),
  R("or", "OP", 0b110, 0b0000000, compute(i64.or(rs1, rs2))),
  R("and", "OP", 0b111, 0b0000000, compute(i64.and(rs1, rs2))),

  I("addiw", "OP-IMM-32", 0b000, word(i32.add(low(rs1), low(imm)))),
  shift32("slliw", "OP-IMM-32", 0b001, 0b0000000, word(i32.shl(low(rs1), low(imm)))),
  shift32("srliw", "OP-IMM-32", 0b101, 0b0000000, word(i32.shr_u(low(rs1), low(imm)))),
  shift32("sraiw", "OP-IMM-32", 0b101, 0b0100000, word(i32.shr_s(low(rs1), low(imm)))),
  R("addw", "OP-32", 0b000, 0b0000000, word(i32.add(low(rs1), low(rs2)))),
  R("subw", "OP-32", 0b000, 0b0100000, word(i32.sub(low(rs1), low(rs2)))),
  R("sllw", "OP-32", 0b001, 0b0000000, word(i32.shl(low(rs1), low(rs2)))),
  R("srlw", "OP-32", 0b101, 0b0000000, word(i32.shr_u(low(rs1), low(rs2)))),
  R("sraw", "OP-32", 0b101, 0b0100000, word(i32.shr_s(low(rs1), low(rs2)))),

  fence("fence", 0b000, { shape: "system", action: "fence" }),
  none("ecall", "SYSTEM", 0b000000000000, { shape: "system", action: "ecall" }),
  none("ebreak", "SYSTEM", 0b000000000001, { shape: "system", action: "ebreak" }),
]);
