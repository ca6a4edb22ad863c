/**
 * Index: README.md of this folder, out of the catalogue and the names of the tests. A test covers a scenario if its name
 * has the scenario's number. `deno task scenarios` writes the page; `index_test.ts` fails if it is stale.
 */
import { FAMILIES } from "./catalogue.ts";

const ROOT = new URL("../../", import.meta.url);
export const PAGE = new URL("README.md", import.meta.url);
/** Where tests of scenarios are. */
const FOLDERS = ["tests/scenarios/", "tests/systems/", "tests/machines/devices/"];
const LAST = 150;

/** Files with a test of each number, paths from the project's root. */
export type Coverage = ReadonlyMap<number, readonly string[]>;

/** Reads the names of all tests. */
export function findCoverage(): Coverage {
  const covered = new Map<number, string[]>();
  for (const folder of FOLDERS) {
    const files = [...Deno.readDirSync(new URL(folder, ROOT))].map(({ name }) => name).sort();
    for (const name of files.filter((name) => name.endsWith("_test.ts") && name !== "index_test.ts")) {
      for (const number of numbersIn(Deno.readTextFileSync(new URL(folder + name, ROOT)))) {
        covered.set(number, [...covered.get(number) ?? [], folder + name]);
      }
    }
  }
  return covered;
}

/** Numbers in the names of the tests of a source: `S64 …`, `(S11)`, `S81, S82 …`. */
export function numbersIn(source: string): Set<number> {
  const numbers = new Set<number>();
  for (const [, , name] of source.matchAll(/Deno\.test\(\s*(?:\{\s*name:\s*)?(["'`])((?:\\.|(?!\1).)*)\1/g)) {
    for (const [, number] of (name ?? "").matchAll(/\bS(\d{2,3})\b/g)) {
      if (Number(number) <= LAST) numbers.add(Number(number));
    }
  }
  return numbers;
}

/** Numbers that no test covers. */
export function missing(covered: Coverage): number[] {
  return Array.from({ length: LAST }, (_, index) => index + 1).filter((number) => !covered.has(number));
}

/** The page, as `deno fmt` would leave it. */
export function renderPage(covered: Coverage): string {
  const lines = [
    "# Scenarios",
    "",
    "What must be true, by number. Written by `deno task scenarios` out of the names of the tests.",
  ];
  for (const { title, first, lines: sentences } of FAMILIES) {
    const rows = sentences.map((sentence, index) => {
      const links = (covered.get(first + index) ?? []).map(link);
      return [label(first + index), sentence, links.join(", ") || "–"];
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

export function label(number: number): string {
  return `S${String(number).padStart(2, "0")}`;
}

if (import.meta.main) {
  const covered = findCoverage();
  Deno.writeTextFileSync(PAGE, renderPage(covered));
  const left = missing(covered);
  console.log(left.length === 0 ? "every scenario has a test" : `without a test: ${left.map(label).join(", ")}`);
}
