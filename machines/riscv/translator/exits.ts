/**
 * The ways out of a region. What has to be stored depends on where it is left; whoever stores more does that first and
 * goes on where less is stored, so that each store stands there once or a few times only.
 */
import { block, branch, type Label, label, type Statements } from "../../wasm/statement.ts";

/** One kind of exit, by the set of registers that is to be stored. */
export class Exits {
  readonly #labels: Map<bigint, Label> = new Map();
  readonly #name: string;

  constructor(name: string) {
    this.#name = name;
  }

  /** Where to branch to if this is to be stored. */
  label(set: bigint): Label {
    const known = this.#labels.get(set);
    if (known) return known;
    const made = label(`${this.#name} ${set.toString(16)}`);
    this.#labels.set(set, made);
    return made;
  }

  /** The body, from whose end nothing falls, and behind it all of the exits, which end with `last`. */
  around(body: Statements, spill: (set: bigint) => Statements, last: Statements): Statements {
    const sets = [...this.#labels.keys()].sort((a, b) => sizeOf(b) - sizeOf(a));
    const done = label(this.#name);
    let nest = body;
    for (const [i, set] of sets.entries()) {
      const less = sets.slice(i + 1).find((other) => (other & ~set) === 0n);
      const next = less === undefined ? done : this.label(less);
      nest = [block(this.label(set), nest), ...spill(set & ~(less ?? 0n)), branch(next)];
    }
    return sets.length === 0 ? body : [block(done, nest), ...last];
  }
}

function sizeOf(set: bigint): number {
  let count = 0;
  for (; set !== 0n; set &= set - 1n) count++;
  return count;
}
