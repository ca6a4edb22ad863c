/** Zifencei, Zihintpause and the privileged instructions (privileged specification, "Machine-Level" and "Supervisor-Level ISA"). */
import { bareFence, extension, hint, none, sfence } from "../encoding.ts";

export const ZIFENCEI = extension("Zifencei", [
  bareFence("fence.i", 0b001, { shape: "system", action: "fence.i" }),
]);

/** A fence without effect otherwise: it comes before `fence` in the table, whose special case it is. */
export const ZIHINTPAUSE = extension("Zihintpause", [
  hint("pause", 0b0000_0001_0000, { shape: "system", action: "pause" }),
]);

export const PRIVILEGED = extension("privileged", [
  none("sret", "SYSTEM", 0b000100000010, { shape: "system", action: "sret" }),
  none("mret", "SYSTEM", 0b001100000010, { shape: "system", action: "mret" }),
  none("wfi", "SYSTEM", 0b000100000101, { shape: "system", action: "wfi" }),
  sfence("sfence.vma", 0b0001001, { shape: "system", action: "sfence.vma" }),
]);
