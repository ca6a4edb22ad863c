/**
 * Telling: while listeners are being told one thing, a change that is told at once waits until all have heard. Otherwise
 * some would hear of its end before its beginning.
 */
import { defineState, type World } from "../ecs/world.ts";

/** Callbacks that make such changes for ever. */
export class RunawayTellingError extends Error {
  override readonly name = "RunawayTellingError";
}

/** Changes that may follow from one. */
const CHANGES_MAX = 1000;

const tellings = defineState(() => ({ depth: 0, postponed: [] as (() => void)[] }));

/** Changes wait from now on, until {@linkcode endTelling}. */
export function beginTelling(world: World): void {
  tellings(world).depth++;
}

/** The outermost end lets the changes that waited take place, one after the other. */
export function endTelling(world: World): void {
  const state = tellings(world);
  state.depth--;
  for (let made = 0; state.depth === 0 && state.postponed.length > 0; made++) {
    if (made === CHANGES_MAX) {
      state.postponed = [];
      return world.reportFault(new RunawayTellingError(`callbacks made ${made} changes on end; the rest is dropped`));
    }
    state.depth++;
    state.postponed.shift()?.();
    state.depth--;
  }
}

/** Makes a change that listeners are told at once. */
export function whenTold(world: World, change: () => void): void {
  beginTelling(world);
  tellings(world).postponed.push(change);
  endTelling(world);
}
