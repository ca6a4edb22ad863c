/**
 * Samples where a guest is, once in a number of instructions that is drawn anew each time, so that it keeps no step with
 * the guest's loops. Budgets are exact in translated code as well: a hart stops after any instruction, so that every one
 * that runs is as likely to be seen as any other. What is measured is instructions, not time: a hart that waits is not
 * seen.
 */
import type { GuestMemory } from "../../ecs/ram_block.ts";
import type { Processor } from "../execute.ts";
import type { Symbols } from "../loader/symbols.ts";
import type { Hart } from "../riscv/hart.ts";
import { M_MODE, type Mode, S_MODE, U_MODE } from "../riscv/hart_state.ts";
import { callStack } from "./stack.ts";

/** Functions that were seen, and those that they were seen to call. */
export interface CallTree {
  readonly name: string;
  /** Samples in this function and in all that it called. */
  total: number;
  /** Samples in the function itself. */
  self: number;
  readonly callees: Map<string, CallTree>;
}

export function callTree(name: string): CallTree {
  return { name, total: 0, self: 0, callees: new Map() };
}

/** Counts one sample: names from the outermost caller to where the hart is. */
export function addSample(tree: CallTree, names: readonly string[]): void {
  tree.total++;
  let node = tree;
  for (const name of names) {
    let callee = node.callees.get(name);
    if (callee === undefined) node.callees.set(name, callee = callTree(name));
    callee.total++;
    node = callee;
  }
  node.self++;
}

const MODE_NAMES: Readonly<Record<Mode, string>> = {
  [U_MODE]: "[user]",
  [S_MODE]: "[supervisor]",
  [M_MODE]: "[machine]",
};
/** Code without symbols is counted by page. */
const PAGE_MASK = ~0xfffn;

export class Sampler {
  readonly tree: CallTree = callTree("all");
  readonly #symbols: Symbols;
  readonly #period: number;
  #state = 0x2545_f491;

  /** @param period Instructions between two samples, on average. */
  constructor(symbols: Symbols, period: number) {
    this.#symbols = symbols;
    this.#period = period;
  }

  /** The hart, which is stopped and looked at now and then. */
  sampled(hart: Hart, memory: GuestMemory): Processor {
    let left = this.#distance();
    let exitRequested = false;
    return {
      run: (most) => {
        exitRequested = false;
        let ran = 0;
        while (ran < most && !exitRequested) {
          const wanted = Math.min(most - ran, left);
          const started = hart.run(wanted);
          ran += started;
          left -= started;
          if (left === 0) {
            this.#sample(hart, memory);
            left = this.#distance();
          }
          if (started < wanted) break;
        }
        return ran;
      },
      requestExit() {
        exitRequested = true;
        hart.requestExit();
      },
      get waiting() {
        return hart.waiting;
      },
    };
  }

  #sample(hart: Hart, memory: GuestMemory): void {
    const mode = MODE_NAMES[hart.mode];
    const names = callStack(memory, hart, this.#symbols)
      .map((address) => this.#symbols.at(address)?.name ?? `${mode} 0x${(address & PAGE_MASK).toString(16)}`);
    addSample(this.tree, [mode, ...names.reverse()]);
  }

  /** From 1 to twice the period, each as likely (xorshift, so that runs with -icount repeat). */
  #distance(): number {
    let x = this.#state;
    x ^= x << 13;
    x ^= x >>> 17;
    x ^= x << 5;
    this.#state = x;
    return 1 + (x >>> 0) % (2 * this.#period - 1);
  }
}
