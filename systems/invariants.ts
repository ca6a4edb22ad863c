/** Invariants: what must be true of every world at every moment (specification 2.4). */
import { AddressSpaceKind, allSpaces } from "../ecs/address_space.ts";
import { containers, isOnTop } from "../ecs/container.ts";
import { rangesOf } from "../ecs/flat_view.ts";
import { entitiesOf, kindOf, nameOf } from "../ecs/handle.ts";
import { Life, OwnerKind, owners } from "../ecs/owner.ts";
import { countOf, refCounts, REFERENCE_KINDS } from "../ecs/ref_count.ts";
import { aliasTarget, RegionKind, regions } from "../ecs/region.ts";
import type { World } from "../ecs/world.ts";
import { countedTarget, ownershipPath } from "./admission.ts";
import { anchorOf } from "./collect.ts";
import { checkDevices } from "./device_invariants.ts";
import { hasDirtySpaces } from "./dirty_windows.ts";
import { hasRemoteReaders, oldestReader, scopeDepth } from "./epoch.ts";
import { checkHoldings } from "./holding_invariants.ts";
import { understated } from "./nesting.ts";
import { renderFully } from "./render.ts";
import { checkDirtyLogs, checkListeners } from "./log_invariants.ts";
import { retiredQueue } from "./retire.ts";
import { physicalRoot } from "./share_views.ts";
import { checkTaps } from "./tap_invariants.ts";
import { transactionDepth } from "./transaction.ts";

/** Everything that is wrong, a sentence each. */
export function findViolations(world: World): string[] {
  const findings: string[] = [];
  const report = (invariant: string, finding: string) => findings.push(`${invariant}: ${finding}`);
  checkContainers(world, report);
  checkAliases(world, report);
  for (const id of understated(world)) report("nesting", `"${nameOf(world, id)}" is deeper than what shows it knows`);
  checkEdges(world, report);
  checkCounts(world, report);
  checkLives(world, report);
  if (transactionDepth(world) === 0) {
    if (hasDirtySpaces(world)) report("INV7", "windows are dirty outside of any transaction");
    checkViews(world, report);
    checkTaps(world, report);
    checkDirtyLogs(world, report);
    checkListeners(world, report);
  }
  checkReaders(world, report);
  checkHoldings(world, report);
  checkDevices(world, report);
  return findings;
}

type Report = (invariant: string, finding: string) => void;

/** INV1: who is in a container is in its list exactly once, and the list is sorted. */
function checkContainers(world: World, report: Report): void {
  const { container, firstChild, next, previous } = containers(world);
  const listed = new Set<number>();
  for (const region of entitiesOf(world, RegionKind)) {
    let before = 0;
    for (let child = firstChild[region]!; child !== 0; child = next[child]!) {
      const name = `"${nameOf(world, child)}" in "${nameOf(world, region)}"`;
      if (listed.has(child)) return report("INV1", `${name} is listed twice`);
      listed.add(child);
      if (container[child] !== region) report("INV1", `${name} names another container`);
      if (previous[child] !== before) report("INV1", `${name} has a wrong predecessor`);
      if (before !== 0 && !isOnTop(world, before, child)) report("INV1", `${name} is out of order`);
      before = child;
    }
  }
  for (const region of entitiesOf(world, RegionKind)) {
    if (container[region] !== 0 && !listed.has(region)) report("INV1", `"${nameOf(world, region)}" is not listed`);
  }
}

/** INV2, as the reverse index that takes the place of the counter: every alias is found from its target. */
function checkAliases(world: World, report: Report): void {
  const { firstAlias, window } = regions(world);
  const found = new Map<number, number>();
  for (const target of entitiesOf(world, RegionKind)) {
    for (let alias = firstAlias[target]!; alias !== 0; alias = window[alias]!.next) {
      if (found.has(alias)) return report("INV2", `alias "${nameOf(world, alias)}" is indexed twice`);
      found.set(alias, target);
    }
  }
  for (const region of entitiesOf(world, RegionKind)) {
    if ((found.get(region) ?? 0) !== aliasTarget(world, region)) {
      report("INV2", `alias "${nameOf(world, region)}" is not indexed at its target`);
    }
  }
}

/** INV8 and INV9: an edge is counted iff it must be, and counted edges close no cycle. */
function checkEdges(world: World, report: Report): void {
  const { edgeTarget, edgeHolder } = refCounts(world);
  const { owner } = owners(world);
  const checkEdge = (bearer: number, from: string, holder: number, target: number) => {
    const name = `edge from "${from}" to "${nameOf(world, target)}"`;
    const counted = countedTarget(world, holder, target);
    if (edgeTarget[bearer] !== counted) report("INV8", `${name} is ${counted === 0 ? "" : "not "}counted`);
    if (counted === 0) return;
    if (edgeHolder[bearer] !== holder) report("INV8", `${name} has another holder`);
    if (holder !== 0 && ownershipPath(world, counted, holder) !== undefined) report("INV9", `${name} is on a cycle`);
  };
  const { container } = containers(world);
  for (const region of entitiesOf(world, RegionKind)) {
    const above = container[region]!;
    if (above !== 0) checkEdge(region, nameOf(world, above), owner[above]!, region);
    else if (edgeTarget[region] !== 0) report("INV8", `"${nameOf(world, region)}" has an edge but no container`);
  }
  for (const space of allSpaces(world)) checkEdge(space.id, nameOf(world, space.id), owner[space.id]!, space.root);
}

