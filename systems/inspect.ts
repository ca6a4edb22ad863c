/** Inspect: whether the world is sound, and why an entity is alive. Both only look. */
import { containers } from "../ecs/container.ts";
import { formatAddress } from "../ecs/address.ts";
import { creationOf, handleOf, kindOf, nameOf, resolveAny } from "../ecs/handle.ts";
import { spaceRecord } from "../ecs/address_space.ts";
import { Life, OwnerKind, owners } from "../ecs/owner.ts";
import { countOf, refCounts, REFERENCE_KINDS, type ReferenceKind } from "../ecs/ref_count.ts";
import { Flag, RegionKind, regions } from "../ecs/region.ts";
import type { World } from "../ecs/world.ts";
import { cachesShowing } from "./cache.ts";
import { anchorOf, ownersBelow } from "./collect.ts";
import { openReaders } from "./epoch.ts";
import { findViolations } from "./invariants.ts";

/** Invariants do not hold. */
export class AuditError extends Error {
  override readonly name = "AuditError";
  readonly findings: readonly string[];

  constructor(findings: readonly string[]) {
    super(`the audit found: ${findings.join("; ")}`);
    this.findings = findings;
  }
}

/** Checks the invariants of the whole world. Slow: every view is rendered anew. @throws {AuditError} listing all findings. */
export function audit(world: World): void {
  const findings = findViolations(world);
  if (findings.length > 0) throw new AuditError(findings);
}

/** One reference, as seen from the entity that it keeps. */
export interface Reason {
  /** Handle and name of what is kept. */
  readonly entity: number;
  readonly name: string;
  /** A kind of reference; or `owned` (lives and dies with its owner), `owns` (a pinned entity below), `static`, `reader`. */
  readonly kind: ReferenceKind | "owned" | "owns" | "static" | "reader";
  /** Handle of who keeps it; undefined: nobody that the world knows, so the chain ends here. */
  readonly holder: number | undefined;
  /** Where the reference was taken, `path:line:column`; only in debug worlds. */
  readonly site: string | undefined;
  /** One sentence. */
  readonly sentence: string;
}

export interface WhyAlive {
  readonly text: string;
  /** From the entity to something that nothing in the world keeps; the shortest such path. */
  readonly chain: readonly Reason[];
}

interface Step extends Omit<Reason, "entity" | "name" | "holder"> {
  readonly by: number;
}

interface PinStep extends Step {
  readonly kind: ReferenceKind;
  readonly target: number;
}

/** Why `entity` still exists. @throws {StaleHandleError} if it does not. */
export function whyAlive(world: World, entity: number): WhyAlive {
  const start = resolveAny(world, entity);
  const from = new Map<number, { id: number; step: Step } | undefined>([[start, undefined]]);
  for (const id of from.keys()) {
    for (const step of reasonsOf(world, id)) {
      if (step.by === 0) return tell(world, from, id, step);
      if (!from.has(step.by)) from.set(step.by, { id, step });
    }
  }
  return { text: `"${nameOf(world, start)}" is kept by nothing that reaches a root`, chain: [] };
}

function tell(
  world: World,
  from: ReadonlyMap<number, { id: number; step: Step } | undefined>,
  end: number,
  last: Step,
): WhyAlive {
  const chain: Reason[] = [];
  let at: { id: number; step: Step } | undefined = { id: end, step: last };
  while (at !== undefined) {
    chain.unshift(reason(world, at.id, at.step));
    at = from.get(at.id);
  }
  return { text: chain.map((reason) => reason.sentence).join("\n"), chain };
}

function reason(world: World, id: number, { kind, by, site, sentence }: Step): Reason {
  const holder = by === 0 ? undefined : handleOf(world, by);
  return { entity: handleOf(world, id), name: nameOf(world, id), kind, holder, site, sentence };
}

/** Everything that keeps one entity directly, other than that its owner lives. */
export function holdersOf(world: World, entity: number): readonly Reason[] {
  const id = resolveAny(world, entity);
  return reasonsOf(world, id).filter(({ kind }) => kind !== "owned").map((step) => reason(world, id, step));
}

/** All that keeps one entity; `by` 0: the chain ends there. */
function reasonsOf(world: World, id: number): Step[] {
  const name = `"${nameOf(world, id)}"`;
  const { owner, life } = owners(world);
  if (life[id] === Life.DYING) {
    const waiting = openReaders(world).join(", ") || "nobody";
    return [{ kind: "reader", by: 0, site: undefined, sentence: `${name} is dying and waits for ${waiting}` }];
  }
  if (kindOf(world, id) === RegionKind && (regions(world).flags[id]! & Flag.STATIC) !== 0) {
    const sentence = `${name} is static: it lives as long as its world`;
    return [{ kind: "static", by: 0, site: undefined, sentence }];
  }
  const named = namedPins(world, id);
  const steps: Step[] = [...named, ...edgesTo(world, id), ...unnamedPins(world, id, named)];
  const above = owner[id]!;
  if (above !== 0 && (kindOf(world, id) !== OwnerKind || life[id] === Life.LIVE)) {
    const site = refCounts(world).sites[id]?.find((note) => note.kind === "parent")?.site;
    steps.push({
      kind: "owned",
      by: above,
      site,
      sentence: `${name} is owned by "${nameOf(world, above)}"${at(site)}`,
    });
  }
  if (kindOf(world, id) === OwnerKind) steps.push(...pinnedBelow(world, id));
  return steps;
}

