/**
 * Mutations: planted faults of the core's rules, each an exact replacement in one source file, and the test that must
 * fail because of it. `deno task mutations` applies them one at a time; `mutations_test.ts` fails if one no longer fits.
 */

export interface Mutation {
  /** What is wrong then. */
  readonly fault: string;
  readonly file: string;
  /** Occurs exactly once in the file. */
  readonly find: string;
  readonly replace: string;
  /** The killer: its file, and words of its name. */
  readonly by: readonly [file: string, test: string];
}

const LIFETIMES = "tests/scenarios/lifetimes_test.ts";
const TOPOLOGY = "tests/scenarios/topology_test.ts";
const TRANSACTIONS = "tests/scenarios/transactions_test.ts";
const PREPARE = "tests/systems/prepare_test.ts";
const ACCESS = "tests/scenarios/access_test.ts";
const HISTORY = "tests/scenarios/device_history_test.ts";
const GRACE = "tests/systems/grace_test.ts";
const MODEL = ["tests/proof/model_test.ts", "random operations over the whole API"] as const;
const VIEWS = ["tests/systems/random_topology_test.ts", "random topologies: views equal the oracle"] as const;

const OWNERSHIP_MUTATIONS: readonly Mutation[] = [
  {
    fault: "edges inside of one owner are counted too",
    file: "systems/admission.ts",
    find: "return target === 0 || isOwnerOrAbove(world, target, holder) ? 0 : target;",
    replace: "return target;",
    by: [LIFETIMES, "S01, S140"],
  },
  {
    fault: "edges to an owner above are counted",
    file: "systems/admission.ts",
    find: "return target === 0 || isOwnerOrAbove(world, target, holder) ? 0 : target;",
    replace: "return target === holder ? 0 : target;",
    by: [GRACE, "an edge to an owner above is counted nowhere"],
  },
  {
    fault: "a foreign container pins nobody",
    file: "systems/admission.ts",
    find: "return target === 0 || isOwnerOrAbove(world, target, holder) ? 0 : target;",
    replace: "return 0;",
    by: [LIFETIMES, "S02, S146"],
  },
  {
    fault: "the search for cycles does not go down to what an owner owns",
    file: "systems/admission.ts",
    find: "for (let child = firstChild[id]!; child !== 0; child = next[child]!) reach(child, id);",
    replace: "",
    by: [GRACE, "a cycle through an owner below"],
  },
  {
    fault: "the search for cycles does not follow counted edges",
    file: "systems/admission.ts",
    find: "for (let edge = firstEdge[id]!; edge !== 0; edge = nextEdge[edge]!) pin(edgeTarget[edge]!, id, id);",
    replace: "",
    by: [LIFETIMES, "ownership cycles over counted edges are refused"],
  },
  {
    fault: "the search for cycles does not go up from what is pinned",
    file: "systems/admission.ts",
    find: "at !== 0 && !isOwnerOrAbove(world, at, by); at = owners(world).owner[at]!",
    replace: "at !== 0 && !isOwnerOrAbove(world, at, by); at = 0",
    by: [LIFETIMES, "a cycle through an owner above"],
  },
  {
    fault: "a region may show itself through an alias",
    file: "systems/admission.ts",
    find: "for (let alias = firstAlias[id]!; alias !== 0; alias = window[alias]!.next) {\n      if (!from.has(alias))",
    replace: "for (let alias = 0; alias !== 0; alias = window[alias]!.next) {\n      if (!from.has(alias))",
    by: [TOPOLOGY, "S76 an alias cannot"],
  },
  {
    fault: "a container may contain itself",
    file: "systems/admission.ts",
    find: "if (container[id] !== 0 && !from.has(container[id]!)) from.set(container[id]!, id);",
    replace: "",
    by: [TOPOLOGY, "S77 a container cannot"],
  },
  {
    fault: "a region may be in two containers",
    file: "systems/admission.ts",
    find: "if (present !== 0) {",
    replace: "if (present < 0) {",
    by: [TOPOLOGY, "S78 an alias has no children; a second container"],
  },
  {
    fault: "a pin on RAM keeps its owner",
    file: "systems/collect.ts",
    find: 'if (isRam && world.policy.refRule === "ramSelf") return id;',
    replace: "",
    by: [LIFETIMES, "LC14, S58"],
  },
  {
    fault: "a pin on MMIO does not keep its owner",
    file: "systems/collect.ts",
    find: "return owners(world).owner[id]! || id;",
    replace: "return id;",
    by: [LIFETIMES, "S61 a pin on one's own region"],
  },
  {
    fault: "pinned RAM dies with its owner",
    file: "systems/collect.ts",
    find: "if (refCounts(world).total[id] === parents) return false;",
    replace: "if (parents < 2) return false;",
    by: [LIFETIMES, "LC14, S58"],
  },
  {
    fault: "a pinned owner does not delay the owners above it",
    file: "systems/collect.ts",
    find: "return members.every((owner) => outside.get(owner) === 0);",
    replace: "return outside.get(id) === 0;",
    by: [LIFETIMES, "a pin below delays the owner above"],
  },
  {
    fault: "edges inside of a dying family keep it alive",
    file: "systems/collect.ts",
    find: "if (left !== undefined) outside.set(target, left - 1);",
    replace: "",
    by: [GRACE, "siblings that hold each other's parts end together"],
  },
  {
    fault: "a dying container keeps the regions in it",
    file: "systems/collect.ts",
    find: "while (firstChild[region] !== 0) unlinkContained(world, firstChild[region]!);",
    replace: "",
    by: [LIFETIMES, "S20, S21"],
  },
  {
    fault: "aliases of a dying region are not broken",
    file: "systems/collect.ts",
    find: "while (columns.firstAlias[region] !== 0) unlinkAlias(world, columns.firstAlias[region]!);",
    replace: "",
    by: [LIFETIMES, "LC11 an alias whose target"],
  },
  {
    fault: "a dying alias stays in its target's index",
    file: "systems/collect.ts",
    find: "\n  unlinkAlias(world, region);",
    replace: "",
    by: [HISTORY, "S24 an alias is made anew"],
  },
  {
    fault: "a dead holder goes on holding",
    file: "systems/collect.ts",
    find: "    releasePin(world, pin);\n  }",
    replace: "  }",
    by: [LIFETIMES, "S144 a leaked pin"],
  },
  {
    fault: "a release is not counted on the anchor",
    file: "systems/collect.ts",
    find: "if (anchor !== pin.target) removeReference(world, anchor, pin.kind);",
    replace: "",
    by: [LIFETIMES, "S61 a pin on one's own region"],
  },
  {
    fault: "what a release frees is not looked for",
    file: "systems/collect.ts",
    find: "removeReference(world, anchor, pin.kind);\n  requestCollect(world);",
    replace: "removeReference(world, anchor, pin.kind);",
    by: [LIFETIMES, "S61 a pin on one's own region"],
  },
  {
    fault: "an owner that was dropped below a dropped one dies twice",
    file: "systems/collect.ts",
    find: "if (owners(world).life[id] === Life.DYING) continue;",
    replace: "",
    by: [LIFETIMES, "an owner dropped below a dropped owner"],
  },
  {
    fault: "drop forgets to give up the creation reference",
    file: "systems/finalize.ts",
    find: "if (countOf(world, id, kind) > 0) removeReference(world, id, kind);",
    replace: "",
    by: [LIFETIMES, "S145, LC12"],
  },
  {
    fault: "an entity may be dropped twice",
    file: "systems/finalize.ts",
    find: "if (owners(world).life[id] !== Life.LIVE) throw",
    replace: "if (owners(world).life[id] === 99) throw",
    by: [LIFETIMES, "S143 dropping twice"],
  },
  {
    fault: "a region may be dropped while it is contained, a root or aliased",
    file: "systems/finalize.ts",
    find: "if (kindOf(world, id) === RegionKind) refuseIfUsed(world, id);",
    replace: "",
    by: [LIFETIMES, "S143 dropping twice"],
  },
  {
    fault: "the dying can be pinned",
    file: "systems/finalize.ts",
    find: "if (owners(world).life[id] === Life.DYING) {\n    throw new LifetimeError(`cannot reference",
    replace: "if (owners(world).life[id] === 99) {\n    throw new LifetimeError(`cannot reference",
    by: [LIFETIMES, "S142 a destructor"],
  },
  {
    fault: "a release needs no pin",
    file: "systems/finalize.ts",
    find: "if (countOf(world, id, kind) === 0 || (by",
    replace: "if ((by",
    by: [GRACE, "a release without a pin is refused"],
  },
  {
    fault: "an edge that ends stays in its holder's list",
    file: "ecs/ref_count.ts",
    find: "else if (holder !== 0) columns.firstEdge[holder] = next;",
    replace: "",
    by: MODEL,
  },
  {
    fault: "an entity that leaves the middle of its owner's list breaks the list",
    file: "ecs/owner.ts",
    find: "else columns.previous[next] = previous;",
    replace: "",
    by: MODEL,
  },
];

