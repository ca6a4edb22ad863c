/** The ways in which instructions run, for tests of what must be true in all of them. */
import { DEFAULT_TRANSLATION, type TranslatorOptions } from "../../../machines/riscv/translator/translator.ts";
import type { Accelerator, Translation } from "../../../machines/virt/options.ts";

export interface Tier {
  readonly name: string;
  readonly accelerator: Accelerator;
  readonly translation?: Translation;
}

export const INTERPRETED: Tier = { name: "interpreted", accelerator: "interp" };
/** Everything is translated where control comes to it first. */
export const AT_ONCE: Tier = { name: "translated at once", accelerator: "jit", translation: { threshold: 1 } };
/** So few regions that there is no room for those of a loop with a call. */
export const SMALL_CACHE: Tier = {
  name: "in a small cache",
  accelerator: "jit",
  translation: { threshold: 1, regions: 3 },
};
export const CHECKED: Tier = { name: "checked", accelerator: "check", translation: { threshold: 1 } };
/** As machines are by default: what is hot, by a worker where there is one. */
export const JIT: Tier = { name: "translated when hot", accelerator: "jit" };

/** The short form of suites leaves out what takes long and rarely finds more: `deno task tiers` does not. */
export const isLong = Deno.env.get("FREEHOLD_TIERS") === "all";
const CHECKED_IN_SMALL_CACHE: Tier = {
  name: "checked in a small cache",
  accelerator: "check",
  translation: { threshold: 2, regions: 4 },
};
export const SOON: Tier = { name: "translated soon", accelerator: "jit", translation: { threshold: 20 } };

export const TIERS: readonly Tier[] = [
  INTERPRETED,
  AT_ONCE,
  SMALL_CACHE,
  CHECKED,
  ...(isLong ? [JIT, SOON, CHECKED_IN_SMALL_CACHE] : []),
];

/** For programs that run so long that in a smaller cache they would hardly do anything but be translated. */
const SHORT_CACHE: Tier = {
  name: "in a cache of 16 regions",
  accelerator: "jit",
  translation: { threshold: 5, regions: 16 },
};
export const TIERS_FOR_PROGRAMS: readonly Tier[] = [
  INTERPRETED,
  JIT,
  AT_ONCE,
  SHORT_CACHE,
  CHECKED,
  ...(isLong ? [SOON, SMALL_CACHE, CHECKED_IN_SMALL_CACHE] : []),
];

/** For a hart without a machine; nothing if it is to interpret. */
export function translationIn({ accelerator, translation = {} }: Tier): TranslatorOptions | undefined {
  if (accelerator === "interp") return undefined;
  const { threshold = DEFAULT_TRANSLATION.threshold, regions = DEFAULT_TRANSLATION.limit } = translation;
  return { threshold, limit: regions, eager: threshold === 1, isChecked: accelerator === "check" };
}

/** How the harts of tests run that don't say so themselves: a file sets it before it imports them. */
export const current: { tier: Tier } = { tier: INTERPRETED };
