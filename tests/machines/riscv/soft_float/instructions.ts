/** The table entries of F and D, their semantics compiled as a consumer of the table does it. */
import { giveBack } from "../../../../machines/wasm/statement.ts";
import type { Expr, Local } from "../../../../machines/wasm/expression.ts";
import type { Instruction } from "../../../../machines/riscv/instruction.ts";
import { RV64F } from "../../../../machines/riscv/instructions/rv64f.ts";
import { RV64D } from "../../../../machines/riscv/instructions/rv64d.ts";
import { createFloatMachine, type FloatMachine } from "./machine.ts";

export const ENTRIES: readonly Instruction[] = [...RV64F, ...RV64D];

/** Each entry whose semantics are an expression is a function of rs1 (x or f), fs2, fs3 and rm. */
export function createInstructionMachine(): FloatMachine {
  return createFloatMachine((module, floats) => {
    for (const { name, semantics } of ENTRIES) {
      if (semantics.shape !== "float") continue;
      const params = ["i64", "i64", "i64", "i32"] as const;
      let locals: readonly Local[] = [];
      module.function(name, { params, results: ["i64"], exported: true }, (f) => {
        locals = f.params;
        return [giveBack(semantics.result)];
      }, {
        operand: (operand): Expr => {
          const found = { rs1: locals[0], fs1: locals[0], fs2: locals[1], fs3: locals[2], rm: locals[3] }[operand];
          if (!found) throw new Error(`unknown operand "${operand}"`);
          return found;
        },
        intrinsic: (intrinsic) => {
          const found = floats.functions.get(intrinsic);
          if (!found) throw new Error(`unknown intrinsic "${intrinsic}"`);
          return found;
        },
      });
    }
  });
}
