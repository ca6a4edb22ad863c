/**
 * Long model run: `deno task model [OPERATIONS] [STATE FILE]`; 10 million by default. Prints progress; with a state file
 * it goes on where it stopped. A failure prints the seed and the shortest program that fails: exit status 1.
 */
import { ProgramError, runSeed } from "./programs.ts";

const DEFAULT = 10_000_000;
const PROGRESS_MS = 10_000;

interface State {
  seed: number;
  operations: number;
}

function load(path: string | undefined): State {
  try {
    if (path !== undefined) return JSON.parse(Deno.readTextFileSync(path));
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
  return { seed: 1, operations: 0 };
}

/** Operations that were done until one failed, or all. */
function run(wanted: number, path: string | undefined): number {
  const state = load(path);
  const start = { time: performance.now(), operations: state.operations };
  const report = () => {
    const seconds = (performance.now() - start.time) / 1000;
    const rate = Math.round((state.operations - start.operations) / seconds);
    console.log(`${state.operations} of ${wanted} operations, seed ${state.seed}, ${rate} operations/s`);
    if (path !== undefined) Deno.writeTextFileSync(path, JSON.stringify(state));
  };
  let next = PROGRESS_MS;
  try {
    for (; state.operations < wanted; state.seed++) {
      state.operations += runSeed(state.seed);
      if (performance.now() - start.time < next) continue;
      next += PROGRESS_MS;
      report();
    }
  } catch (error) {
    if (!(error instanceof ProgramError)) throw error;
    report();
    console.error(error.message);
    return 1;
  }
  report();
  return 0;
}

if (import.meta.main) {
  const [operations, path] = Deno.args;
  Deno.exit(run(operations === undefined ? DEFAULT : Number(operations), path));
}
