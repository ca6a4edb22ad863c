/** Invariants of dirty logs, and of what listeners were told (INV6). */
import { allSpaces, spaceRecord } from "../ecs/address_space.ts";
import { DIRTY_CLIENTS, DirtyClient, isTracking } from "../ecs/dirty_bitmap.ts";
import { rangesOf } from "../ecs/flat_view.ts";
import { entitiesOf, handleOf, nameOf } from "../ecs/handle.ts";
import { allListeners, type ListenerRecord } from "../ecs/listener.ts";
import type { RamBlock } from "../ecs/ram_block.ts";
import { Flag, RegionKind, regions } from "../ecs/region.ts";
import type { World } from "../ecs/world.ts";
import { isMaskPending, toldMask } from "./log_masks.ts";
import { isAnnouncing } from "./notify.ts";

type Report = (invariant: string, finding: string) => void;

/** Masks say who logs, and stores reach the bitmaps of all who do. */
export function checkDirtyLogs(world: World, report: Report): void {
  for (const region of entitiesOf(world, RegionKind)) {
    const block = regions(world).ram[region];
    if (block === undefined) continue;
    const name = `"${nameOf(world, region)}"`;
    const { mask, told, counts, bits, active, pages } = block.dirty;
    const mustLog = expectedMask(world, block);
    if (mask !== mustLog) report("G2", `${name} is logged for ${mask}, not for ${mustLog}`);
    if (Math.min(...counts) < 0) report("Q16", `${name} is logged a negative number of times`);
    if (told !== mask && !isMaskPending(world, region)) report("INV6", `the mask of ${name} was not told`);
    const due = DIRTY_CLIENTS.flatMap((client) => (mask & (1 << client)) !== 0 ? bits[client] ?? [] : []);
    if (due.length !== active.length || due.some((bitmap, at) => bitmap !== active[at])) {
      report("G2", `stores to ${name} reach other bitmaps than those that log`);
    }
    if (block.dirty.single !== undefined && (active.length > 1 || block.dirty.single !== active[0])) {
      report("G2", `stores to ${name} do not reach the one bitmap that logs`);
    }
    const isHeard = active.length > 0 || block.watcher !== undefined;
    if (isHeard !== (block.observer !== undefined)) report("G2", `stores to ${name} are ${isHeard ? "not " : ""}noted`);
    for (const bitmap of bits) {
      if (bitmap !== undefined && bitmap.length !== Math.ceil(pages / 32)) {
        report("G1", `a bitmap of ${name} is not of its size`);
      }
    }
  }
}

function expectedMask(world: World, { dirty, isMigratable }: RamBlock): number {
  const { VGA, CODE, MIGRATION } = DirtyClient;
  return (dirty.counts[VGA] > 0 ? 1 << VGA : 0) | (dirty.counts[CODE] > 0 ? 1 << CODE : 0) |
    (isMigratable && isTracking(world) ? 1 << MIGRATION : 0);
}

/** INV6, in a debug world: what each listener was told adds up to what its space shows, and to who logs it. */
export function checkListeners(world: World, report: Report): void {
  if (isAnnouncing(world)) return;
  const shown = new Map(allSpaces(world).map((space) => [space.id, describeSpace(world, space.id)]));
  for (const listener of allListeners(world)) {
    if (listener.told === undefined) continue;
    const told = describeTold(listener);
    const view = shown.get(listener.space) ?? [];
    const name = `listener "${nameOf(world, listener.id)}"`;
    const wrong = told.find((line, at) => line !== view[at]) ?? view[told.length];
    if (wrong !== undefined) report("INV6", `${name} was told other than what there is: ${wrong}`);
  }
}

function describeSpace(world: World, id: number): string[] {
  const space = spaceRecord(world, id);
  if (space === undefined) return [];
  return [...rangesOf(space.view)].map(({ start, end, base, region, flags }) => {
    const mask = toldMask(world, region);
    const { READONLY, NONVOLATILE, UNMERGEABLE, ROMD } = Flag;
    const bits = [READONLY, NONVOLATILE, UNMERGEABLE, ROMD].map((flag) => (flags & flag) !== 0);
    return [start, end - start, start - base, handleOf(world, region), mask, ...bits].join(" ");
  });
}

function describeTold({ told }: ListenerRecord): string[] {
  const entries = [...told?.values() ?? []].sort((a, b) => a.section.address - b.section.address);
  return entries.map(({ section, mask }) => {
    const { address, size, offset, region, readonly, nonvolatile, unmergeable, romd } = section;
    return [address, size, offset, region, mask, readonly, nonvolatile, unmergeable, romd].join(" ");
  });
}
