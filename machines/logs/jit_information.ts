/** `info jit`: what the translator of a machine has done, and what its regions did on all harts together. */
import { describeTranslation, EXIT_REASONS, type TranslationReport } from "../riscv/translator/statistics.ts";

/** Text of several lines. */
export function informJit({ translation }: { readonly translation: readonly TranslationReport[] }): string {
  const [first] = translation;
  if (first === undefined) return "all code is interpreted; see -accel\n";
  const exits = { ...first.exits };
  for (const reason of EXIT_REASONS) exits[reason] = sum(translation.map((report) => report.exits[reason]));
  return describeTranslation({ ...first, exits, entered: sum(translation.map(({ entered }) => entered)) });
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0);
}
