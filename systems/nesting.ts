/**
 * Nesting: how deep containers and aliases may show one another. Rendering, marking and telling what is there go down or
 * up level by level on the stack of the host, so there is a bound, and it is checked before anything is written.
 */
import { containers } from "../ecs/container.ts";
import { entitiesOf, nameOf } from "../ecs/handle.ts";
import { levelsBelow, writeLevels } from "../ecs/nesting.ts";
import { aliasTarget, RegionKind, regions } from "../ecs/region.ts";
import type { World } from "../ecs/world.ts";
import { TopologyError } from "./admission.ts";

/** Levels that may be below a region. Real machines have a dozen. */
export const NESTING_MAX = 250;

/** @throws {TopologyError} if `above` would show `below` and something would have more levels below it than there may be. */
export function admitNesting(world: World, above: number, below: number): void {
  const isShallow = () => growth(world, above, levelsBelow(world, below) + 1) !== undefined;
  if (!holdsWhenMeasured(world, isShallow)) throw tooDeep(nameOf(world, above), nameOf(world, below));
}

/** @throws {TopologyError} as {@linkcode admitNesting}, for a new alias of `target`. */
export function admitWindow(world: World, alias: string, target: number): void {
  const isShallow = () => levelsBelow(world, target) < NESTING_MAX;
  if (!holdsWhenMeasured(world, isShallow)) throw tooDeep(alias, nameOf(world, target));
}

/** Bounds that forbid something are brought down before they do. */
function holdsWhenMeasured(world: World, holds: () => boolean): boolean {
  if (holds()) return true;
  measureLevels(world);
  return holds();
}

function tooDeep(above: string, below: string): TopologyError {
  return new TopologyError(
    `"${above}" cannot show "${below}": regions would be nested more than ${NESTING_MAX} levels deep`,
  );
}

/** `above` shows `below` from now on. */
export function noteNesting(world: World, above: number, below: number): void {
  const levels = levelsBelow(world, below) + 1;
  if (levels <= levelsBelow(world, above)) return;
  const grown = growth(world, above, levels) ?? [[above, NESTING_MAX]];
  for (const [region, levels] of grown) writeLevels(world, region, levels);
}

const NOTHING: ReadonlyMap<number, number> = new Map();

/** Who has more levels below if `start` has so many; undefined if one would have too many. */
function growth(world: World, start: number, levels: number): Iterable<readonly [number, number]> | undefined {
  if (levels <= levelsBelow(world, start)) return NOTHING;
  if (levels > NESTING_MAX) return undefined;
  const grown = new Map([[start, levels]]);
  const open = [start];
  for (let id = open.pop(); id !== undefined; id = open.pop()) {
    const reached = grown.get(id)! + 1; // whoever is open has grown
    for (const above of showing(world, id)) {
      if (reached <= (grown.get(above) ?? levelsBelow(world, above))) continue;
      if (reached > NESTING_MAX) return undefined;
      grown.set(above, reached);
      open.push(above);
    }
  }
  return grown;
}

/** The container and the aliases that show a region. */
function showing(world: World, id: number): number[] {
  const { window, firstAlias } = regions(world);
  const found: number[] = [];
  const above = containers(world).container[id]!;
  if (above !== 0) found.push(above);
  for (let alias = firstAlias[id]!; alias !== 0; alias = window[alias]!.next) found.push(alias);
  return found;
}

/** Regions whose bound is below what is: nesting would not be refused in time. */
export function understated(world: World): number[] {
  return entitiesOf(world, RegionKind).filter((id) =>
    levelsBelow(world, id) < NESTING_MAX &&
    showing(world, id).some((above) => levelsBelow(world, above) <= levelsBelow(world, id))
  );
}

/** Brings all bounds down to what is: from the regions that show nothing but themselves upwards. */
function measureLevels(world: World): void {
  const { firstChild, next } = containers(world);
  const all = entitiesOf(world, RegionKind);
  const waiting = new Map<number, number>();
  for (const id of all) {
    writeLevels(world, id, 0);
    let below = aliasTarget(world, id) === 0 ? 0 : 1;
    for (let child = firstChild[id]!; child !== 0; child = next[child]!) below++;
    waiting.set(id, below);
  }
  const ready = all.filter((id) => waiting.get(id) === 0);
  for (let id = ready.pop(); id !== undefined; id = ready.pop()) {
    const reached = levelsBelow(world, id) + 1;
    for (const above of showing(world, id)) {
      if (reached > levelsBelow(world, above)) writeLevels(world, above, Math.min(reached, NESTING_MAX));
      const left = waiting.get(above)! - 1; // all regions wait for what they show
      waiting.set(above, left);
      if (left === 0) ready.push(above);
    }
  }
}
