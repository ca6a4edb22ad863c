/**
 * Long model run: `deno task model [OPERATIONS] [STATE FILE]`; 10 million by default. Prints progress; with a state file
 * it goes on where it stopped, or was killed, and ends as one run would. A failure prints the seed and the shortest
 * program that fails: exit status 1.
 */
import { ProgramError, runSeed } from "./programs.ts";

const DEFAULT = 10_000_000;
const PROGRESS_MS = 10_000;
const SAVE_MS = 200;

/** How far a run is: all before `seed` is done. */
export interface State {
  seed: number;
  operations: number;
}

export function load(path: string | undefined): State {
  try {
    if (path !== undefined) return JSON.parse(Deno.readTextFileSync(path));
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
  return { seed: 1, operations: 0 };
}

/** Who is killed meanwhile leaves the file as it was before. */
function save(state: State, path: string | undefined): void {
  if (path === undefined) return;
  Deno.writeTextFileSync(`${path}.new`, JSON.stringify(state));
  Deno.renameSync(`${path}.new`, path);
}

/** Calls `act` if that was not done in the last so many milliseconds. */
function every(milliseconds: number, act: () => void): () => void {
  let next = performance.now() + milliseconds;
  return () => {
    if (performance.now() < next) return;
    next = performance.now() + milliseconds;
    act();
  };
}

/**
 * Runs programs until so many operations were done, those of earlier runs included.
 *
 * @throws {ProgramError} if one fails; what was done before it is saved.
 */
export function runTo(wanted: number, path: string | undefined, print: (line: string) => void = () => {}): void {
  const state = load(path);
  const start = { time: performance.now(), operations: state.operations };
  const report = () => {
    const seconds = (performance.now() - start.time) / 1000;
    const rate = Math.round((state.operations - start.operations) / seconds);
    print(`${state.operations} of ${wanted} operations, seed ${state.seed}, ${rate} operations/s`);
  };
  const [saving, reporting] = [every(SAVE_MS, () => save(state, path)), every(PROGRESS_MS, report)];
  try {
    while (state.operations < wanted) {
      state.operations += runSeed(state.seed);
      state.seed++;
      saving();
      reporting();
    }
  } finally {
    save(state, path);
    report();
  }
}

if (import.meta.main) {
  const [operations, path] = Deno.args;
  try {
    runTo(operations === undefined ? DEFAULT : Number(operations), path, console.log);
  } catch (error) {
    if (!(error instanceof ProgramError)) throw error;
    console.error(error.message);
    Deno.exit(1);
  }
}
