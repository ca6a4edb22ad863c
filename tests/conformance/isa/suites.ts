/** All suites, assembled. */
import { interrupts } from "./interrupts.ts";
import { machineCsrs } from "./machine_csrs.ts";
import { paging } from "./paging.ts";
import { protection } from "./protection.ts";
import type { Suite } from "./suite.ts";
import { traps } from "./traps.ts";

export function suites(): Suite[] {
  return [machineCsrs(), traps(), interrupts(), protection(), ...paging()];
}
