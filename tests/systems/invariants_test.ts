/** The audit finds each invariant broken: columns are spoiled by hand, one at a time. */
import { assert, assertThrows } from "@std/assert";
import { allSpaces, publishView } from "../../ecs/address_space.ts";
import { containers, linkChild, unlinkChild } from "../../ecs/container.ts";
import { EMPTY_VIEW } from "../../ecs/flat_view.ts";
import { freeEntity, resolve, resolveAny } from "../../ecs/handle.ts";
import { writeLevels } from "../../ecs/nesting.ts";
import { owners } from "../../ecs/owner.ts";
import { addReference, linkEdge, refCounts, removeReference, unlinkEdge } from "../../ecs/ref_count.ts";
import { RegionKind, regions } from "../../ecs/region.ts";
import { listenersOf } from "../../ecs/listener.ts";
import { retiredQueue } from "../../systems/retire.ts";
import { audit, AuditError } from "../../systems/inspect.ts";
import { reference } from "../../systems/finalize.ts";
import { map } from "../../systems/map.ts";
import { registerListener } from "../../systems/address_spaces.ts";
import { addSubregion } from "../../systems/topology.ts";
import { Machine } from "../scenarios/machine.ts";

/** A machine with one of everything that can be spoiled. */
function furnished() {
  const m = new Machine({ debug: true });
  const device = m.own("device");
  const other = m.own("other");
  const [low, high] = [m.mmio("low", device), m.mmio("high", device)];
  const [shelf, window, spare] = [
    m.container("shelf", device),
    m.container("window", other),
    m.container("spare", other),
  ];
  addSubregion(m.world, m.root, 0x1000, low);
  addSubregion(m.world, m.root, 0x2000, high, { priority: 1 });
  const alias = m.alias("alias", m.owner, low, 0, 0x1000);
  addSubregion(m.world, m.root, 0x8000, alias);
  registerListener(m.world, m.space, { name: "l", regionAdd() {}, regionDel() {} });
  reference(m.world, low, "callback", other);
  map(m.world, m.space, 0x1000, 16, { holder: other });
  audit(m.world);
  const named = { device, other, low, high, shelf, window, spare, alias };
  const ids = Object.entries(named).map(([name, handle]) => [name, resolveAny(m.world, handle)]);
  return { m, world: m.world, ...Object.fromEntries(ids) as Record<keyof typeof named, number> };
}

type Furnished = ReturnType<typeof furnished>;

const SPOILED: readonly [invariant: string, what: string, spoil: (f: Furnished) => void][] = [
  ["INV1", "a child that names another container", ({ world, low, window }) => {
    containers(world).container[low] = window;
  }],
  ["INV1", "children out of order", ({ world, low }) => {
    containers(world).priority[low] = 5;
  }],
  ["INV1", "a container that does not list its child", ({ world, m }) => {
    containers(world).firstChild[resolve(world, m.root, RegionKind)] = 0;
  }],
  ["INV2", "an alias that its target does not know", ({ world, low }) => {
    regions(world).firstAlias[low] = 0;
  }],
  ["INV2", "an alias that looks elsewhere", ({ world, alias, high }) => {
    regions(world).window[alias]!.target = high;
  }],
  ["INV3", "a pin on a region that its owner does not count", ({ world, device }) => {
    removeReference(world, device, "callback");
  }],
  ["INV4", "a view with a region that is gone", ({ world, low }) => {
    freeEntity(world, low);
  }],
  ["INV4", "a region whose owner is gone", ({ world, device }) => {
    freeEntity(world, device);
  }],
  ["INV5", "a view that is not what the tree says", ({ world }) => {
    publishView(allSpaces(world)[0]!, EMPTY_VIEW);
  }],
  ["INV6", "a listener that was not told of a range", ({ world }) => {
    listenersOf(world, allSpaces(world)[0]!.id)[0]!.told!.clear();
  }],
  ["INV7", "something retired that waits for nobody", ({ world }) => {
    (retiredQueue(world) as { stamp: number; ranges: never[]; entities: never[] }[]).push({
      stamp: 0,
      ranges: [],
      entities: [],
    });
  }],
  ["INV8", "an edge that is not counted", ({ world, low }) => {
    refCounts(world).edgeTarget[low] = 0;
  }],
  ["INV8", "an edge of a region that is in no container", ({ world, window, other, device }) => {
    linkEdge(world, window, "container", device, other);
  }],
  ["INV9", "a cycle of counted edges", ({ world, device, other, shelf, window, spare, high }) => {
    unlinkChild(world, high);
    unlinkEdge(world, high, "container");
    for (
      const [above, below, holder, target] of [[shelf, window, device, other], [spare, high, other, device]] as const
    ) {
      linkChild(world, above, below, { address: 0, size: 0x1000, priority: 0 });
      linkEdge(world, below, "container", holder, target);
    }
  }],
  ["INV10", "a count that is not the sum of its kinds", ({ world, device }) => {
    refCounts(world).total[device]!++;
  }],
  ["INV10", "a reference for an edge that there is not", ({ world, other }) => {
    addReference(world, other, "container");
  }],
  ["INV11", "a guard that is set while no handler runs", ({ world, device }) => {
    owners(world).guard[device]!.engaged = true;
  }],
  ["nesting", "a container that thinks it shows less than it does", ({ world, shelf, low }) => {
    writeLevels(world, low, 3);
    writeLevels(world, shelf, 0);
  }],
  ["INV12", "a budget that is not what bounce buffers take", ({ world }) => {
    allSpaces(world)[0]!.bounce.used += 8;
  }],
];

Deno.test("the audit finds what was spoiled by hand (INV1, INV2, INV3, INV4, INV5, INV6, INV7, INV8, INV9, INV10, INV11, INV12)", async (t) => {
  for (const [invariant, what, spoil] of SPOILED) {
    await t.step(`${invariant}: ${what}`, () => {
      const furniture = furnished();
      spoil(furniture);
      const { findings } = assertThrows(() => audit(furniture.world), AuditError);
      assert(findings.some((finding) => finding.startsWith(`${invariant}:`)), findings.join("; "));
    });
  }
});
