/** Zicsr: control and status register instructions (unprivileged specification, chapter "Zicsr"). */
import { csr, csri, extension } from "../encoding.ts";
import type { Semantics } from "../instruction.ts";

const register = (op: "write" | "set" | "clear"): Semantics => ({ shape: "csr", op, immediate: false });
const immediate = (op: "write" | "set" | "clear"): Semantics => ({ shape: "csr", op, immediate: true });

export const ZICSR = extension("Zicsr", [
  csr("csrrw", 0b001, register("write")),
  csr("csrrs", 0b010, register("set")),
  csr("csrrc", 0b011, register("clear")),
  csri("csrrwi", 0b101, immediate("write")),
  csri("csrrsi", 0b110, immediate("set")),
  csri("csrrci", 0b111, immediate("clear")),
]);