/** INV3 and INV10: counts add up, per kind, per edge, and with the pins that name their holder. */
function checkCounts(world: World, report: Report): void {
  const { total, edgeTarget, pins } = refCounts(world);
  const { owner, life } = owners(world);
  const everything = [RegionKind, AddressSpaceKind, OwnerKind].flatMap((kind) => entitiesOf(world, kind));
  const edges = new Map<number, number>();
  const anchored = new Map<number, number>();
  const named = new Map<string, number>();
  const bump = <K>(map: Map<K, number>, key: K, by = 1) => map.set(key, (map.get(key) ?? 0) + by);
  const PINS = ["map", "cache", "listener", "callback"] as const;
  for (const id of everything) {
    if (edgeTarget[id] !== 0) bump(edges, edgeTarget[id]!);
    for (const pin of pins[id] ?? []) bump(named, `${pin.target} ${pin.kind}`);
    const anchor = anchorOf(world, id);
    if (anchor !== id) { for (const kind of PINS) bump(anchored, anchor, countOf(world, id, kind)); }
  }
  for (const id of everything) {
    const name = `"${nameOf(world, id)}"`;
    const sum = REFERENCE_KINDS.reduce((all, kind) => all + countOf(world, id, kind), 0);
    if (sum !== total[id]) report("INV10", `${name} counts ${sum} by kind and ${total[id]} in total`);
    const counted = countOf(world, id, "container") + countOf(world, id, "addressSpace");
    if (counted !== (edges.get(id) ?? 0)) report("INV10", `${name} counts ${counted} edges, not ${edges.get(id) ?? 0}`);
    const own = PINS.reduce((all, kind) => all + countOf(world, id, kind), 0);
    if (own < (anchored.get(id) ?? 0)) report("INV3", `${name} counts fewer pins than what it stands for`);
    const parent = owner[id] !== 0 && life[id] === Life.LIVE ? 1 : 0;
    if (countOf(world, id, "parent") !== parent && life[id] !== Life.DYING) report("INV10", `${name}: parent count`);
    for (const kind of REFERENCE_KINDS) {
      const by = named.get(`${id} ${kind}`) ?? 0;
      if (by > countOf(world, id, kind)) report("INV10", `${name} has more named ${kind} pins than counted ones`);
    }
  }
}

/** INV4: what can be reached exists. */
function checkLives(world: World, report: Report): void {
  const { life, owner } = owners(world);
  for (const space of allSpaces(world)) {
    const name = nameOf(world, space.id);
    if (kindOf(world, space.root) !== RegionKind) report("INV4", `the root of "${name}" is gone`);
    for (const range of rangesOf(space.view)) {
      if (kindOf(world, range.region) !== RegionKind) report("INV4", `a region in the view of "${name}" is gone`);
    }
  }
  for (const { ranges } of retiredQueue(world)) {
    for (const range of ranges) {
      if (kindOf(world, range.region) !== RegionKind) report("INV4", "a region in an unreclaimed view is gone");
    }
  }
  const { container } = containers(world);
  for (const region of entitiesOf(world, RegionKind)) {
    const above = owner[region]!;
    if (above !== 0 && kindOf(world, above) !== OwnerKind) {
      report("INV4", `the owner of "${nameOf(world, region)}" is gone`);
    }
    if (life[region] === Life.DYING && container[region] !== 0) {
      report("INV4", `"${nameOf(world, region)}" is dying in a container`);
    }
  }
}

/** INV5: what spaces show is what their trees say. */
function checkViews(world: World, report: Report): void {
  for (const space of allSpaces(world)) {
    if (space.windows.length > 0) continue;
    const root = world.policy.rootKeepsAttributes ? space.root : physicalRoot(world, space.root);
    const exact = root === 0 ? [] : renderFully(world, root);
    const shown = [...rangesOf(space.view)];
    const differs = exact.length !== shown.length || exact.some((range, at) => {
      const other = shown[at];
      return other === undefined || Number(range.start) !== other.start || Number(range.end) !== other.end ||
        range.region !== other.region || Number(range.base) !== other.base || range.flags !== other.flags;
    });
    if (differs) report("INV5", `"${nameOf(world, space.id)}" does not show what its tree says`);
  }
}

/** INV7 and INV11: nothing is left over when nothing runs. */
function checkReaders(world: World, report: Report): void {
  const oldest = hasRemoteReaders(world) ? 0 : oldestReader(world); // a worker may have left just now
  for (const { stamp } of retiredQueue(world)) {
    if (stamp < oldest) report("INV7", `what was retired at epoch ${stamp} waits for nobody`);
  }
  if (scopeDepth(world) > 0) return;
  for (const id of entitiesOf(world, OwnerKind)) {
    if (owners(world).guard[id]?.engaged) report("INV11", `the guard of "${nameOf(world, id)}" is set`);
  }
  for (const id of entitiesOf(world, RegionKind)) {
    if (regions(world).mmio[id]?.guard?.engaged) report("INV11", `the guard of "${nameOf(world, id)}" is set`);
  }
}
