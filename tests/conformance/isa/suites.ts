/** All suites, assembled. */
import { atomics } from "./atomics.ts";
import { cacheBlocks, withoutCacheBlocks } from "./cache_blocks.ts";
import { compressed } from "./compressed.ts";
import { encodings } from "./encodings.ts";
import { floats } from "./floats.ts";
import { arithmetic, memoryAndJumps } from "./integers.ts";
import { interrupts } from "./interrupts.ts";
import { machineCsrs } from "./machine_csrs.ts";
import { paging } from "./paging.ts";
import { protection } from "./protection.ts";
import type { Suite } from "./suite.ts";
import { traps } from "./traps.ts";

export function suites(): Suite[] {
  return [
    ...arithmetic(),
    memoryAndJumps(),
    atomics(),
    floats(),
    compressed(),
    cacheBlocks(),
    withoutCacheBlocks(),
    ...encodings(),
    machineCsrs(),
    traps(),
    interrupts(),
    protection(),
    ...paging(),
  ];
}
