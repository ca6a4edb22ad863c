/** Programs: random steps from a seed, run on a fresh machine each; a program that fails is shortened to a readable one. */
import { audit } from "../../systems/inspect.ts";
import type { Policy } from "../../ecs/world.ts";
import type { Machine, Step } from "./machine.ts";
import { finish, inspect, newMachine, take } from "./operations.ts";

/** Steps of one program. */
const LENGTH = 256;
/** The whole world is audited after so many steps. */
const AUDIT_EVERY = 64;

/** A program failed; the message has the seed and what the shortest program that fails does. */
export class ProgramError extends Error {
  override readonly name = "ProgramError";
}

/** The steps of a seed (mulberry32). */
export function program(seed: number): Step[] {
  let state = seed >>> 0;
  const next = () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ state >>> 15, 1 | state);
    t = (t + Math.imul(t ^ t >>> 7, 61 | t)) ^ t;
    return ((t ^ t >>> 14) >>> 0) & 0xffff;
  };
  return Array.from({ length: LENGTH }, (): Step => [next(), next(), next(), next()]);
}

/** Runs steps; returns how many operations they were. */
export function runSteps(steps: readonly Step[], machine: Machine): number {
  for (const [index, step] of steps.entries()) {
    take(machine, step);
    if (index % AUDIT_EVERY === AUDIT_EVERY - 1) inspect(machine);
  }
  inspect(machine);
  finish(machine);
  audit(machine.world);
  return machine.count;
}

/** Runs the program of a seed. @throws {ProgramError} if the world and the model disagree. */
export function runSeed(seed: number, policy: Partial<Policy> = {}): number {
  const steps = program(seed);
  const run = (some: readonly Step[]) => runSteps(some, newMachine({ policy }));
  try {
    return run(steps);
  } catch {
    const shortest = shrink(steps, (some) => failure(() => run(some)) !== undefined);
    const machine = newMachine({ keepLog: true, policy });
    const cause = failure(() => runSteps(shortest, machine));
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new ProgramError([`seed ${seed}: ${reason}`, ...machine.log ?? []].join("\n"), { cause });
  }
}

function failure(run: () => unknown): unknown {
  try {
    run();
    return undefined;
  } catch (error) {
    return error;
  }
}

/**
 * Leaves out whatever is not needed for a failure: halves first, single steps last. What is left picks what comes first
 * wherever that is enough, after which more may be left out.
 */
export function shrink(steps: readonly Step[], fails: (some: readonly Step[]) => boolean): readonly Step[] {
  let shortest = steps;
  for (let before = Infinity; shortest.length < before;) {
    before = shortest.length;
    shortest = simplify(leaveOut(shortest, fails), fails);
  }
  return leaveOut(shortest, fails);
}

function leaveOut(steps: readonly Step[], fails: (some: readonly Step[]) => boolean): readonly Step[] {
  let shortest = steps;
  for (let chunk = steps.length >> 1; chunk > 0; chunk >>= 1) {
    for (let at = 0; at < shortest.length;) {
      const without = shortest.toSpliced(at, chunk);
      if (fails(without)) shortest = without;
      else at += chunk;
    }
  }
  return shortest;
}

function simplify(steps: readonly Step[], fails: (some: readonly Step[]) => boolean): readonly Step[] {
  let simplest = steps;
  for (const at of steps.keys()) {
    for (const operand of [1, 2, 3]) {
      const step = simplest[at]?.with(operand, 0) as Step | undefined; // as long as it was
      if (step !== undefined && fails(simplest.with(at, step))) simplest = simplest.with(at, step);
    }
  }
  return simplest;
}
