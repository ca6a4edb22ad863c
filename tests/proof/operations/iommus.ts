/** IOMMUs: pages that lead into other spaces, and notifiers that mirror them. */
import { assert, assertEquals } from "@std/assert";
import { type IommuOps, Permission, type Translation } from "../../../ecs/iommu.ts";
import { type IommuEvent, NotifierEvent } from "../../../ecs/iommu_notifier.ts";
import { isAlive } from "../../../ecs/handle.ts";
import { addIommuNotifier, notifyIommu, removeIommuNotifier, replayIommu } from "../../../systems/iommu.ts";
import type { Machine, Room } from "../machine.ts";
import type { MirrorModel, OwnerModel, PageModel, RegionModel } from "../model/facts.ts";
import { addressOf, living, pick, pickKind, PINS_MAX, usable } from "../picks.ts";
import { PAGE } from "./places.ts";

const PAGES = 4;
export const IOMMU_BYTES = PAGES * PAGE;

const PERMISSIONS = [Permission.READ_WRITE, Permission.READ, Permission.READ_WRITE, Permission.WRITE, Permission.NONE];
const EVENTS = [
  NotifierEvent.MAP | NotifierEvent.UNMAP,
  NotifierEvent.MAP | NotifierEvent.UNMAP,
  NotifierEvent.UNMAP,
  NotifierEvent.DEVICE_UNMAP,
];

export const room: Room = {
  anywhere: [
    (machine, [, a, b, c]) => mapPage(machine, pickKind(machine, a, "iommu"), b % PAGES, b, c),
    (machine, [, a, b]) => unmapPage(machine, pickKind(machine, a, "iommu"), b % PAGES),
    (machine, [, a, b, c]) => mirror(machine, pickKind(machine, a, "iommu"), b, c),
  ],
  outside: [
    (machine, [, a, b, c]) => mapPage(machine, pickKind(machine, a, "iommu"), b % PAGES, b, c),
    (machine, [, a, b]) => forgetDevice(machine, pickKind(machine, a, "iommu"), b),
  ],
};

/** What the device behind the region does: it looks into the table that the model has. */
export function iommuOps(machine: Machine, region: () => RegionModel | undefined): IommuOps<unknown> {
  return {
    minPageSize: PAGE,
    translate: (_, __, lo) => {
      const page = region()?.pages.get(Math.floor((lo >>> 0) / PAGE));
      return page === undefined ? undefined : translationTo(machine, page);
    },
  };
}

/** A device does not lead to what is gone. */
function translationTo({ world }: Machine, { space, address, permission }: PageModel): Translation | undefined {
  if (!isAlive(world, space.handle)) return undefined;
  return { target: space.handle, hi: 0, lo: address, pageSize: PAGE, permission };
}

function mapPage(machine: Machine, region: RegionModel | undefined, at: number, b: number, c: number): void {
  const space = pick(living(machine), b >> 2);
  if (region === undefined || space === undefined) return;
  const page: PageModel = { space, address: addressOf(c) & ~(PAGE - 1), permission: pick(PERMISSIONS, c) ?? 3 };
  const what = `page ${at} of ${region.name} leads to ${space.name} at ${page.address}, for ${page.permission}`;
  machine.attempt(what, true, () => {
    if (region.pages.has(at)) tell(machine, region, at, NotifierEvent.UNMAP, undefined);
    region.pages.set(at, page);
    if (page.permission === Permission.NONE) return;
    tell(machine, region, at, NotifierEvent.MAP, translationTo(machine, page));
  });
}

function unmapPage(machine: Machine, region: RegionModel | undefined, at: number): void {
  if (region === undefined || !region.pages.has(at)) return;
  machine.attempt(`page ${at} of ${region.name} leads nowhere`, true, () => {
    region.pages.delete(at);
    tell(machine, region, at, NotifierEvent.UNMAP, undefined);
  });
}

/** Whoever follows the page is told once. */
function tell(
  machine: Machine,
  region: RegionModel,
  at: number,
  event: number,
  translation: Translation | undefined,
): void {
  const concerned = [...region.mirrors].filter(({ start, end, events }) =>
    (events & event) !== 0 && start <= at && at < end
  );
  const before = concerned.map(({ heard }) => heard);
  notifyIommu(machine.world, region.handle, { event, start: at * PAGE, end: (at + 1) * PAGE, translation });
  const after = concerned.map(({ heard }) => heard - 1);
  if (machine.callbacks === 0) assertEquals(after, before, `who heard of page ${at}`);
}

