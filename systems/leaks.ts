/** Leaks: what was given up and is still there, with whoever keeps it. After an unplug and a closed scope: nothing. */
import { creationOf, handleOf, nameOf } from "../ecs/handle.ts";
import { Life, owners } from "../ecs/owner.ts";
import type { World } from "../ecs/world.ts";
import { droppedEntities } from "./collect.ts";
import { holdersOf, type Reason, whyAlive } from "./inspect.ts";
import { retiredQueue } from "./retire.ts";

/** One entity that outlives its creation reference. */
export interface Leak {
  /** Handle and name. */
  readonly entity: number;
  readonly name: string;
  /** `pinned`: somebody counts on it. `retired`: nobody does, and readers have not passed yet. */
  readonly state: "pinned" | "retired";
  /** All that keeps it directly. */
  readonly holders: readonly Reason[];
  /** From it to something that nothing in the world keeps, by the shortest way. */
  readonly chain: readonly Reason[];
  /** A line for the entity, and one for each holder. */
  readonly text: string;
}

/** Everything that was dropped and has not been finalized, in creation order; what such an entity owns is not listed again. */
export function leaks(world: World): Leak[] {
  const { owner, life } = owners(world);
  const retired = retiredQueue(world).flatMap(({ entities }) => entities)
    .filter((id) => owner[id] === 0 || life[owner[id]!] !== Life.DYING);
  return [...droppedEntities(world), ...retired]
    .sort((a, b) => creationOf(world, a) - creationOf(world, b))
    .map((id) => leak(world, id));
}

function leak(world: World, id: number): Leak {
  const entity = handleOf<number>(world, id);
  const name = nameOf(world, id);
  const state = owners(world).life[id] === Life.DYING ? "retired" : "pinned";
  const holders = holdersOf(world, entity);
  const lines = holders.map((holder) => `  ${holder.sentence}`);
  const text = [`"${name}" was dropped and is ${state}:`, ...lines].join("\n");
  return { entity, name, state, holders, chain: whyAlive(world, entity).chain, text };
}
