/**
 * View sharing: address spaces with the same physical root share one view (1.6), so that what many look at is rendered
 * once. The root is looked through only where that hides nothing: never a readonly or other inherited attribute (unless
 * the policy `rootKeepsAttributes` is off), and never an address of its own (the strict side of Q1 and Q2).
 */
import { allSpaces, type Space, takeWindows, writePhysicalRoot } from "../ecs/address_space.ts";
import { TOP } from "../ecs/address.ts";
import { containers } from "../ecs/container.ts";
import { EMPTY_VIEW, type FlatView, type Range } from "../ecs/flat_view.ts";
import { Flag, INHERITED, regions } from "../ecs/region.ts";
import type { World } from "../ecs/world.ts";
import { hasDirtySpaces, mergeWindows, takeDirtySpaces } from "./dirty_windows.ts";
import { compareViews, updateView } from "./update_view.ts";

/** What one commit changes in one address space. */
export interface ViewChange {
  readonly space: Space;
  readonly before: FlatView;
  readonly view: FlatView;
  readonly removed: readonly Range[];
  readonly added: readonly Range[];
}

const NOTHING: readonly ViewChange[] = [];

/** Renders what was marked since the last call. Nothing is published yet. */
export function renderChanges(world: World): readonly ViewChange[] {
  if (!hasDirtySpaces(world)) return NOTHING;
  const spaces = takeDirtySpaces(world);
  return spaces.length === 1 ? [renderOne(world, spaces[0]!)] : renderShared(world, spaces);
}

/** Nobody else's view changes: the usual case, which pays for no bookkeeping. */
function renderOne(world: World, space: Space): ViewChange {
  const before = space.view;
  const windows = takeWindows(space);
  const root = physicalRoot(world, space.root);
  if (root !== 0 && root === space.physicalRoot) {
    const { view, removed, added } = updateView(world, root, before, mergeWindows(windows));
    return { space, before, view, removed, added };
  }
  const { view, removed, added } = compareViews(before, viewOf(world, root));
  writePhysicalRoot(space, root);
  return { space, before, view, removed, added };
}

/** Spaces with one physical root are rendered once. */
function renderShared(world: World, spaces: readonly Space[]): ViewChange[] {
  const dirty = spaces.map((space) => ({
    space,
    before: space.view,
    windows: takeWindows(space),
    root: physicalRoot(world, space.root),
  }));
  const updated = new Map<number, ReturnType<typeof updateView>>();
  for (const { space, windows, root } of dirty) {
    if (root === 0 || root !== space.physicalRoot || updated.has(root)) continue;
    updated.set(root, updateView(world, root, space.view, mergeWindows(windows)));
  }
  return dirty.map(({ space, before, root }) => {
    const update = updated.get(root);
    if (update !== undefined && root === space.physicalRoot) return { space, before, ...update };
    const view = update?.view ?? viewOf(world, root);
    if (root !== 0 && update === undefined) updated.set(root, { view, removed: [], added: [] });
    writePhysicalRoot(space, root);
    return { space, before, ...compareViews(before, view) };
  });
}

/** The view of a root that no dirty space had: another space's, or a new one. */
function viewOf(world: World, root: number): FlatView {
  if (root === 0) return EMPTY_VIEW;
  const other = allSpaces(world).find((space) => space.physicalRoot === root);
  return other?.view ?? updateView(world, root, EMPTY_VIEW, [0, TOP]).view;
}

/** The region that decides what a root shows; 0: nothing does. */
export function physicalRoot(world: World, root: number): number {
  const { flags, size, window } = regions(world);
  let at = root;
  while (true) {
    if ((flags[at]! & Flag.ENABLED) === 0) return 0;
    if ((flags[at]! & INHERITED) !== 0 && world.policy.rootKeepsAttributes) return at;
    let next = 0;
    if ((flags[at]! & Flag.ALIAS) !== 0) {
      const { target, offset } = window[at]!; // it is an alias
      if (target === 0) return 0;
      next = offset === 0 ? target : 0;
    } else if ((flags[at]! & Flag.TERMINATES) === 0) {
      next = onlyEnabledChild(world, at);
      if (next === 0) return 0;
      if (next < 0 || containers(world).address[next] !== 0) return at;
    }
    if (next === 0 || size[next]! > size[at]!) return at;
    at = next;
  }
}

/** 0: there is none; -1: there are several. */
function onlyEnabledChild(world: World, container: number): number {
  const { flags } = regions(world);
  const { firstChild, next } = containers(world);
  let only = 0;
  for (let child = firstChild[container]!; child !== 0; child = next[child]!) {
    if ((flags[child]! & Flag.ENABLED) === 0) continue;
    if (only !== 0) return -1;
    only = child;
  }
  return only;
}
