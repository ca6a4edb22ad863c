/**
 * Index: README.md of this folder, out of the catalogue and the names of the tests. A test covers a scenario, a rule or an
 * invariant if its name has the label. `deno task scenarios` writes the page; `index_test.ts` fails if it is stale.
 */
import { FAMILIES, type Family } from "./catalogue.ts";

const ROOT = new URL("../../", import.meta.url);
export const PAGE = new URL("README.md", import.meta.url);
/** Where tests of scenarios are. */
const FOLDERS = ["tests/scenarios/", "tests/systems/", "tests/machines/devices/"];

/** Files with a test of each label, paths from the project's root. */
export type Coverage = ReadonlyMap<string, readonly string[]>;

/** Reads the names of all tests. */
export function findCoverage(): Coverage {
  const covered = new Map<string, string[]>();
  for (const folder of FOLDERS) {
    const files = [...Deno.readDirSync(new URL(folder, ROOT))].map(({ name }) => name).sort();
    for (const name of files.filter((name) => name.endsWith("_test.ts") && name !== "index_test.ts")) {
      for (const label of labelsIn(Deno.readTextFileSync(new URL(folder + name, ROOT)))) {
        covered.set(label, [...covered.get(label) ?? [], folder + name]);
      }
    }
  }
  return covered;
}

/** Labels in the names of the tests of a source: `S64 …`, `(S11)`, `S81, S82 …`, `(LC4, INV8)`. */
export function labelsIn(source: string): Set<string> {
  const labels = new Set<string>();
  for (const [, , name] of source.matchAll(/Deno\.test\(\s*(?:\{\s*name:\s*)?(["'`])((?:\\.|(?!\1).)*)\1/g)) {
    for (const [label] of (name ?? "").matchAll(/\b(?:S\d{2,3}|LC\d{1,2}|INV\d{1,2})\b/g)) labels.add(label);
  }
  return labels;
}

/** Labels of the catalogue that no test covers. */
export function missing(covered: Coverage): string[] {
  return FAMILIES.flatMap((family) => family.lines.map((_, index) => labelOf(family, index)))
    .filter((label) => !covered.has(label));
}

/** The page, as `deno fmt` would leave it. */
export function renderPage(covered: Coverage): string {
  const lines = [
    "# Scenarios",
    "",
    "What must be true, by number. Written by `deno task scenarios` out of the names of the tests.",
  ];
  for (const family of FAMILIES) {
    const { title, lines: sentences } = family;
    const rows = sentences.map((sentence, index) => {
      const links = (covered.get(labelOf(family, index)) ?? []).map(link);
      return [labelOf(family, index), sentence, links.join(", ") || "–"];
    });
    lines.push("", `## ${title}`, "", ...table([["number", "scenario", "test"], ...rows]));
  }
  return lines.join("\n") + "\n";
}

function link(path: string): string {
  const name = path.split("/").at(-1);
  return `[${name}](${path.startsWith("tests/scenarios/") ? name : `../../${path}`})`;
}

function table(rows: readonly (readonly string[])[]): string[] {
  const widths = [0, 1, 2].map((column) => Math.max(...rows.map((row) => row[column]?.length ?? 0)));
  const line = (cells: readonly string[], fill: string) =>
    `| ${cells.map((cell, column) => cell.padEnd(widths[column] ?? 0, fill)).join(" | ")} |`;
  const [head = [], ...body] = rows;
  return [line(head, " "), line(["", "", ""], "-"), ...body.map((row) => line(row, " "))];
}

/** Scenarios have two digits at least. */
export function labelOf({ prefix = "S", first }: Family, index: number): string {
  return prefix + String(first + index).padStart(prefix === "S" ? 2 : 1, "0");
}

if (import.meta.main) {
  const covered = findCoverage();
  Deno.writeTextFileSync(PAGE, renderPage(covered));
  const left = missing(covered);
  console.log(left.length === 0 ? "every scenario has a test" : `without a test: ${left.join(", ")}`);
}
