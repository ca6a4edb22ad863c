/** Faults of io events and coalesced ranges: which write goes where, and who hears of it. */
import type { Mutation } from "./mutation.ts";

const IO_EVENTS = "tests/scenarios/io_event_test.ts";
const COALESCED = "tests/scenarios/coalesced_test.ts";

export const IO_EVENT_MUTATIONS: readonly Mutation[] = [
  {
    fault: "an io event for any size goes behind one for the size",
    file: "ecs/io_event.ts",
    find: "if (a.size !== b.size) return a.size - b.size;",
    replace: "if (a.size !== b.size) return b.size - a.size;",
    by: [IO_EVENTS, "S119 the difference between"],
  },
  {
    fault: "the value of a write does not matter to an io event",
    file: "ecs/io_event.ts",
    find: "if (!event.matches || (event.low",
    replace: "if (event.size > 0 || (event.low",
    by: [IO_EVENTS, "an io event takes the writes that it is for"],
  },
  {
    fault: "a device rings its own doorbell past its guard",
    file: "systems/intercept.ts",
    find: "  if (guard?.engaged && !world.policy.ioEventBypassesGuard) return PASS;\n",
    replace: "",
    by: [IO_EVENTS, "S50 a handler that writes to its own doorbell"],
  },
  {
    fault: "a notifier may be closed while an io event sets it",
    file: "systems/finalize.ts",
    find: "if (kindOf(world, id) === NotifierKind) refuseIfRegistered(world, id);",
    replace: "",
    by: [IO_EVENTS, "S120 a notifier is not closed"],
  },
  {
    fault: "io events of a dead notifier stay",
    file: "systems/collect.ts",
    find: "    unlinkNotifier(world, id);\n",
    replace: "",
    by: [IO_EVENTS, "S05 a peer that disconnects"],
  },
  {
    fault: "the last io events that go are not told",
    file: "systems/io_event_lists.ts",
    find: '\n  while (old < before.length) tell(world, space, listeners, "ioEventDel", before[old++]!);',
    replace: "",
    by: [IO_EVENTS, "S105 a transaction of io events"],
  },
  {
    fault: "a listener that leaves while io events are told is told all of them as gone",
    file: "systems/io_event_lists.ts",
    find: " || changes(world).isTelling) return;",
    replace: ") return;",
    by: [IO_EVENTS, "S109 of io events"],
  },
  {
    fault: "io events at the border of a range are not shown",
    file: "systems/io_event_lists.ts",
    find: "address + (event.size || 1) > range.start",
    replace: "address >= range.start",
    by: [IO_EVENTS, "E2 an io event is shown through every alias"],
  },
  {
    fault: "a read overtakes what was written before",
    file: "systems/intercept.ts",
    find: "  if (tap.drains) drain(world);\n}",
    replace: "  void [world, tap];\n}",
    by: [COALESCED, "writes are collected in order"],
  },
  {
    fault: "what handlers write is collected",
    file: "systems/intercept.ts",
    find: "isDraining || scopeDepth(world) > 0 || ",
    replace: "isDraining || ",
    by: [COALESCED, "what handlers and DMA write is not collected"],
  },
  {
    fault: "a transaction overtakes what was written before it",
    file: "systems/transaction.ts",
    find: "  drainCoalesced(world);\n  state.depth++;",
    replace: "  state.depth++;",
    by: [COALESCED, "a transaction begins after what was written before it"],
  },
  {
    fault: "collected writes are delivered the last first",
    file: "systems/coalesced_ring.ts",
    find: "ring.writes.findIndex(",
    replace: "ring.writes.findLastIndex(",
    by: [COALESCED, "writes are collected in order"],
  },
  {
    fault: "a collected write to a busy device is refused by its guard",
    file: "systems/coalesced_ring.ts",
    find: "({ guard }) => !guard?.engaged",
    replace: "() => true",
    by: [COALESCED, "a collected write to a device in the middle of a handler"],
  },
  {
    fault: "writes to a device that is gone are delivered",
    file: "systems/collect.ts",
    find: "  discardWrites(world, region);\n",
    replace: "",
    by: [COALESCED, "LC25 unplug takes coalesced ranges"],
  },
  {
    fault: "coalesced ranges change in the middle of a walk",
    file: "systems/telling.ts",
    find: "state.depth === 0 && state.postponed.length > 0",
    replace: "state.depth >= 0 && state.postponed.length > 0",
    by: [COALESCED, "a change of coalesced ranges in the middle of a walk"],
  },
];
