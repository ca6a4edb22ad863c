/**
 * What harts can be built with and without, beyond RV64GC with M, S and U mode: extensions that are switched, and the
 * deepest page table. Instructions of an extension that is off are illegal, its CSR fields read-only zero.
 */
import { INSTRUCTIONS } from "./table.ts";

/** Extensions with long names, in the order in which QEMU's `riscv,isa` has them. */
const TOLD = [
  "Zicbom",
  "Zicboz",
  "Zicond",
  "Zicsr",
  "Zifencei",
  "Zihintpause",
  "Zba",
  "Zbb",
  "Zbc",
  "Zbs",
  "Sstc",
] as const;

/** `pause` is a hint: without Zihintpause it is a fence. */
export type OptionalExtension = Exclude<typeof TOLD[number], "Zicsr" | "Zifencei">;

export const OPTIONAL_EXTENSIONS: readonly OptionalExtension[] = TOLD.filter((name) =>
  name !== "Zicsr" && name !== "Zifencei"
);

const BIT_MANIPULATION: readonly OptionalExtension[] = ["Zba", "Zbb", "Zbc", "Zbs"];

/** Levels of the deepest page table that satp takes: none at all, Sv39, Sv48 or Sv57. */
export type TableLevels = 0 | 3 | 4 | 5;

export interface HartFeatures {
  readonly extensions: ReadonlySet<OptionalExtension>;
  readonly levels: TableLevels;
}

/** Everything that there is. */
export const ALL_FEATURES: HartFeatures = { extensions: new Set(OPTIONAL_EXTENSIONS), levels: 5 };

/** Which instructions of the table such a hart has: 1 at their positions. */
export function instructionSet({ extensions }: HartFeatures): Uint8Array {
  const off = new Set<string>(OPTIONAL_EXTENSIONS.filter((name) => !extensions.has(name)));
  return Uint8Array.from(INSTRUCTIONS, ({ extension }) => off.has(extension) ? 0 : 1);
}

/** The value of `riscv,isa` (Linux: Documentation/devicetree/bindings/riscv/extensions.yaml). */
export function isaString({ extensions }: HartFeatures): string {
  const has = (name: typeof TOLD[number]) => name === "Zicsr" || name === "Zifencei" || extensions.has(name);
  return ["rv64imafdc", ...TOLD.filter(has)].join("_").toLowerCase();
}

/** Whether these are the features of a hart without bit manipulation: the RV64GC that QEMU 7.2 can be made equal to. */
export function isPlain({ extensions }: Pick<HartFeatures, "extensions">): boolean {
  return !BIT_MANIPULATION.some((name) => extensions.has(name));
}

const MMU_TYPES = { 0: "riscv,none", 3: "riscv,sv39", 4: "riscv,sv48", 5: "riscv,sv57" } as const;

/**
 * The value of `mmu-type`: the deepest page table. A plain hart's is that of QEMU 7.2, which tells Sv48 and takes Sv57
 * as well: the trees of both can be compared.
 */
export function mmuType(features: HartFeatures): string {
  return MMU_TYPES[isPlain(features) && features.levels === 5 ? 4 : features.levels];
}
