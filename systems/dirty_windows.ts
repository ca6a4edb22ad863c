/**
 * Dirty windows: which part of which address space a change can show in. A change marks a window of its region; the
 * window goes up through containers, and through the reverse index to the aliases that look at it, to every root. What
 * a disabled region hides is not marked: enabling it will mark all of it.
 */
import { addWindow, type Space, spaceRecord } from "../ecs/address_space.ts";
import { sumAbove, sumBelow } from "../ecs/address.ts";
import { containers } from "../ecs/container.ts";
import { creationOf } from "../ecs/handle.ts";
import { Flag, regions } from "../ecs/region.ts";
import { defineState, type World } from "../ecs/world.ts";

const dirty = defineState(() => ({
  /** Those that have windows, in the order of marking; a space that was destroyed since may be among them. */
  spaces: [] as Space[],
  /** Something changed, whether a space shows it or not; kept only where listeners want to know (S106 [C]). */
  isTouched: false,
}));

/** Marks all of a region, where it is visible now. */
export function markRegion(world: World, region: number): void {
  const { flags, size } = regions(world);
  if (world.policy.notifyAllListeners && (flags[region]! & Flag.ENABLED) !== 0) dirty(world).isTouched = true;
  markWindow(world, region, 0, size[region]!);
}

/** Marks `[start, end)`, in bytes from the region's start. */
export function markWindow(world: World, region: number, start: number, end: number): void {
  const columns = regions(world);
  if ((columns.flags[region]! & Flag.ENABLED) === 0) return;
  const from = Math.max(start, 0);
  const to = Math.min(end, columns.size[region]!);
  if (!(from < to)) return;
  const roots = columns.spaces[region];
  if (roots !== undefined) { for (const id of roots) markSpace(world, spaceRecord(world, id), from, to); }
  const { container, address } = containers(world);
  const above = container[region]!;
  if (above !== 0) {
    const at = address[region]!;
    markWindow(world, above, sumBelow(from, at), sumAbove(to, at));
  }
  for (let alias = columns.firstAlias[region]!; alias !== 0; alias = columns.window[alias]!.next) {
    const { offset } = columns.window[alias]!; // it is an alias
    markWindow(world, alias, sumBelow(from, -offset), sumAbove(to, -offset));
  }
}

/** Marks `[from, to)`, in bytes from the start of an address space. */
export function markSpace(world: World, space: Space | undefined, from: number, to: number): void {
  if (space === undefined) return;
  if (space.windows.length === 0) dirty(world).spaces.push(space);
  addWindow(space, from, to);
}

export function hasDirtySpaces(world: World): boolean {
  const { spaces, isTouched } = dirty(world);
  return spaces.length > 0 || isTouched;
}

/** The spaces marked since the last call, in creation order. */
export function takeDirtySpaces(world: World): Space[] {
  const state = dirty(world);
  const { spaces } = state;
  state.isTouched = false;
  if (spaces.length === 0) return spaces;
  state.spaces = [];
  const taken = spaces.length === 1 && spaces[0]!.root !== 0 ? spaces : spaces.filter((space) => space.root !== 0);
  return taken.length < 2 ? taken : taken.sort((a, b) => creationOf(world, a.id) - creationOf(world, b.id));
}

/** Sorts windows (start, end, start, end …) and joins those that touch. */
export function mergeWindows(windows: readonly number[]): readonly number[] {
  if (windows.length === 2) return windows;
  const order: number[] = [];
  for (let at = 0; at < windows.length; at += 2) order.push(at);
  order.sort((a, b) => windows[a]! - windows[b]!);
  const merged: number[] = [];
  for (const at of order) {
    const start = windows[at]!;
    const end = windows[at + 1]!;
    const last = merged.length - 1;
    if (last > 0 && start <= merged[last]!) merged[last] = Math.max(merged[last]!, end);
    else merged.push(start, end);
  }
  return merged;
}
