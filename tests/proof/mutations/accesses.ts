/** Faults of accesses: guards, attributes, what is written where. */
import type { Mutation } from "./mutation.ts";

const TOPOLOGY = "tests/scenarios/topology_test.ts";
const ACCESS = "tests/scenarios/access_test.ts";

export const ACCESS_MUTATIONS: readonly Mutation[] = [
  {
    fault: "a device may be entered again",
    file: "systems/call_handler.ts",
    find: "if (guard.engaged) return refuse(",
    replace: "if (guard.warned) return refuse(",
    by: [ACCESS, "S46 a device that reaches its own registers"],
  },
  {
    fault: "the guard stays set after an access",
    file: "systems/call_handler.ts",
    find: "if (guard !== undefined) guard.engaged = false;",
    replace: "",
    by: [ACCESS, "S51 a handler that throws"],
  },
  {
    fault: "every refusal is traced",
    file: "systems/fault.ts",
    find: "guard === undefined || guard.warned",
    replace: "guard === undefined",
    by: [ACCESS, "S46 a device that reaches its own registers"],
  },
  {
    fault: "only the nearest owner is asked for a guard",
    file: "ecs/owner.ts",
    find: "for (let at = id; at !== 0; at = owner[at]!) if (guard[at] !== undefined) return guard[at];",
    replace: "void owner;\n  if (guard[id] !== undefined) return guard[id];",
    by: [ACCESS, "S53 the guard is the device's"],
  },
  {
    fault: "an opt-out of the guard is not heard",
    file: "ecs/region.ts",
    find: "(Flag.ROM_DEVICE | Flag.UNGUARDED)",
    replace: "Flag.ROM_DEVICE",
    by: [ACCESS, "S48 a region that opted out"],
  },
  {
    fault: "readonly memory is written",
    file: "ecs/flat_view.ts",
    find: "(flags & (Flag.RAM | Flag.RAM_DEVICE | Flag.READONLY)) === Flag.RAM",
    replace: "(flags & (Flag.RAM | Flag.RAM_DEVICE)) === Flag.RAM",
    by: [TOPOLOGY, "S95 a guest's write leaves ROM"],
  },
  {
    fault: "the memory attribute reaches handlers",
    file: "systems/dispatch.ts",
    find: "|| (attrs & MEMORY_ONLY) !== 0) {\n    return readElsewhere(world, record.view,",
    replace: ") {\n    return readElsewhere(world, record.view,",
    by: [ACCESS, "S98 with the memory attribute"],
  },
  {
    fault: "the memory attribute reaches handlers through a captured view",
    file: "systems/dispatch.ts",
    find: "|| (attrs & MEMORY_ONLY) !== 0) {\n    return readElsewhere(world, view,",
    replace: ") {\n    return readElsewhere(world, view,",
    by: [ACCESS, "S98 with the memory attribute"],
  },
];
