/** The table: what was measured, on both sides, and the number to reach beside it. */

export interface Target {
  readonly atLeast: number;
  readonly goal: number;
  /** Which way is better. */
  readonly better: "more" | "less";
}

export interface Row {
  readonly what: string;
  /** In `unit`; absent where only the quotient, or only one side, has a meaning. */
  readonly ours?: number;
  readonly peer?: number;
  readonly unit?: string;
  /** Absent: the target is for `ours`. */
  readonly ratio?: number;
  readonly target?: Target;
}

/** What a part has to say: rows, or a sentence why there are none. */
export interface Part {
  readonly title: string;
  readonly rows: readonly Row[];
  readonly skipped?: string;
}

const WIDTHS = [44, 9, 9, 4, 7] as const;

export function render(parts: readonly Part[]): string {
  const heading = cells(["", "ours", "QEMU", "", "ratio"]) + "  at least      goal";
  const lines = [heading.trimEnd()];
  for (const { title, rows, skipped } of parts) {
    lines.push("", title, ...rows.map(renderRow));
    if (skipped !== undefined) lines.push(`  ${skipped}`);
  }
  return lines.join("\n") + "\n";
}

function renderRow({ what, ours, peer, unit = "", ratio, target }: Row): string {
  const text = cells([`  ${what}`, number(ours), number(peer), unit, ratio === undefined ? "" : ratio.toFixed(2)]);
  if (target === undefined) return text.trimEnd();
  const reached = ratio ?? ours ?? NaN;
  const verdicts = [target.atLeast, target.goal].map((wanted) => verdict(reached, wanted, target));
  return `${text}  ${verdicts.join("  ")}`.trimEnd();
}

function verdict(reached: number, wanted: number, { better }: Target): string {
  const passes = better === "more" ? reached >= wanted : reached <= wanted;
  return `${better === "more" ? "≥" : "≤"} ${String(wanted).padEnd(4)}${passes ? "pass" : "MISS"}`.padEnd(11);
}

function number(value: number | undefined): string {
  if (value === undefined) return "";
  return value >= 100 ? value.toFixed(0) : value.toFixed(2);
}

function cells(texts: readonly string[]): string {
  return texts.map((text, i) => i === 0 || i === 3 ? text.padEnd(WIDTHS[i] ?? 0) : text.padStart(WIDTHS[i] ?? 0))
    .join(" ");
}
