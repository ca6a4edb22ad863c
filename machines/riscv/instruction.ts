/**
 * What an instruction of the table is: encoding, operands and semantics, each stated once. The decoder, the
 * disassembler, the assembler, the interpreter and the translator are all derived from these records.
 *
 * Semantics are expression trees over named operands (`rs1`, `rs2`, `rs3`, `imm`, `pc`, `rm`), sorted into shapes that
 * declare their effects: what is read and written, whether the instruction may trap, whether it ends a block.
 */
import { type Expr, operand } from "../wasm/expression.ts";

/**
 * Operand layouts of the base formats (unprivileged specification, 2.2 and 2.3), split where the assembly text differs.
 * Operands are listed in the order of the text.
 */
export type Format =
  | "R" // rd, rs1, rs2 and, where the instruction rounds, rm
  | "R2" // rd, rs1 and, where the instruction rounds, rm; the rs2 field is part of the opcode
  | "R4" // rd, rs1, rs2, rs3, rm
  | "I" // rd, rs1, imm
  | "L" // rd, imm(rs1): the I format of loads and jalr
  | "S" // rs2, imm(rs1)
  | "B" // rs1, rs2, imm
  | "U" // rd, imm
  | "J" // rd, imm
  | "shift32" // rd, rs1, imm (5 bits)
  | "shift64" // rd, rs1, imm (6 bits)
  | "csr" // rd, imm = CSR number, rs1
  | "csri" // rd, imm = CSR number, rs1 = 5-bit immediate
  | "amo" // rd, rs2, (rs1); aq and rl ignored: one hart runs at a time
  | "lr" // rd, (rs1); aq and rl ignored
  | "fence" // imm = fm, predecessor and successor set; rd and rs1 are ignored
  | "sfence" // rs1, rs2
  | "cbo" // (rs1)
  | "none"; // no operands

export interface Instruction {
  readonly name: string;
  readonly extension: string;
  readonly format: Format;
  /** Bits that are fixed, and their values: `(word & mask) === match`. Both are unsigned 32-bit. */
  readonly mask: number;
  readonly match: number;
  readonly semantics: Semantics;
}

/** i64 values of operands. `f` registers are their raw 64 bits; NaN boxing is part of the float semantics. */
export const rs1: Expr = operand("i64", "rs1");
export const rs2: Expr = operand("i64", "rs2");
/** Sign-extended immediate. */
export const imm: Expr = operand("i64", "imm");
/** Address of this instruction. */
export const pc: Expr = operand("i64", "pc");
export const fs1: Expr = operand("i64", "fs1");
export const fs2: Expr = operand("i64", "fs2");
export const fs3: Expr = operand("i64", "fs3");
/** Effective rounding mode 0–4 (`i32`); the dynamic mode is resolved, and checked, before semantics run. */
export const rm: Expr = operand("i32", "rm");
/** In `atomic` semantics: what memory held, sign-extended. */
export const old: Expr = operand("i64", "old");

export type Semantics =
  /** rd ← result. Cannot trap. */
  | { readonly shape: "compute"; readonly result: Expr }
  /** x[rd] or f[rd] ← memory at rs1 + imm. May trap. */
  | { readonly shape: "load"; readonly bytes: 1 | 2 | 4 | 8; readonly signed: boolean; readonly file: "x" | "f" }
  /** memory at rs1 + imm ← low bytes of x[rs2] or f[rs2]. May trap. */
  | { readonly shape: "store"; readonly bytes: 1 | 2 | 4 | 8; readonly file: "x" | "f" }
  /** Goes to pc + imm if `taken` (i32) is not zero. Ends a block. */
  | { readonly shape: "branch"; readonly taken: Expr }
  /** rd ← address of the next instruction; goes to `target`. Ends a block. */
  | { readonly shape: "jump"; readonly target: Expr }
  /** rd ← old; memory at rs1 ← next. Traps unless aligned. */
  | { readonly shape: "atomic"; readonly bytes: 4 | 8; readonly next: Expr }
  | { readonly shape: "loadReserved" | "storeConditional"; readonly bytes: 4 | 8 }
  /**
   * x[rd] or f[rd] ← result, an expression over fs1, fs2, fs3, rs1 and rm whose intrinsics accrue exception flags.
   * Traps if FS is Off or, where `rounds`, if the rounding mode is reserved. Makes FS Dirty.
   */
  | { readonly shape: "float"; readonly file: "x" | "f"; readonly rounds: boolean; readonly result: Expr }
  /** Reads and writes a CSR. May trap, may change anything. Ends a block. */
  | { readonly shape: "csr"; readonly op: "write" | "set" | "clear"; readonly immediate: boolean }
  /**
   * Acts on the 64 bytes around x[rs1]. May trap. Without caches, all but zeroing is only the check that they may be
   * accessed.
   */
  | { readonly shape: "cacheBlock"; readonly action: "zero" | "inval" | "clean" | "flush" }
  /** Acts on the whole hart; named in `action`. Ends a block. */
  | {
    readonly shape: "system";
    readonly action: "ecall" | "ebreak" | "mret" | "sret" | "wfi" | "sfence.vma" | "fence" | "fence.i" | "pause";
  };
