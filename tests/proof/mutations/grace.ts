/** Faults of grace: when the dead go, and in which order; timers and bottom halves. */
import { MODEL, type Mutation } from "./mutation.ts";

const LIFETIMES = "tests/scenarios/lifetimes_test.ts";
const GRACE = "tests/systems/grace_test.ts";
const HOLDING = "tests/systems/holding_test.ts";
const TIMERS = "tests/systems/timers_test.ts";
const HALVES = "tests/systems/bottom_half_test.ts";

export const GRACE_MUTATIONS: readonly Mutation[] = [
  {
    fault: "reclaimed one epoch early",
    file: "systems/retire.ts",
    find: "queue[passed]!.stamp < oldest",
    replace: "queue[passed]!.stamp <= oldest",
    by: [LIFETIMES, "S139 scopes close in any order"],
  },
  {
    fault: "an inner scope moves the epoch of the outer one",
    file: "systems/epoch.ts",
    find: "state.depth === 0 ? openOutermost(state) : openInner(state);",
    replace: "openInner(state);\n  state.scopeEpoch = state.current;",
    by: [GRACE, "an inner scope does not hurry the outer one"],
  },
  {
    fault: "scopes on the stack delay nothing",
    file: "systems/epoch.ts",
    find: "let oldest = depth > 0 ? scopeEpoch : Infinity;",
    replace: "let oldest = depth > 9 ? scopeEpoch : Infinity;",
    by: [LIFETIMES, "LC1, LC20"],
  },
  {
    fault: "readers delay nothing",
    file: "systems/epoch.ts",
    find: "for (const reader of readers) if (reader.epoch < oldest) oldest = reader.epoch;",
    replace: "void readers;",
    by: [LIFETIMES, "a hart that has not caught up"],
  },
  {
    fault: "the epoch does not move when something comes that was not there",
    file: "systems/transaction.ts",
    find: "else if (changes.length > 0) advanceEpoch(world);",
    replace: "",
    by: [GRACE, "every change of a view moves the epoch"],
  },
  {
    fault: "owners end before what they own",
    file: "systems/retire.ts",
    find: "entities.sort((a, b) => creationOf(world, b) - creationOf(world, a));",
    replace: "entities.sort((a, b) => creationOf(world, a) - creationOf(world, b));",
    by: [LIFETIMES, "S150, LC32"],
  },
  {
    fault: "destructors run the first first",
    file: "systems/retire.ts",
    find: "takeDestructors(world, id).reverse()",
    replace: "takeDestructors(world, id)",
    by: [GRACE, "destructors run once, the last registered first"],
  },
  {
    fault: "a destructor that throws keeps the others from running",
    file: "systems/retire.ts",
    find: "world.reportFault(new DestructorError(",
    replace: "throw (new DestructorError(",
    by: [LIFETIMES, "S142 a destructor"],
  },
  {
    fault: "memory of the dead is not given back",
    file: "systems/retire.ts",
    find: "      freeRamBlock(block);",
    replace: "",
    by: [LIFETIMES, "LC14, S58"],
  },
  {
    fault: "a freed range keeps its bytes for the next owner",
    file: "ecs/ram_block.ts",
    find: "if (!memory.closed) memory.bytes.fill(0, offset, end);",
    replace: "",
    by: ["tests/scenarios/ram_ranges_test.ts", "S136 the range of freed RAM"],
  },
  {
    fault: "an id is used again under the same handle",
    file: "ecs/handle.ts",
    find: "columns.generation[id]!++;",
    replace: "",
    by: [LIFETIMES, "S147 a stale handle"],
  },
  {
    fault: "drain waits inside of a scope",
    file: "systems/scope.ts",
    find: "if (scopeDepth(world) > 0) {\n    throw new DrainInScopeError",
    replace: "if (scopeDepth(world) > 9) {\n    throw new DrainInScopeError",
    by: [LIFETIMES, "S18 drain in a scope"],
  },
  {
    fault: "a scope whose body throws stays open",
    file: "systems/scope.ts",
    find:
      "  try {\n    return body();\n  } finally {\n    leaveScope(state);\n    if (state.depth === 0) commit(world);\n  }",
    replace:
      "  const result = body();\n  leaveScope(state);\n  if (state.depth === 0) commit(world);\n  return result;",
    by: [GRACE, "a scope whose body throws is closed"],
  },
  {
    fault: "closing a scope reclaims nothing",
    file: "systems/call_handler.ts",
    find: "if (--epochs.depth === 0 && epochs.oldestRetired !== 0) commit(world);",
    replace: "--epochs.depth;",
    by: [LIFETIMES, "LC1, LC20"],
  },
  {
    fault: "destructors may change the topology",
    file: "systems/living.ts",
    find: "if (!isFinalizing(world) && !isAsking(world)) return;",
    replace: "if (!isAsking(world)) return;",
    by: [LIFETIMES, "S142 a destructor"],
  },
  {
    fault: "an armed timer does not pin its owner",
    file: "systems/timers.ts",
    find: 'else reference(world, timer.owner, "callback");',
    replace: "",
    by: ["tests/systems/timers_test.ts", "an armed timer pins its owner"],
  },
  {
    fault: "a device may end in the middle of its unplug",
    file: "systems/plug.ts",
    find:
      '  reference(world, device, "callback");\n  try {\n    body();\n  } finally {\n    release(world, device, "callback");\n  }',
    replace: "  body();",
    by: [GRACE, "a device whose owner was dropped before it"],
  },
  {
    fault: "a queued bottom half does not pin its owner",
    file: "systems/bottom_half.ts",
    find: 'reference(world, half.owner, "callback");',
    replace: "",
    by: ["tests/systems/bottom_half_test.ts", "a queued bottom half pins its owner"],
  },
  {
    fault: "a pin that a holder gives back is that of its mapping",
    file: "ecs/ref_count.ts",
    find: " && pin.of === undefined;",
    replace: ";",
    by: [HOLDING, "a pin that a holder gives back is its own"],
  },
  {
    fault: "a timer that another's callback puts off fires all the same",
    file: "systems/timers.ts",
    find: " || timer.order >= armings",
    replace: "",
    by: [TIMERS, "a callback can put off another timer"],
  },
  {
    fault: "a timer that is unset pins its owner for ever",
    file: "systems/timers.ts",
    find: '  leaveTimer(timer.clock, timer);\n  release(world, timer.owner, "callback");',
    replace: "  leaveTimer(timer.clock, timer);",
    by: [TIMERS, "arming again, unsetting and deleting"],
  },
  {
    fault: "a guarded bottom half leaves the guard set",
    file: "systems/bottom_half.ts",
    find: "if (half.guarded) restoreGuard(world, half.owner, former);",
    replace: "",
    by: [HALVES, "a guarded one runs"],
  },
  {
    fault: "a bottom half that is queued by another runs in the same call",
    file: "systems/bottom_half.ts",
    find: "for (let left = bottomHalfQueue(world).length; left > 0; left--) {",
    replace: "for (let left = bottomHalfQueue(world).length + 1; left > 0; left--) {",
    by: [HALVES, "bottom halves run once"],
  },
  {
    fault: "timers of an unplugged device fire",
    file: "systems/plug.ts",
    find: "for (const timer of timers) clearTimer(row.world, timer);",
    replace: "void timers;",
    by: MODEL,
  },
  {
    fault: "bottom halves of an unplugged device run",
    file: "systems/plug.ts",
    find: "for (const half of Object.values(row.bottomHalves)) cancelBottomHalf(row.world, half);",
    replace: "",
    by: MODEL,
  },
];
