/** Random programs over the whole API against the model: the quick form. `deno task model` runs the long one. */
import { assert, assertEquals, assertThrows } from "@std/assert";
import { load, runTo } from "./model_long.ts";
import { program, ProgramError, runSeed, shrink } from "./programs.ts";

const OPERATIONS = 25_000;

Deno.test("random operations over the whole API: views, folds and lives are the model's, the audit is clean", () => {
  let operations = 0;
  for (let seed = 1; operations < OPERATIONS; seed++) operations += runSeed(seed);
});

Deno.test("a seed is a program; what fails is shortened to what is needed", () => {
  assertEquals(program(7), program(7));
  const steps = program(3);
  const needed = [steps[17], steps[200]];
  const shortest = shrink(steps, (some) => needed.every((step) => step !== undefined && some.includes(step)));
  assertEquals(shortest, needed.filter((step) => step !== undefined));
});

Deno.test("a planted fault is found, with its seed and a program that can be read, and found again", () => {
  const plant = { equalPriority: "firstWins" } as const;
  let seed = 0;
  const run = () => runSeed(seed, plant);
  const found = assertThrows(() => {
    while (++seed < 100) run();
  }, ProgramError);
  const [reason, ...lines] = found.message.split("\n");
  assertEquals(reason?.startsWith(`seed ${seed}: "space`), true, reason);
  assert(lines.length >= 4 && lines.length <= 12, `the program has ${lines.length} lines`);
  assert(lines.filter((line) => line.includes(" into container ")).length >= 2, found.message);
  assertEquals(assertThrows(run, ProgramError).message, found.message);
  runSeed(seed);
});

Deno.test("a long run that is killed goes on from its file, and ends as one run does", async () => {
  const folder = Deno.makeTempDirSync();
  const [killed, whole] = [`${folder}/killed`, `${folder}/whole`];
  const script = new URL("model_long.ts", import.meta.url).pathname;
  const args = ["run", "-q", "-P=test", "--no-check", script, "1000000000", killed];
  const child = new Deno.Command(Deno.execPath(), { args, stdout: "null", stderr: "null" }).spawn();
  while (load(killed).operations === 0) await new Promise((resolve) => setTimeout(resolve, 20));
  child.kill("SIGKILL");
  await child.status;
  const wanted = load(killed).operations + 1000;
  runTo(wanted, killed);
  runTo(wanted, whole);
  assertEquals(load(killed), load(whole));
  Deno.removeSync(folder, { recursive: true });
});
