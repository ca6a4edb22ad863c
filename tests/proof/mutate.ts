/**
 * Mutate: applies each mutation to a copy of the tree and runs its killer. `deno task mutations [WORDS | FROM-TO]` runs
 * all, those whose fault has the words, or those of these numbers, from 1. Exit status 1 if one survives, no longer fits, or if a killer fails without a fault.
 */
import { MUTATIONS } from "./mutations.ts";
import type { Mutation } from "./mutations/mutation.ts";

const ROOT = new URL("../../", import.meta.url);
/** A fault that makes a loop endless is seen, but finds no test that says so. */
const LIMIT_MS = 60_000;
const COPIED = ["ecs", "systems", "machines", "tests", "deno.json", "deno.lock", "mod.ts"];

export type Outcome = "killed" | "timed out" | "survived" | "does not fit";

function copyTree(from: URL, to: string): void {
  if (Deno.statSync(from).isFile) return Deno.copyFileSync(from, to);
  Deno.mkdirSync(to);
  for (const { name } of Deno.readDirSync(from)) {
    copyTree(new URL(encodeURIComponent(name), `${from.href}/`), `${to}/${name}`);
  }
}

/** How often `part` occurs in `source`. */
export function occurrences(source: string, part: string): number {
  return source.split(part).length - 1;
}

async function passes(tree: string, [file, test]: Mutation["by"]): Promise<boolean | undefined> {
  const filter = `/^${test.replace(/[.*+?^${}()|[\]\\/]/g, "\\$&")}/`;
  const args = ["test", "-q", "-P=test", "--no-check", "--frozen", "--filter", filter, file];
  const signal = AbortSignal.timeout(LIMIT_MS);
  const command = new Deno.Command(Deno.execPath(), { args, cwd: tree, stdout: "piped", stderr: "piped", signal });
  const { success, stdout } = await command.output();
  if (signal.aborted) return undefined;
  const ran = /(\d+) passed.*?(\d+) failed/.exec(new TextDecoder().decode(stdout));
  // No test of that name, or a file that does not even load, proves nothing about the rule.
  if (ran === null || Number(ran[1]) + Number(ran[2]) === 0) throw new Error(`${file} has no test "${test}" that runs`);
  return success;
}

async function tryMutation(tree: string, { file, find, replace, by }: Mutation): Promise<Outcome> {
  const path = `${tree}/${file}`;
  const source = Deno.readTextFileSync(path);
  if (occurrences(source, find) !== 1) return "does not fit";
  Deno.writeTextFileSync(path, source.replace(find, () => replace));
  try {
    const passed = await passes(tree, by);
    return passed === undefined ? "timed out" : passed ? "survived" : "killed";
  } finally {
    Deno.writeTextFileSync(path, source);
  }
}

function choose(words: string): readonly Mutation[] {
  const [, from, to] = /^(\d+)-(\d+)$/.exec(words) ?? [];
  if (from !== undefined && to !== undefined) return MUTATIONS.slice(Number(from) - 1, Number(to));
  return MUTATIONS.filter(({ fault }) => fault.includes(words));
}

async function main(words: string): Promise<number> {
  const tree = Deno.makeTempDirSync({ prefix: "freehold-mutations-" });
  const found: { mutation: Mutation; outcome: Outcome }[] = [];
  try {
    for (const name of COPIED) copyTree(new URL(name, ROOT), `${tree}/${name}`);
    const chosen = choose(words);
    for (const by of new Map(chosen.map(({ by }) => [by.join(), by])).values()) {
      if (await passes(tree, by) !== true) throw new Error(`${by.join(": ")} fails without a fault`);
    }
    for (const [index, mutation] of chosen.entries()) {
      const outcome = await tryMutation(tree, mutation);
      found.push({ mutation, outcome });
      console.log(`${index + 1}/${chosen.length} ${outcome}: ${mutation.fault} (${mutation.by[1]})`);
    }
  } finally {
    Deno.removeSync(tree, { recursive: true });
  }
  const bad = found.filter(({ outcome }) => outcome !== "killed");
  console.log(`${found.length - bad.length} of ${found.length} faults are found`);
  for (const { mutation, outcome } of bad) console.log(`${outcome}: ${mutation.fault} in ${mutation.file}`);
  return bad.length === 0 ? 0 : 1;
}

if (import.meta.main) Deno.exit(await main(Deno.args.join(" ")));
