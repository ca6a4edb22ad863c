/** Faults of readers on workers: what they see, and how long it stays. */
import type { Mutation } from "./mutation.ts";

const WORKERS = "tests/systems/worker_readers_test.ts";

export const READER_MUTATIONS: readonly Mutation[] = [
  {
    fault: "a space that dies under its readers is freed one epoch early",
    file: "systems/retire.ts",
    find: "while (passed < queue.length && queue[passed]!.stamp < oldest) passed++;",
    replace: "while (passed < queue.length && queue[passed]!.stamp <= oldest) passed++;",
    by: [WORKERS, "two workers read while devices and a whole space"],
  },
  {
    fault: "pages of a published view are written again while they are read",
    file: "systems/published_view.ts",
    find: "this.#superseded[passed]!.stamp < oldest",
    replace: "oldest > 0",
    by: [WORKERS, "a published view without room"],
  },
  {
    fault: "a reader does not say that it reads",
    file: "systems/published_reader.ts",
    find: "      Atomics.store(this.#slot, Slot.EPOCH, epoch);\n",
    replace: "",
    by: [WORKERS, "what a reader found keeps its bytes"],
  },
  {
    fault: "a reader that left is waited for",
    file: "systems/published_reader.ts",
    find: "    Atomics.store(this.#slot, Slot.EPOCH, QUIESCENT);\n",
    replace: "",
    by: [WORKERS, "what a reader found keeps its bytes"],
  },
  {
    fault: "readers take ROM for RAM",
    file: "systems/published_view.ts",
    find: "placeOf(offset, !isWritable(range))",
    replace: "placeOf(offset, false)",
    by: [WORKERS, "a published view shows RAM and ROM"],
  },
  {
    fault: "readers see what is published no more",
    file: "systems/published_view.ts",
    find: "  record.mirror?.(EMPTY_VIEW);\n",
    replace: "",
    by: [WORKERS, "the end of a space, of publication"],
  },
  {
    fault: "a reader that nobody waits for reads on",
    file: "systems/published_reader.ts",
    find: "if (Atomics.load(this.#slot, Slot.DISMISSED) !== 0) {",
    replace: "if (Slot.DISMISSED < 0) {",
    by: [WORKERS, "the end of a space, of publication"],
  },
  {
    fault: "workers do not hear of a new epoch",
    file: "systems/epoch.ts",
    find: "  if (state.shared !== undefined) Atomics.store(state.shared, 0, sharedForm(state.current));\n",
    replace: "",
    by: [WORKERS, "what a reader found keeps its bytes"],
  },
];
