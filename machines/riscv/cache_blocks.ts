/**
 * Which cache-block instructions a mode may use: the fields CBIE, CBCFE and CBZE of menvcfg and senvcfg (unprivileged
 * specification, chapter "CMO", "Control and Status Register State").
 */
import type { HartFeatures } from "./features.ts";
import { M_MODE, type Mode, S_MODE } from "./hart_state.ts";
import { BLOCK_INVALIDATE, BLOCK_MANAGE, BLOCK_ZERO } from "./layout.ts";

const CBIE_SHIFT = 4n;
const CBIE = 3n << CBIE_SHIFT, CBCFE = 1n << 6n, CBZE = 1n << 7n;
const CBIE_RESERVED = 2n << CBIE_SHIFT;

/** The fields that menvcfg and senvcfg have. */
export function blockControls({ extensions }: HartFeatures): bigint {
  return (extensions.has("Zicbom") ? CBIE | CBCFE : 0n) | (extensions.has("Zicboz") ? CBZE : 0n);
}

/** What a write makes of the register: CBIE keeps its value if it is given the reserved one. */
export function legalizeBlockControls(before: bigint, written: bigint): bigint {
  return (written & CBIE) === CBIE_RESERVED ? (written & ~CBIE) | (before & CBIE) : written;
}

/** What a mode may use, as `BLOCK_*` bits. Invalidation may be done as a flush: without caches both do nothing. */
export function allowedBlockActions(mode: Mode, menvcfg: bigint, senvcfg: bigint): number {
  if (mode === M_MODE) return BLOCK_INVALIDATE | BLOCK_MANAGE | BLOCK_ZERO;
  const supervisor = granted(menvcfg);
  return mode === S_MODE ? supervisor : supervisor & granted(senvcfg);
}

function granted(controls: bigint): number {
  return ((controls & CBIE) === 0n ? 0 : BLOCK_INVALIDATE) | ((controls & CBCFE) === 0n ? 0 : BLOCK_MANAGE) |
    ((controls & CBZE) === 0n ? 0 : BLOCK_ZERO);
}
