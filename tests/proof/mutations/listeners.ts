/** Faults of listeners: what they are told, when, and in which order. */
import type { Mutation } from "./mutation.ts";

const TRANSACTIONS = "tests/scenarios/transactions_test.ts";
const PREPARE = "tests/systems/prepare_test.ts";
const HISTORY = "tests/scenarios/device_history_test.ts";
const LISTENER = "tests/systems/listener_test.ts";

export const LISTENER_MUTATIONS: readonly Mutation[] = [
  {
    fault: "a transaction that throws stays open",
    file: "systems/transaction.ts",
    find: "    state.depth--;\n    if (isWhole) end(world);",
    replace: "    if (isWhole) state.depth--;\n    if (isWhole) end(world);",
    by: [TRANSACTIONS, "LC31 a transaction that throws"],
  },
  {
    fault: "a refused transaction leaves regions below those that they were above",
    file: "systems/undo.ts",
    find: " && now.order === was.order",
    replace: "",
    by: [PREPARE, "W22 a refusal undoes the outermost transaction whole"],
  },
  {
    fault: "who was prepared is not told of a refusal",
    file: "systems/prepare.ts",
    find: "    cancelPrepared(world);\n    return refusal;",
    replace: "    return refusal;",
    by: [PREPARE, "W22 a refused range"],
  },
  {
    fault: "changes that no space shows are undone by a later refusal",
    file: "systems/undo.ts",
    find: "if (placements.size > 0) placements.clear();",
    replace: "if (placements.size > 1e9) placements.clear();",
    by: [PREPARE, "W22 a refusal undoes the outermost transaction whole"],
  },
  {
    fault: "an unplug can be refused",
    file: "systems/undo.ts",
    find: "if (standing > 0) placements.set(region, undefined);",
    replace: "if (standing > 1e9) placements.set(region, undefined);",
    by: [PREPARE, "W22 a device whose registers are refused"],
  },
  {
    fault: "an inner transaction commits",
    file: "systems/transaction.ts",
    find: "if (state.depth > 0 || state.isCommitting",
    replace: "if (state.isCommitting",
    by: [TRANSACTIONS, "S103 ten mutations"],
  },
  {
    fault: "callbacks commit inside of the commit",
    file: "systems/transaction.ts",
    find: "if (state.depth > 0 || state.isCommitting) return;",
    replace: "if (state.depth > 0) return;",
    by: [TRANSACTIONS, "S108 a change made in a callback"],
  },
  {
    fault: "views are published before the listeners are told",
    file: "systems/transaction.ts",
    find: "      announceChanges(world, changes, isTopology);",
    replace: "      publish(changes);\n      announceChanges(world, changes, isTopology);",
    by: [TRANSACTIONS, "S107 during regionAdd"],
  },
  {
    fault: "commit callbacks come before publication",
    file: "systems/transaction.ts",
    find: "      publish(changes);",
    replace: "      announceCommit(world, changes);\n      publish(changes);",
    by: [TRANSACTIONS, "S107 during regionAdd"],
  },
  {
    fault: "listeners of equal priority are called the last first",
    file: "ecs/listener.ts",
    find: "other.priority > record.priority",
    replace: "other.priority >= record.priority",
    by: [TRANSACTIONS, "S17, S117"],
  },
  {
    fault: "dels come by ascending priority",
    file: "systems/notify.ts",
    find: "const reversed = wanting.toReversed();",
    replace: "const reversed = wanting;",
    by: [TRANSACTIONS, "S17, S117"],
  },
  {
    fault: "a listener that was taken out goes on hearing",
    file: "systems/call_listener.ts",
    find: "if (!listener.isRegistered) return;",
    replace: "",
    by: [TRANSACTIONS, "S109 a listener that is unregistered"],
  },
  {
    fault: "a listener that comes during a walk is forgotten",
    file: "systems/notify.ts",
    find: "state.late.push(listener);",
    replace: "",
    by: [TRANSACTIONS, "a listener that is registered in a callback"],
  },
  {
    fault: "listeners of other spaces are told of every commit",
    file: "systems/notify.ts",
    find: "if (world.policy.notifyAllListeners || all.length === 0) return all;",
    replace: "if (all.length > 0) return all;",
    by: [TRANSACTIONS, "S115 a space that nothing changed in"],
  },
  {
    fault: "an address space with listeners may be destroyed",
    file: "systems/address_spaces.ts",
    find: "if (listener !== undefined) {",
    replace: "if (listener === null) {",
    by: [HISTORY, "S44 the address space of an IOMMU"],
  },
  {
    fault: "a listener that leaves in another's commit callback is owed its own",
    file: "systems/notify.ts",
    find: "    payCommit(world, listener);\n    replayDeleted",
    replace: "    replayDeleted",
    by: [TRANSACTIONS, "S109 a listener that is unregistered in another's commit callback"],
  },
  {
    fault: "a listener that leaves in the middle of a walk is told what it was not told as gone",
    file: "systems/notify.ts",
    find: "  if (!state.isWalking) {",
    replace: "  if (state.late.length >= 0) {",
    by: [TRANSACTIONS, "S109 a listener that is unregistered in a callback"],
  },
  {
    fault: "a listener that comes in the middle of a walk is told the old view",
    file: "systems/notify.ts",
    find: "  if (state.isWalking) {\n    state.late.push",
    replace: "  if (state.late.length < 0) {\n    state.late.push",
    by: [TRANSACTIONS, "a listener that is registered in a callback"],
  },
  {
    fault: "a listener may leave while it leaves",
    file: "systems/address_spaces.ts",
    find: "    drop(world, listener);\n    if (record !== undefined) stopListener(world, record);",
    replace: "    if (record !== undefined) stopListener(world, record);\n    drop(world, listener);",
    by: [LISTENER, "a listener that unregisters itself while"],
  },
  {
    fault: "a listener is told of the end of tracking of which it was not told",
    file: "systems/call_listener.ts",
    find: "  if (!listener.isTracking) return;\n",
    replace: "",
    by: [LISTENER, "a listener is told of the end of tracking once"],
  },
  {
    fault: "a listener comes to a space that a collected write's handler ends",
    file: "systems/address_spaces.ts",
    find: "  drainCoalesced(world); // before",
    replace: "  // before",
    by: [LISTENER, "no listener comes to an address space"],
  },
];