/** Pins that name their holder, on `id` or on what it stands for. */
function namedPins(world: World, id: number): PinStep[] {
  const { pins } = refCounts(world);
  const steps: PinStep[] = [];
  for (const [holder, list] of pins.entries()) {
    for (const { target, kind, site, of } of list ?? []) {
      if (target !== id && anchorOf(world, target) !== id) continue;
      const what = of === undefined ? `a ${kind} pin on` : `${of.describe(world)}, which pins`;
      const sentence = `"${nameOf(world, holder)}" holds ${what} "${nameOf(world, target)}"${at(site)}`;
      steps.push({ kind, by: holder === id ? 0 : holder, target, site, sentence });
    }
  }
  for (const target of [id, ...standInsOf(world, id)]) {
    for (const cache of cachesShowing(world, target)) {
      const { holder } = cache;
      const by = holder === 0 ? "somebody" : `"${nameOf(world, holder)}"`;
      const sentence = `${by} holds ${cache.describe()}, whose view shows "${nameOf(world, target)}"`;
      steps.push({ kind: "cache", by: holder === id ? 0 : holder, target, site: undefined, sentence });
    }
  }
  return steps.sort((a, b) => creationOf(world, a.by) - creationOf(world, b.by));
}

/** Where it was taken, if the world keeps that. */
function at(site: string | undefined): string {
  return site === undefined ? "" : ` (${site})`;
}

/** Counted edges that end at an owner: containers that show its regions, address spaces that are rooted in them. */
function edgesTo(world: World, id: number): Step[] {
  const { edgeTarget, edgeHolder, edgeSite } = refCounts(world);
  const { firstOwned, next } = owners(world);
  const { container, address } = containers(world);
  const steps: Step[] = [];
  for (let owned = firstOwned[id] ?? 0; owned !== 0; owned = next[owned]!) {
    if (kindOf(world, owned) !== RegionKind) continue;
    const name = `"${nameOf(world, owned)}"`;
    if (edgeTarget[owned] === id) {
      const where = `"${nameOf(world, container[owned]!)}" at ${formatAddress(address[owned]!)}`;
      steps.push({
        kind: "container",
        by: edgeHolder[owned]!,
        site: edgeSite[owned],
        sentence: `${name} of "${nameOf(world, id)}" is in ${where}${at(edgeSite[owned])}`,
      });
    }
    for (const space of regions(world).spaces[owned] ?? []) {
      if (edgeTarget[space] !== id || spaceRecord(world, space) === undefined) continue;
      const site = edgeSite[space];
      const what = `${name} of "${nameOf(world, id)}" is the root of address space "${nameOf(world, space)}"`;
      steps.push({ kind: "addressSpace", by: edgeHolder[space]!, site, sentence: what + at(site) });
    }
  }
  return steps;
}

/** References that name no holder: the creator's, and pins of callers that gave none. */
function unnamedPins(world: World, id: number, named: readonly PinStep[]): Step[] {
  const steps: Step[] = [];
  const standsFor = standInsOf(world, id);
  for (const kind of REFERENCE_KINDS) {
    if (kind === "parent" || kind === "container" || kind === "addressSpace") continue;
    for (const target of [id, ...standsFor]) {
      let count = countOf(world, target, kind);
      if (target === id) { for (const other of standsFor) count -= countOf(world, other, kind); }
      count -= named.filter((pin) => pin.kind === kind && pin.target === target).length;
      if (count <= 0) continue;
      const sites = (refCounts(world).sites[target] ?? []).filter((note) => note.kind === kind).map((note) =>
        note.site
      );
      const sentence = `"${nameOf(world, target)}" has ${count} ${kind} reference(s) without a named holder`;
      steps.push({
        kind,
        by: 0,
        site: sites[0],
        sentence: sentence + at(sites.length > 0 ? sites.join(", ") : undefined),
      });
    }
  }
  return steps;
}

/** What an owner owns and is counted on for. */
function standInsOf(world: World, id: number): number[] {
  if (kindOf(world, id) !== OwnerKind) return [];
  const { firstOwned, next } = owners(world);
  const found: number[] = [];
  for (let owned = firstOwned[id]!; owned !== 0; owned = next[owned]!) {
    if (anchorOf(world, owned) === id) found.push(owned);
  }
  return found;
}

/** A pinned owner delays the owners above it. */
function pinnedBelow(world: World, id: number): Step[] {
  const { total } = refCounts(world);
  return ownersBelow(world, id)
    .filter((child) => child !== id && total[child]! > countOf(world, child, "parent"))
    .sort((a, b) => creationOf(world, a) - creationOf(world, b))
    .map((child) => ({
      kind: "owns" as const,
      by: child,
      site: undefined,
      sentence: `"${nameOf(world, id)}" waits for "${nameOf(world, child)}" below it`,
    }));
}
