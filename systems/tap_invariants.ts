/** Invariants of taps: io events are listed where they are shown, known at both ends, and nothing collected is orphaned. */
import { allSpaces, type Space } from "../ecs/address_space.ts";
import { coalescedRing } from "../ecs/coalesced_ring.ts";
import { entitiesOf, nameOf } from "../ecs/handle.ts";
import { type IoEvent, NotifierKind, notifierRecord } from "../ecs/io_event.ts";
import { listenersOf } from "../ecs/listener.ts";
import { Life, owners } from "../ecs/owner.ts";
import { bindMmio, RegionKind, regions } from "../ecs/region.ts";
import type { World } from "../ecs/world.ts";
import { hasIoEventChanges } from "./io_event_lists.ts";
import { renderFully } from "./render.ts";

type Report = (invariant: string, finding: string) => void;

/** INV6 as far as the core itself keeps what listeners were told, outside of any transaction. */
export function checkTaps(world: World, report: Report): void {
  const { mmio, tap: taps } = regions(world);
  const { life } = owners(world);
  for (const region of entitiesOf(world, RegionKind)) {
    const handlers = mmio[region];
    if (handlers === undefined) continue;
    const { ops, state, direct } = handlers;
    const tap = taps[region];
    const name = `"${nameOf(world, region)}"`;
    if ((tap ?? handlers).direct !== bindMmio(ops, state).direct) report("INV6", `${name} lost its short way`);
    if (tap === undefined) continue;
    if (direct !== 0) report("INV6", `accesses to ${name} pass its tap by`);
    const isIdle = tap.ioEvents.length === 0 && tap.coalesced.length === 0 && !tap.drains;
    if (isIdle) report("INV6", `${name} has a tap that does nothing`);
    if (tap.coalesced.length > 0 && !tap.drains) report("INV6", `${name} is coalesced, but does not drain`);
    if (life[region] === Life.DYING) continue;
    for (const event of tap.ioEvents) {
      if (!event.notifier.events.includes(event)) report("INV6", `a notifier does not know an io event of ${name}`);
    }
  }
  if (hasIoEventChanges(world)) return report("INV7", "io events wait for a commit outside of any transaction");
  for (const id of entitiesOf(world, NotifierKind)) {
    for (const event of notifierRecord(world, id)?.events ?? []) {
      const isThere = taps[event.region]?.ioEvents.includes(event) ?? false;
      if (!isThere) report("INV6", `"${nameOf(world, id)}" knows an io event that no region has`);
    }
  }
  for (const { region } of coalescedRing(world).writes) {
    if (mmio[region] === undefined) report("INV4", "a region with collected writes is gone");
  }
  if (world.policy.ioEventReplay) { for (const space of allSpaces(world)) checkList(world, space, report); }
}

/** The list of a space against each io event of what it shows, in bigint. */
function checkList(world: World, space: Space, report: Report): void {
  const isFollowed = listenersOf(world, space.id).some(({ callbacks }) =>
    callbacks.ioEventAdd !== undefined || callbacks.ioEventDel !== undefined
  );
  if (!isFollowed) return;
  const expected: string[] = [];
  for (const { region, base, start, end } of renderFully(world, space.root)) {
    for (const event of regions(world).tap[region]?.ioEvents ?? []) {
      const address = base + BigInt(event.offset);
      const last = address + BigInt(Math.max(event.size, 1)) - 1n;
      if (address < end && last >= start) expected.push(textOf(Number(address), event));
    }
  }
  const shown = (space.ioEvents ?? []).map(({ address, event }) => textOf(address, event));
  const wanted = world.policy.ioEventPerRange ? expected : [...new Set(expected)];
  if (shown.sort().join() !== wanted.sort().join()) {
    report("INV6", `the io events of "${nameOf(world, space.id)}" are not those that it shows`);
  }
}

function textOf(address: number, { size, matches, low, high, notifier }: IoEvent): string {
  return `${address} ${size} ${matches ? `${high} ${low}` : "any"} ${notifier.handle}`;
}