const GRACE_MUTATIONS: readonly Mutation[] = [
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
    find: "if (state.depth++ === 0) state.scopeEpoch",
    replace: "if (state.depth++ >= 0) state.scopeEpoch",
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
    file: "systems/topology.ts",
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
];

const MAP_MUTATIONS: readonly Mutation[] = [
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
    find: "if ((flags[at]! & INHERITED) !== 0) return at;",
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

const LISTENER_MUTATIONS: readonly Mutation[] = [
  {
    fault: "a transaction that throws stays open",
    file: "systems/transaction.ts",
    find: "    state.depth--;\n    if (isWhole) commit(world);",
    replace: "    if (isWhole) state.depth--;\n    if (isWhole) commit(world);",
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
    find: "      announceChanges(world, changes);",
    replace: "      publish(changes);\n      announceChanges(world, changes);",
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
    file: "systems/topology.ts",
    find: "if (listener !== undefined) {",
    replace: "if (listener === null) {",
    by: [HISTORY, "S44 the address space of an IOMMU"],
  },
];

const ACCESS_MUTATIONS: readonly Mutation[] = [
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
    find: "if (guard.warned) return;",
    replace: "",
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
    find: "range.ram !== undefined || (attrs & MEMORY_ONLY) !== 0) {",
    replace: "range.ram !== undefined) {",
    by: [ACCESS, "S98 with the memory attribute"],
  },
];

export const MUTATIONS: readonly Mutation[] = [
  ...OWNERSHIP_MUTATIONS,
  ...GRACE_MUTATIONS,
  ...MAP_MUTATIONS,
  ...LISTENER_MUTATIONS,
  ...ACCESS_MUTATIONS,
];
