/** Faults of dirty logs and of discarded memory: which pages are news, and to whom. */
import { MODEL, type Mutation } from "./mutation.ts";

const DIRTY = "tests/scenarios/dirty_log_test.ts";
const RAM_KINDS = "tests/systems/ram_kinds_test.ts";
const RAM = "tests/scenarios/ram_test.ts";

export const LOG_MUTATIONS: readonly Mutation[] = [
  {
    fault: "nobody hears that bits were cleared",
    file: "systems/dirty_log.ts",
    find: "  clearDirtyLog(world, region, first * DIRTY_PAGE, (end - first) * DIRTY_PAGE);\n",
    replace: "",
    by: [DIRTY, "S132 log_clear reaches"],
  },
  {
    fault: "a snapshot is taken before listeners are asked",
    file: "systems/dirty_log.ts",
    find: "  syncDirtyLog(world, region);\n  let first",
    replace: "  let first",
    by: [DIRTY, "S133 what listeners report"],
  },
  {
    fault: "logging is not counted",
    file: "systems/dirty_log.ts",
    find: "  if (counts[client] !== (on ? 1 : 0)) return;\n",
    replace: "",
    by: [DIRTY, "S126 logging is counted"],
  },
  {
    fault: "who started to track goes on when another refuses",
    file: "systems/dirty_tracking.ts",
    find: "      stopListeners(world, started);\n",
    replace: "",
    by: [DIRTY, "S127 a listener that refuses ends the start"],
  },
  {
    fault: "tracking that was to stop goes on when the guest runs",
    file: "systems/dirty_tracking.ts",
    find: "  for (const reason of due) endReason(world, reason);\n",
    replace: "  void due;\n",
    by: [DIRTY, "S129 while the guest is stopped"],
  },
  {
    fault: "tracking stops with the first reason",
    file: "systems/dirty_tracking.ts",
    find: "  if (isTracking(world)) return;\n  logMigration",
    replace: "  logMigration",
    by: [DIRTY, "S128 tracking has reasons"],
  },
  {
    fault: "memory of another size keeps its dirty bits",
    file: "ecs/dirty_bitmap.ts",
    find: "  for (const client of DIRTY_CLIENTS) log.bits[client] = undefined;\n",
    replace: "",
    by: [DIRTY, "G9 memory of another size"],
  },
  {
    fault: "a snapshot has dirty pages beyond the end",
    file: "ecs/dirty_bitmap.ts",
    find: "    if (last < 32 * words.length) clearBits(words, Math.max(0, last), 32 * words.length);\n",
    replace: "",
    by: [RAM_KINDS, "what is stored beyond the size"],
  },
  {
    fault: "what DMA stores is not logged",
    file: "systems/dma.ts",
    find: "  storedTo(range, offset, length);\n  return MemTx.OK;",
    replace: "  return MemTx.OK;",
    by: [DIRTY, "every store is logged"],
  },
  {
    fault: "those told of a refused part are not told that it went",
    file: "systems/discard.ts",
    find:
      "      for (const earlier of all.slice(0, told).reverse()) earlier.listener.discarded(earlier.offset, earlier.size);\n",
    replace: "",
    by: [RAM, "a part that a listener refuses is not there"],
  },
  {
    fault: "discarded memory keeps its bytes",
    file: "systems/discard.ts",
    find: "  block.bytes.fill(0, offset, offset + size);\n",
    replace: "",
    by: [RAM, "S35 a discard manager tells its listeners"],
  },
  {
    fault: "a discard listener hears on after its end",
    file: "systems/discard.ts",
    find: "    state.listeners = state.listeners.filter((other) => other !== this);\n",
    replace: "    void state;\n",
    by: MODEL,
  },
];
