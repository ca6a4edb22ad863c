/** Faults of mappings, caches and IOMMUs: what is pinned, accounted, kept and followed. */
import { MODEL, type Mutation } from "./mutation.ts";

const HOLDING = "tests/systems/holding_test.ts";
const MAPPING = "tests/scenarios/mapping_test.ts";
const IOMMU = "tests/scenarios/iommu_test.ts";

export const MAPPING_MUTATIONS: readonly Mutation[] = [
  {
    fault: "the budget of bounce buffers is not given back",
    file: "systems/map.ts",
    find: "    this.space.bounce.used -= this.bytes.length;\n",
    replace: "",
    by: [MAPPING, "S54 bounce buffers share a budget"],
  },
  {
    fault: "nobody is told that there is budget again",
    file: "systems/map.ts",
    find: "    notifyBudget(world, this.space);\n",
    replace: "",
    by: [MAPPING, "S54 bounce buffers share a budget"],
  },
  {
    fault: "who waits is told each time that there is budget",
    file: "systems/map_waiter.ts",
    find: "  unlinkHolding(world, waiter);\n",
    replace: "",
    by: [MAPPING, "S54 bounce buffers share a budget"],
  },
  {
    fault: "a write to mapped memory is not logged",
    file: "systems/map.ts",
    find: "    storedIn(mapping, length);\n    return MemTx.OK;",
    replace: "    return MemTx.OK;",
    by: [HOLDING, "what is written through a mapping is logged"],
  },
  {
    fault: "a mapping that ended with its space counts for the next one",
    file: "systems/map.ts",
    find: "holding.space === space",
    replace: "holding.space.id === space.id",
    by: [HOLDING, "a mapping outlives its address space"],
  },
  {
    fault: "a cache pins nothing",
    file: "systems/cache.ts",
    find: "  pinView(world, view);\n",
    replace: "",
    by: [MAPPING, "S62, LC26 a cache reaches what was there"],
  },
  {
    fault: "the first of two caches of a view ends the pins of both",
    file: "systems/cache.ts",
    find: "  if (present.count > 0) return;\n",
    replace: "",
    by: MODEL,
  },
  {
    fault: "a cache writes to ROM",
    file: "systems/cache.ts",
    find: "if (range?.ram !== undefined && isDirect(range, true, attrs)) {",
    replace: "if (range?.ram !== undefined) {",
    by: [MAPPING, "U7 a cache keeps to attributes"],
  },
  {
    fault: "a page's permission is not asked for",
    file: "systems/translate.ts",
    find: "  if ((permission & needed) !== needed) return;\n",
    replace: "  void [permission, needed];\n",
    by: [IOMMU, "an access goes on where its page leads"],
  },
  {
    fault: "IOMMUs that lead to each other are followed for ever",
    file: "systems/translate.ts",
    find: "iommu.isTranslating || scope.depth > DEPTH_MAX",
    replace: "iommu.isTranslating",
    by: [IOMMU, "nested IOMMUs: each hop is one translation"],
  },
  {
    fault: "a notifier that was removed hears the rest",
    file: "systems/iommu.ts",
    find: "if (iommu.notifiers.includes(notifier)) tell",
    replace: "tell",
    by: [IOMMU, "a notifier that is removed by another one's callback"],
  },
  {
    fault: "a notifier hears of other contexts",
    file: "systems/iommu.ts",
    find: "    notifier.index === index && (notifier.events",
    replace: "    index >= 0 && (notifier.events",
    by: [IOMMU, "notifiers hear what they asked for"],
  },
  {
    fault: "a notifier hears of what it does not follow",
    file: "systems/iommu.ts",
    find: "    const start = Math.max(event.start, notifier.start);",
    replace: "    const start = event.start;",
    by: [IOMMU, "notifiers hear what they asked for"],
  },
  {
    fault: "a notifier does not keep its IOMMU",
    file: "systems/iommu.ts",
    find: 'openHolding(world, notifier, "listener", id);',
    replace: 'openHolding(world, notifier, "listener", 0);',
    by: [IOMMU, "a notifier keeps the IOMMU's device"],
  },
  {
    fault: "replay tells large pages once for each small one",
    file: "systems/iommu.ts",
    find: "at = Math.max(at + page, base + translation.pageSize);",
    replace: "at += page;",
    by: [IOMMU, "replay tells one notifier all that is mapped"],
  },
];
