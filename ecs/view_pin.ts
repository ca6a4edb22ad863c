/** View pin: flat views that somebody keeps after they were superseded, once each, with the regions that count for them. */
import type { FlatView } from "./flat_view.ts";
import { defineState, type World } from "./world.ts";

export interface ViewPin {
  readonly view: FlatView;
  /** How many caches keep it. */
  count: number;
  /** Entity ids of the regions that it shows and that are counted. */
  readonly regions: ReadonlySet<number>;
}

const pinned = defineState(() => ({ byView: new Map<FlatView, ViewPin>() }));

export function viewPinOf(world: World, view: FlatView): ViewPin | undefined {
  return pinned(world).byView.get(view);
}

export function addViewPin(world: World, view: FlatView, regions: ReadonlySet<number>): void {
  pinned(world).byView.set(view, { view, count: 1, regions });
}

/** One cache more or less; forgotten with the last. */
export function countViewPin(world: World, pin: ViewPin, by: 1 | -1): void {
  pin.count += by;
  if (pin.count === 0) pinned(world).byView.delete(pin.view);
}

export function viewPins(world: World): ViewPin[] {
  return [...pinned(world).byView.values()];
}
