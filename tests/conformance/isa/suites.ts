/** All suites. Each call assembles one. */
import { interrupts } from "./interrupts.ts";
import { machineCsrs } from "./machine_csrs.ts";
import { protection } from "./protection.ts";
import type { Suite } from "./suite.ts";
import { traps } from "./traps.ts";

export const SUITES: readonly (() => Suite)[] = [machineCsrs, traps, interrupts, protection];
