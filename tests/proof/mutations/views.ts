/** Faults of views: what is marked, rendered and joined. */
import { MODEL, type Mutation } from "./mutation.ts";

const LIFETIMES = "tests/scenarios/lifetimes_test.ts";
const TOPOLOGY = "tests/scenarios/topology_test.ts";
const HISTORY = "tests/scenarios/device_history_test.ts";
const GRACE = "tests/systems/grace_test.ts";
const VIEWS = ["tests/systems/random_topology_test.ts", "random topologies: views equal the oracle"] as const;

export const MAP_MUTATIONS: readonly Mutation[] = [
  {
    fault: "a move forgets the old extent",
    file: "systems/topology.ts",
    find: "  markRegion(world, id);\n  unlinkContained(world, id);\n  place(world",
    replace: "  unlinkContained(world, id);\n  place(world",
    by: [HISTORY, "S26 a BAR that moves"],
  },
  {
    fault: "a removal marks nothing",
    file: "systems/topology.ts",
    find: "  markRegion(world, id);\n  unlinkContained(world, id);\n  commit(world);",
    replace: "  unlinkContained(world, id);\n  commit(world);",
    by: [LIFETIMES, "LC1, LC20"],
  },
  {
    fault: "a region that shrinks forgets the old extent",
    file: "systems/topology.ts",
    find: "  markRegion(world, id);\n  writeSize(world, id, size);",
    replace: "  writeSize(world, id, size);",
    by: VIEWS,
  },
  {
    fault: "a window that moves on its target marks nothing",
    file: "systems/topology.ts",
    find: "  writeAliasOffset(world, id, offset);\n  markRegion(world, id);",
    replace: "  writeAliasOffset(world, id, offset);",
    by: [HISTORY, "S22 a bank is switched"],
  },
  {
    fault: "a change is not seen through aliases",
    file: "systems/dirty_windows.ts",
    find: "for (let alias = columns.firstAlias[region]!;",
    replace: "for (let alias = 0;",
    by: MODEL,
  },
  {
    fault: "aliases mark the wrong window",
    file: "systems/dirty_windows.ts",
    find: "sumBelow(from, -offset), sumAbove(to, -offset)",
    replace: "sumBelow(from, offset), sumAbove(to, offset)",
    by: MODEL,
  },
  {
    fault: "the lower priority is on top",
    file: "ecs/container.ts",
    find: "priority[a]! > priority[b]!",
    replace: "priority[a]! < priority[b]!",
    by: [TOPOLOGY, "S68 a negative priority"],
  },
  {
    fault: "among equals the first one is on top",
    file: "ecs/container.ts",
    find: "order[a]! > order[b]!",
    replace: "order[a]! < order[b]!",
    by: [TOPOLOGY, "S64 equal priority"],
  },
  {
    fault: "containers do not pass readonly on",
    file: "systems/flatten.ts",
    find: "const inherited = path.inherited | (flags & INHERITED);",
    replace: "const inherited = path.inherited;",
    by: [TOPOLOGY, "S81 readonly belongs to the path"],
  },
  {
    fault: "a readonly root is looked through",
    file: "systems/share_views.ts",
    find: "if ((flags[at]! & INHERITED) !== 0 && world.policy.rootKeepsAttributes) return at;",
    replace: "",
    by: [TOPOLOGY, "S83 a readonly root"],
  },
  {
    fault: "a root's only child is looked through wherever it is",
    file: "systems/share_views.ts",
    find: "if (next < 0 || containers(world).address[next] !== 0) return at;",
    replace: "if (next < 0) return at;",
    by: [HISTORY, "S26 a BAR that moves"],
  },
  {
    fault: "a disabled root shows what it showed",
    file: "systems/share_views.ts",
    find: "if ((flags[at]! & Flag.ENABLED) === 0) return 0;",
    replace: "",
    by: [TOPOLOGY, "S101 spaces with one physical root"],
  },
  {
    fault: "neighbours with different offsets are joined",
    file: "ecs/flat_view.ts",
    find: "left.region === right.region && left.base === right.base &&",
    replace: "left.region === right.region &&",
    by: [TOPOLOGY, "S87 neighbours"],
  },
  {
    fault: "neighbours with different attributes are joined",
    file: "ecs/flat_view.ts",
    find: "    left.flags === right.flags && ((left.flags",
    replace: "    ((left.flags",
    by: [TOPOLOGY, "S87 neighbours"],
  },
  {
    fault: "an old lookup is found in a new view",
    file: "ecs/address_space.ts",
    find: "  space.cache.fill(undefined);",
    replace: "",
    by: [TOPOLOGY, "S64 equal priority"],
  },
  {
    fault: "an alias with a broken target is looked through to nothing",
    file: "systems/flatten.ts",
    find: "if (target === 0 || roundingError(base, -offset) !== 0) return below(from, to);",
    replace: "if (target === 0 || roundingError(base, -offset) !== 0) return;",
    by: [GRACE, "an alias whose target ended"],
  },
];
