/**
 * Undo: where regions were and how they looked before a transaction, kept only while some listener may refuse what it
 * adds (W22). Putting all of it back does not depend on the order of the changes. Who was created stays, detached, and
 * who was dropped stays dropped.
 */
import { containers, writeAddress, writePriority } from "../ecs/container.ts";
import { mayRefuse } from "../ecs/listener.ts";
import { Life, owners } from "../ecs/owner.ts";
import { regions, writeAliasOffset, writeFlags, writeSize } from "../ecs/region.ts";
import { defineState, type World } from "../ecs/world.ts";
import { unlinkContained } from "./collect.ts";
import { markRegion } from "./dirty_windows.ts";
import { place } from "./place.ts";

/** What the mutators of a region change. */
interface Placement {
  readonly container: number;
  readonly address: number;
  readonly priority: number;
  readonly order: number;
  readonly flags: number;
  readonly size: number;
  /** undefined: no alias. */
  readonly aliasOffset: number | undefined;
}

/** By region; undefined: its changes stand. */
export type Placements = ReadonlyMap<number, Placement | undefined>;

const kept = defineState(() => ({ placements: new Map<number, Placement | undefined>(), standing: 0 }));

const NONE: Placements = new Map();

/** Every mutator of a region calls this before its first write. */
export function keepPlacement(world: World, region: number): void {
  if (!mayRefuse(world)) return;
  const { placements, standing } = kept(world);
  if (standing > 0) placements.set(region, undefined);
  else if (!placements.has(region)) placements.set(region, placementOf(world, region));
}

/** What `body` changes stands, whoever refuses what comes of it: removals, and changes that others know of already. */
export function standing<T>(world: World, body: () => T): T {
  const state = kept(world);
  state.standing++;
  try {
    return body();
  } finally {
    state.standing--;
  }
}

/** Hands over what was kept since the last call. */
export function takePlacements(world: World): Placements {
  const state = kept(world);
  if (state.placements.size === 0) return NONE;
  const { placements } = state;
  state.placements = new Map();
  return placements;
}

/** Changes that no address space shows cannot be refused. */
export function forgetPlacements(world: World): void {
  const { placements } = kept(world);
  if (placements.size > 0) placements.clear();
}

/** Whether anything of it can be put back. */
export function canRestore(placements: Placements): boolean {
  for (const was of placements.values()) if (was !== undefined) return true;
  return false;
}

/** Puts regions back. What is dying by now is left alone, and nothing is put back into what is dying. */
export function restore(world: World, placements: Placements): void {
  const changed = [...placements].filter(([region]) => owners(world).life[region] !== Life.DYING);
  for (const [region, was] of changed) if (was !== undefined) detach(world, region, was);
  for (const [region, was] of changed) if (was !== undefined) attach(world, region, was);
}

function placementOf(world: World, region: number): Placement {
  const { container, address, priority, order } = containers(world);
  const { flags, size, window } = regions(world);
  return {
    container: container[region]!,
    address: address[region]!,
    priority: priority[region]!,
    order: order[region]!,
    flags: flags[region]!,
    size: size[region]!,
    aliasOffset: window[region]?.offset,
  };
}

function detach(world: World, region: number, was: Placement): void {
  const now = placementOf(world, region);
  markRegion(world, region);
  const isInPlace = now.container === was.container && Object.is(now.address, was.address) && now.order === was.order;
  if (now.container !== 0 && !isInPlace) unlinkContained(world, region);
  writeFlags(world, region, was.flags);
  writeSize(world, region, was.size);
  if (was.aliasOffset !== undefined) writeAliasOffset(world, region, was.aliasOffset);
}

function attach(world: World, region: number, was: Placement): void {
  const columns = containers(world);
  if (was.container === 0) {
    writeAddress(world, region, was.address);
    writePriority(world, region, was.priority);
  } else if (columns.container[region] === 0 && owners(world).life[was.container] !== Life.DYING) {
    place(world, was.container, region, was);
  }
  markRegion(world, region);
}