/** A device tells those who cache its translations to forget several pages: each hears of those that it follows. */
function forgetDevice(machine: Machine, region: RegionModel | undefined, b: number): void {
  if (region === undefined) return;
  const start = (b % PAGES) * PAGE;
  const end = Math.min(IOMMU_BYTES, start + ((b >> 2) % PAGES + 1) * PAGE);
  const concerned = [...region.mirrors].filter((one) =>
    (one.events & NotifierEvent.DEVICE_UNMAP) !== 0 && one.start * PAGE < end && start < one.end * PAGE
  );
  const before = concerned.map(({ forgotten }) => forgotten);
  machine.attempt(`${region.name} has those forget who cache ${start} to ${end}`, true, () => {
    notifyIommu(machine.world, region.handle, { event: NotifierEvent.DEVICE_UNMAP, start, end });
  });
  const pages = concerned.map((one) => (Math.min(end, one.end * PAGE) - Math.max(start, one.start * PAGE)) / PAGE);
  assertEquals(concerned.map(({ forgotten }) => forgotten), before.map((had, at) => had + (pages[at] ?? 0)));
}

/** Sometimes through an alias, which stands for what it shows. */
function mirror(machine: Machine, region: RegionModel | undefined, b: number, c: number): void {
  if (region === undefined || machine.pins.size > PINS_MAX) return;
  const { world } = machine;
  const holder: OwnerModel | undefined = b % 2 === 0 ? pick(machine.owners, c) : undefined;
  const name = machine.newName("mirror");
  const start = c % PAGES;
  const mirrored: MirrorModel = {
    name,
    events: pick(EVENTS, b >> 1) ?? NotifierEvent.UNMAP,
    start,
    end: Math.min(PAGES, start + 1 + (c >> 2) % PAGES),
    told: new Map(),
    heard: 0,
    forgotten: 0,
    isOver: false,
  };
  const alias = usable(machine).find(({ target }) => target === region);
  const through = machine.callbacks === 0 && b % 3 === 0 && alias !== undefined ? alias : region;
  machine.attempt(`${name} of ${holder?.name} follows ${through.name}, pages ${start} to ${mirrored.end}`, true, () => {
    const notifier = addIommuNotifier(world, through.handle, {
      name,
      events: mirrored.events,
      start: start * PAGE,
      end: mirrored.end * PAGE,
      holder: holder?.handle,
      notify: (event) => hear(mirrored, event),
    });
    region.mirrors.add(mirrored);
    machine.pins.add({
      name,
      targets: [region],
      holder,
      holding: notifier,
      release: () => removeIommuNotifier(world, notifier),
      ended: () => mirrored.isOver = region.mirrors.delete(mirrored),
    });
    replayIommu(world, notifier);
  });
}

function hear(mirrored: MirrorModel, { event, start, end, translation }: IommuEvent): void {
  assert(
    start >= mirrored.start * PAGE && end <= mirrored.end * PAGE,
    `${mirrored.name} hears of what it does not follow`,
  );
  assert(!mirrored.isOver, `${mirrored.name} hears on after its end`);
  const at = start / PAGE;
  if (event === NotifierEvent.DEVICE_UNMAP) mirrored.forgotten += (end - start) / PAGE;
  else mirrored.heard++;
  if (event === NotifierEvent.UNMAP) mirrored.told.delete(at);
  else if (event === NotifierEvent.MAP) mirrored.told.set(at, translation);
}

/** Who follows what comes and goes knows what there is. */
export function compareMirrors(machine: Machine): void {
  for (const { mirrors, pages } of machine.regions) {
    for (const { name, events, start, end, told } of mirrors) {
      if (events !== (NotifierEvent.MAP | NotifierEvent.UNMAP)) continue;
      for (let at = start; at < end; at++) {
        const page = pages.get(at);
        const isThere = page !== undefined && page.permission !== Permission.NONE;
        const heard = told.get(at);
        const same = isThere ? heard?.lo === page.address && heard.target === page.space.handle : heard === undefined;
        if (!same) throw new Error(`${name} knows something else of page ${at}`);
      }
    }
  }
}
