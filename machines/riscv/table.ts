/** The one instruction table: every instruction that the machine knows, each stated once in `instructions/`. */
import type { Instruction } from "./instruction.ts";
import { RV64A } from "./instructions/rv64a.ts";
import { RV64D } from "./instructions/rv64d.ts";
import { RV64F } from "./instructions/rv64f.ts";
import { RV64I } from "./instructions/rv64i.ts";
import { RV64M } from "./instructions/rv64m.ts";
import { PRIVILEGED, ZIFENCEI, ZIHINTPAUSE } from "./instructions/system.ts";
import { ZBA, ZBB, ZBC, ZBS } from "./instructions/zb.ts";
import { ZICBOM, ZICBOZ } from "./instructions/zicbo.ts";
import { ZICOND } from "./instructions/zicond.ts";
import { ZICSR } from "./instructions/zicsr.ts";

/** The rows with their literal names and formats, from which the assembler's methods are typed. */
export const ROWS = [
  ...ZIHINTPAUSE,
  ...RV64I,
  ...RV64M,
  ...RV64A,
  ...RV64F,
  ...RV64D,
  ...ZICSR,
  ...ZIFENCEI,
  ...PRIVILEGED,
  ...ZBA,
  ...ZBB,
  ...ZBC,
  ...ZBS,
  ...ZICOND,
  ...ZICBOM,
  ...ZICBOZ,
] as const;

/**
 * The rows as consumers see them. An instruction's position is its `index` in what the decoder gives. A row whose words
 * are also another's is a special case of it and comes first.
 */
export const INSTRUCTIONS: readonly Instruction[] = ROWS;
