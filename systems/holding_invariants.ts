/** Invariants of holdings: what is open is held by the living, counted where it pins, and within its budget. */
import { allSpaces } from "../ecs/address_space.ts";
import { rangesOf } from "../ecs/flat_view.ts";
import { kindOf, nameOf } from "../ecs/handle.ts";
import { openHoldings } from "../ecs/holding.ts";
import { Life, owners } from "../ecs/owner.ts";
import { countOf, refCounts } from "../ecs/ref_count.ts";
import { viewPinOf, viewPins } from "../ecs/view_pin.ts";
import type { World } from "../ecs/world.ts";
import { TranslationCache } from "./cache.ts";
import { isStatic } from "./finalize.ts";
import { Mapping } from "./map.ts";

type Report = (invariant: string, finding: string) => void;

export function checkHoldings(world: World, report: Report): void {
  const { pins } = refCounts(world);
  const { life } = owners(world);
  const counted = new Map<string, number>();
  for (const holding of openHoldings(world)) {
    const { holder, pin } = holding;
    const what = holding.describe(world);
    if (!holding.isOpen) report("INV10", `${what} is listed as open, but closed`);
    if (holder !== 0 && (kindOf(world, holder) === undefined || life[holder] === Life.DYING)) {
      report("INV10", `the holder of ${what} is gone`);
    }
    if (pin === undefined) continue;
    if (holder !== 0 && !pins[holder]?.includes(pin)) {
      report("INV10", `"${nameOf(world, holder)}" lacks the pin of ${what}`);
    }
    if (kindOf(world, pin.target) === undefined || life[pin.target] === Life.DYING) {
      report("INV4", `what ${what} pins is gone`);
    }
    const key = `${pin.target} ${pin.kind}`;
    counted.set(key, (counted.get(key) ?? 0) + 1);
    if (counted.get(key)! > countOf(world, pin.target, pin.kind)) report("INV10", `${what} is not counted`);
  }
  checkBudgets(world, report);
  checkViewPins(world, report);
}

/** LC26: a kept view is kept by caches, and all that it shows exists and is counted. */
function checkViewPins(world: World, report: Report): void {
  const caches = [...openHoldings(world)].filter((holding) => holding instanceof TranslationCache);
  const { life } = owners(world);
  for (const { view, count, regions } of viewPins(world)) {
    const keepers = caches.filter((cache) => cache.view === view).length;
    if (keepers !== count) report("INV10", `a view is kept by ${keepers} caches, but counts ${count}`);
    for (const region of regions) {
      if (kindOf(world, region) === undefined || life[region] === Life.DYING) {
        report("INV4", "a region in a view that a cache keeps is gone");
      } else if (countOf(world, region, "cache") === 0) {
        report("INV10", `"${nameOf(world, region)}" does not count the view that a cache keeps`);
      }
    }
    const shown = [...rangesOf(view)].filter(({ region }) => !isStatic(world, region));
    if (shown.some(({ region }) => !regions.has(region))) report("INV10", "a view shows what is not counted for it");
  }
  if (caches.some(({ view }) => viewPinOf(world, view) === undefined)) report("INV10", "a cache's view is not kept");
}

/** INV12: what bounce buffers take is what the budget says, and no more than it allows. */
function checkBudgets(world: World, report: Report): void {
  const used = new Map<unknown, number>();
  for (const holding of openHoldings(world)) {
    if (!(holding instanceof Mapping) || holding.isDirect) continue;
    used.set(holding.space, (used.get(holding.space) ?? 0) + holding.bytes.length);
  }
  for (const space of allSpaces(world)) {
    const { bounce, name } = space;
    const sum = used.get(space) ?? 0;
    if (bounce.used !== sum) report("INV12", `"${name}" counts ${bounce.used} bytes of bounce buffers, not ${sum}`);
    if (bounce.used > bounce.limit) report("INV12", `"${name}" has more bounce buffers than ${bounce.limit} bytes`);
  }
}
