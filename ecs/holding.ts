/**
 * Holding: something that is open between two calls of the API, such as a mapping or a notifier. It pins what it gives
 * access to, says so, and ends with its holder at the latest.
 */
import type { Pin } from "./ref_count.ts";
import { defineColumns, type World } from "./world.ts";

export interface Holding {
  /** Entity id of who holds it; 0: nobody that the world knows. */
  readonly holder: number;
  /** What it counts on its target; undefined: nothing, since there is no target or a static one. */
  pin: Pin | undefined;
  isOpen: boolean;
  /** For messages: `a mapping of 16 bytes at 0x1000 of "memory"`. */
  describe(world: World): string;
  /** Called once, when it is open no more. */
  ended(world: World): void;
}

const holdings = defineColumns(() => ({
  open: new Set<Holding>(),
  byHolder: [] as (Set<Holding> | undefined)[],
}));

export function linkHolding(world: World, holding: Holding): void {
  const { open, byHolder } = holdings(world);
  open.add(holding);
  if (holding.holder !== 0) (byHolder[holding.holder] ??= new Set()).add(holding);
}

/** Takes a holding out of all lists; false if it is not open in this world. */
export function unlinkHolding(world: World, holding: Holding): boolean {
  const { open, byHolder } = holdings(world);
  if (!open.delete(holding)) return false;
  byHolder[holding.holder]?.delete(holding);
  holding.isOpen = false;
  return true;
}

/** In the order of opening. */
export function openHoldings(world: World): ReadonlySet<Holding> {
  return holdings(world).open;
}

/** What an entity holds, in the order of opening. */
export function holdingsOf(world: World, holder: number): Holding[] {
  return [...holdings(world).byHolder[holder] ?? []];
}
