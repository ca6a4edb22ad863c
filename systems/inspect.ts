/** Inspect: whether the world is sound, and why an entity is alive. Both only look. */
import { containers } from "../ecs/container.ts";
import { formatAddress } from "../ecs/address.ts";
import { creationOf, entitiesOf, handleOf, kindOf, nameOf, resolveAny } from "../ecs/handle.ts";
import { spaceRecord } from "../ecs/address_space.ts";
import { Life, OwnerKind, owners } from "../ecs/owner.ts";
import { countOf, refCounts, REFERENCE_KINDS, type ReferenceKind } from "../ecs/ref_count.ts";
import { Flag, RegionKind, regions } from "../ecs/region.ts";
import type { World } from "../ecs/world.ts";
import { ownersBelow } from "./collect.ts";
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
    const { id, step } = at;
    const holder = step.by === 0 ? undefined : handleOf(world, step.by);
    chain.unshift({
      entity: handleOf(world, id),
      name: nameOf(world, id),
      kind: step.kind,
      holder,
      sentence: step.sentence,
    });
    at = from.get(id);
  }
  return { text: chain.map((reason) => reason.sentence).join("\n"), chain };
}

/** All that keeps one entity; `by` 0: the chain ends there. */
function reasonsOf(world: World, id: number): Step[] {
  const name = `"${nameOf(world, id)}"`;
  const { owner, life } = owners(world);
  if (life[id] === Life.DYING) {
    const waiting = openReaders(world).join(", ") || "nobody";
    return [{ kind: "reader", by: 0, sentence: `${name} is dying and waits for ${waiting}` }];
  }
  if (kindOf(world, id) === RegionKind && (regions(world).flags[id]! & Flag.STATIC) !== 0) {
    return [{ kind: "static", by: 0, sentence: `${name} is static: it lives as long as its world` }];
  }
  const steps: Step[] = [...namedPins(world, id), ...edgesTo(world, id), ...unnamedPins(world, id)];
  const above = owner[id]!;
  if (above !== 0 && (kindOf(world, id) !== OwnerKind || life[id] === Life.LIVE)) {
    steps.push({ kind: "owned", by: above, sentence: `${name} is owned by "${nameOf(world, above)}"` });
  }
  if (kindOf(world, id) === OwnerKind) steps.push(...pinnedBelow(world, id));
  return steps;
}

function namedPins(world: World, id: number): Step[] {
  const { pins } = refCounts(world);
  const { owner } = owners(world);
  const steps: Step[] = [];
  for (const kind of [OwnerKind, RegionKind]) {
    for (const holder of entitiesOf(world, kind)) {
      for (const pin of pins[holder] ?? []) {
        const isAnchored = owner[pin.target] === id && kindOf(world, pin.target) !== OwnerKind;
        if (pin.target !== id && !isAnchored) continue;
        const site = pin.site === undefined ? "" : ` (${pin.site})`;
        const what = `"${nameOf(world, pin.target)}"`;
        const by = holder === id ? 0 : holder;
        steps.push({
          kind: pin.kind,
          by,
          sentence: `"${nameOf(world, holder)}" holds a ${pin.kind} pin on ${what}${site}`,
        });
      }
    }
  }
  return steps;
}

/** Counted edges that end at an owner: containers that show its regions, address spaces that are rooted in them. */
function edgesTo(world: World, id: number): Step[] {
  const { edgeTarget, edgeHolder } = refCounts(world);
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
        sentence: `${name} of "${nameOf(world, id)}" is in ${where}`,
      });
    }
    for (const space of regions(world).spaces[owned] ?? []) {
      if (edgeTarget[space] !== id || spaceRecord(world, space) === undefined) continue;
      const sentence = `${name} of "${nameOf(world, id)}" is the root of address space "${nameOf(world, space)}"`;
      steps.push({ kind: "addressSpace", by: edgeHolder[space]!, sentence });
    }
  }
  return steps;
}

/** References that name no holder: the creator's, and pins of callers that gave none. */
function unnamedPins(world: World, id: number): Step[] {
  const steps: Step[] = [];
  for (const kind of REFERENCE_KINDS) {
    if (kind === "parent" || kind === "container" || kind === "addressSpace") continue;
    const count = countOf(world, id, kind);
    const named = countNamed(world, id, kind);
    if (count <= named) continue;
    const sentence = `"${nameOf(world, id)}" has ${count - named} ${kind} reference(s) without a named holder`;
    steps.push({ kind, by: 0, sentence });
  }
  return steps;
}

function countNamed(world: World, id: number, kind: ReferenceKind): number {
  return namedPins(world, id).filter((step) => step.kind === kind).length;
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
      sentence: `"${nameOf(world, id)}" waits for "${nameOf(world, child)}" below it`,
    }));
}
