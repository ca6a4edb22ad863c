/** What the translator has done, and what its regions did: the record behind `info jit`, and its text. */
import { EXIT_TO_REGION } from "../layout.ts";
import { FIRST_FORM, type Form, formOf } from "../opcodes.ts";

/** Why a region was dropped. */
export const DROP_REASONS = ["code changed", "cache was full", "jumps to more places", "configured anew"] as const;
export type DropReason = typeof DROP_REASONS[number];

/** What the interpreter had to do when it went on after a region. */
export const EXIT_REASONS = [
  /** A TLB miss, a device, a misaligned address, a store to code. */
  "memory access",
  "CSR",
  "system instruction",
  /** The unit is off, or the rounding mode is reserved. */
  "floating point",
  /** The end of the budget in the middle of a region. */
  "end of the stretch",
  /** Code that has no region, or instructions that are never translated. */
  "untranslated code",
  /** A region begins there: a call or a return that could not be followed. */
  "another region",
] as const;
export type ExitReason = typeof EXIT_REASONS[number];

export interface Extent {
  regions: number;
  /** Places where they can be entered. */
  entries: number;
  /** Guest instructions that they were made from; those that several regions share count several times. */
  instructions: number;
  modules: number;
  /** WebAssembly of the modules. */
  bytes: number;
}

/** Counters that go on while the machine runs. */
export interface TranslatorStatistics {
  /** What is there now. A module is there as long as one of its regions is. */
  readonly present: Extent;
  /** What was made in all. */
  readonly made: Extent;
  readonly dropped: Record<DropReason, number>;
  /** Instructions that were translated on the harts' thread. */
  foreground: number;
  /** Regions that were never entered, because their code changed while they were compiled. */
  abandoned: number;
  /** How often room was made for new regions. */
  evictions: number;
  /** Finding regions, generating their modules and compiling them; in the background where that can be. */
  translateMs: number;
  /** Installing them, on the harts' thread. */
  installMs: number;
  /** The longest break of the harts. */
  longestMs: number;
}

/** The statistics at one moment, with what regions did. */
export interface TranslationReport extends TranslatorStatistics {
  /** How often the interpreter entered a region; calls between regions are not counted. */
  readonly entered: number;
  /** How the interpreter went on behind them. */
  readonly exits: Readonly<Record<ExitReason, number>>;
}

export function emptyStatistics(): TranslatorStatistics {
  return {
    present: noExtent(),
    made: noExtent(),
    dropped: recordOf(DROP_REASONS),
    foreground: 0,
    abandoned: 0,
    evictions: 0,
    translateMs: 0,
    installMs: 0,
    longestMs: 0,
  };
}

const noExtent = (): Extent => ({ regions: 0, entries: 0, instructions: 0, modules: 0, bytes: 0 });

function recordOf<K extends string>(keys: readonly K[]): Record<K, number> {
  return Object.fromEntries(keys.map((key) => [key, 0])) as Record<K, number>;
}

/**
 * @param left How often a region was left for an instruction of each opcode, or for another region (`EXIT_TO_REGION`).
 * @param asked How often a region asked the interpreter for one instruction, by opcode.
 */
export function reportOf(
  { present, made, dropped, ...rest }: TranslatorStatistics,
  left: readonly number[],
  asked: readonly number[],
): TranslationReport {
  const exits = recordOf(EXIT_REASONS);
  for (const [opcode, count] of left.entries()) exits[reasonToLeave(opcode)] += count;
  for (const [opcode, count] of asked.entries()) exits[reasonToAsk(formOf(opcode))] += count;
  const entered = Object.values(exits).reduce((sum, count) => sum + count, 0);
  return { ...rest, present: { ...present }, made: { ...made }, dropped: { ...dropped }, entered, exits };
}

function reasonToLeave(opcode: number): ExitReason {
  if (opcode === EXIT_TO_REGION) return "another region";
  if (opcode < FIRST_FORM) return "untranslated code";
  const reason = reasonToAsk(formOf(opcode));
  return reason === "CSR" || reason === "system instruction" ? reason : "untranslated code";
}

function reasonToAsk(form: Form | undefined): ExitReason {
  switch (form?.instruction.semantics.shape) {
    case "load":
    case "store":
    case "atomic":
    case "loadReserved":
    case "storeConditional":
      return "memory access";
    case "csr":
      return "CSR";
    case "system":
      return "system instruction";
    case "float":
      return "floating point";
    default:
      return "end of the stretch";
  }
}

/** Text for people: `info jit`. */
export function describeTranslation({ present, made, dropped, entered, exits, ...rest }: TranslationReport): string {
  const extents = (["regions", "entries", "instructions", "modules", "bytes"] as const)
    .map((key) => row(key, present[key], `of ${made[key]} made`));
  const lines = [
    "translated code:",
    ...extents,
    row("on the harts' thread", rest.foreground, "instructions"),
    "dropped regions, because",
    ...Object.entries(dropped).map(([reason, count]) => row(reason, count)),
    row("never installed", rest.abandoned),
    row("times that room was made", rest.evictions),
    "milliseconds",
    row("translating", Math.round(rest.translateMs)),
    row("installing", Math.round(rest.installMs)),
    row("longest break of the harts", rest.longestMs.toFixed(1)),
    "regions entered by the interpreter, which went on with",
    ...Object.entries(exits).map(([reason, count]) => row(reason, count, percent(count, entered))),
    row("all together", entered),
  ];
  return lines.map((line) => `${line}\n`).join("");
}

function row(name: string, value: number | string, remark = ""): string {
  return `  ${name.padEnd(26)} ${String(value).padStart(12)}  ${remark}`.trimEnd();
}

function percent(count: number, all: number): string {
  return all === 0 ? "" : `${(100 * count / all).toFixed(1)} %`;
}
