/** Zicond: conditional zero, from which conditional moves are made (unprivileged specification, chapter "Zicond"). */
import { type Expr, i64, select } from "../../wasm/expression.ts";
import { extension, R } from "../encoding.ts";
import { rs1, rs2, type Semantics } from "../instruction.ts";

const rs1If = (condition: Expr): Semantics => ({ shape: "compute", result: select(condition, rs1, i64.const(0)) });

export const ZICOND = extension("Zicond", [
  R("czero.eqz", "OP", 0b101, 0b0000111, rs1If(i64.ne(rs2, i64.const(0)))),
  R("czero.nez", "OP", 0b111, 0b0000111, rs1If(i64.eqz(rs2))),
]);
