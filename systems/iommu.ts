/** IOMMU: regions that translate, and those who mirror the translations (1.17). Accesses go through `translate.ts`. */
import { TOP } from "../ecs/address.ts";
import { nameOf, resolve } from "../ecs/handle.ts";
import type { Holding } from "../ecs/holding.ts";
import { bindIommu, type Iommu, type IommuOps, minPageSize, Permission, type Translation } from "../ecs/iommu.ts";
import { type IommuEvent, type IommuNotifier, NotifierEvent } from "../ecs/iommu_notifier.ts";
import type { Pin } from "../ecs/ref_count.ts";
import { aliasTarget, Flag, type Region, RegionKind, regions } from "../ecs/region.ts";
import type { World } from "../ecs/world.ts";
import { closeHolding, openHolding, resolveHolder } from "./holding.ts";
import { readScope } from "./scope.ts";
import { createRegion, type RegionOptions } from "./create_region.ts";

/** A notifier or a notification that makes no sense, or that the model refuses. Nothing has changed. */
export class IommuError extends Error {
  override readonly name = "IommuError";
}

/** Pages that replay asks for one by one; a model with more has a `replay` of its own. */
const REPLAY_PAGES_MAX = 2 ** 20;

/** A region whose accesses go on where `ops.translate` says. */
export function createIommu<S>(
  world: World,
  options: RegionOptions & { readonly ops: IommuOps<S>; readonly state: S },
): Region {
  const iommu = bindIommu(options.ops, options.state);
  return createRegion(world, options, Flag.TERMINATES | Flag.IOMMU, { iommu });
}

/** A registered notifier. */
export class RegisteredNotifier implements Holding, IommuNotifier {
  pin: Pin | undefined;
  isOpen = true;
  readonly name: string;
  readonly events: number;
  readonly start: number;
  readonly end: number;
  readonly index: number;
  readonly notify: (event: IommuEvent) => void;

  constructor(
    readonly holder: number,
    /** Entity id of the IOMMU region. */
    readonly region: number,
    readonly iommu: Iommu,
    options: NotifierOptions,
  ) {
    ({ name: this.name, events: this.events, notify: this.notify } = options);
    ({ start: this.start = 0, end: this.end = TOP, index: this.index = 0 } = options);
  }

  describe(world: World): string {
    return `notifier "${this.name}" of IOMMU "${nameOf(world, this.region)}"`;
  }

  ended(world: World): void {
    const { iommu } = this;
    const before = eventsOf(iommu.notifiers);
    iommu.notifiers = iommu.notifiers.filter((other) => other !== this);
    const after = eventsOf(iommu.notifiers);
    if (before === after) return;
    try {
      iommu.ops.notifiersChanged?.(iommu.state, before, after);
    } catch (cause) {
      world.reportFault(new IommuError(`${this.describe(world)} ended, which the model refuses`, { cause }));
    }
  }
}

export interface NotifierOptions {
  readonly name: string;
  /** Bit set of `NotifierEvent`. */
  readonly events: number;
  /** Bytes of the region, as `[start, end)`; default: all. */
  readonly start?: number;
  readonly end?: number;
  /** Of the translation context; default 0. */
  readonly index?: number;
  /** With whom the notifier ends. */
  readonly holder?: number;
  notify(event: IommuEvent): void;
}

/**
 * Tells `notify` of changes from now on; {@linkcode replayIommu} tells what there is. It pins the region. On an alias it
 * goes to the target.
 *
 * @throws {IommuError} if the region does not translate, the options make no sense, or the model refuses.
 */
export function addIommuNotifier(world: World, region: Region, options: NotifierOptions): RegisteredNotifier {
  const { id, iommu } = iommuOf(world, region);
  const by = resolveHolder(world, options.holder);
  const notifier = new RegisteredNotifier(by, id, iommu, options);
  const { indexes = 1 } = iommu.ops;
  if (!(notifier.start < notifier.end) || (notifier.events & 7) === 0 || !(notifier.index < indexes)) {
    throw new IommuError(`${notifier.describe(world)} would hear nothing`);
  }
  const before = eventsOf(iommu.notifiers);
  const after = before | notifier.events;
  if (before !== after) {
    try {
      iommu.ops.notifiersChanged?.(iommu.state, before, after);
    } catch (cause) {
      const reason = cause instanceof Error ? cause.message : String(cause);
      throw new IommuError(`${notifier.describe(world)} is refused: ${reason}`, { cause });
    }
  }
  openHolding(world, notifier, "listener", id);
  iommu.notifiers = [...iommu.notifiers, notifier];
  return notifier;
}

/** @throws {ClosedError} if it was removed before, or ended with its holder. */
export function removeIommuNotifier(world: World, notifier: RegisteredNotifier): void {
  closeHolding(world, notifier);
}

/**
 * Tells the notifiers of a context about a change. A DEVICE_UNMAP is cropped to what each notifier follows; any other
 * must be inside of it.
 *
 * @throws {IommuError} if it is partly outside. Nobody was told.
 */
export function notifyIommu(world: World, region: Region, event: IommuEvent, index = 0): void {
  const { iommu } = iommuOf(world, region);
  const concerned = iommu.notifiers.filter((notifier) =>
    notifier.index === index && (notifier.events & event.event) !== 0 && notifier.start < event.end &&
    event.start < notifier.end
  );
  for (const { name, start, end } of concerned) {
    if (event.event === NotifierEvent.DEVICE_UNMAP || (event.start >= start && event.end <= end)) continue;
    throw new IommuError(`a change from ${event.start} to ${event.end} is partly outside of what "${name}" follows`);
  }
  for (const notifier of concerned) {
    const start = Math.max(event.start, notifier.start);
    const end = Math.min(event.end, notifier.end);
    if (iommu.notifiers.includes(notifier)) tell(world, notifier, { ...event, start, end });
  }
}

/**
 * Tells one notifier all that is mapped in its context now.
 *
 * @throws {IommuError} if the model has no replay of its own and there are more than 2^20 of its smallest pages.
 */
export function replayIommu(world: World, notifier: RegisteredNotifier): void {
  const { iommu, region, start, end, index } = notifier;
  const { ops, state } = iommu;
  const limit = Math.min(end, regions(world).size[region]!);
  const report = (address: number, translation: Translation) => {
    const from = Math.max(start, address);
    const to = Math.min(limit, address + translation.pageSize);
    if (from < to) tell(world, notifier, { event: NotifierEvent.MAP, start: from, end: to, translation });
  };
  readScope(world, "replay", () => {
    if (ops.replay !== undefined) return ops.replay(state, index, report);
    const page = minPageSize(iommu);
    if ((limit - start) / page > REPLAY_PAGES_MAX) {
      throw new IommuError(`IOMMU "${nameOf(world, region)}" is too large to be replayed page by page`);
    }
    for (let at = Math.floor(start / page) * page; at < limit;) {
      const translation = ops.translate(state, Math.floor(at / 0x100000000) | 0, at | 0, Permission.NONE, index);
      if (translation === undefined || translation.permission === Permission.NONE) {
        at += page;
        continue;
      }
      const base = Math.floor(at / translation.pageSize) * translation.pageSize;
      report(base, translation);
      at = Math.max(at + page, base + translation.pageSize);
    }
  });
}

/** A notifier that throws is reported, and does not keep the others waiting. */
function tell(world: World, notifier: IommuNotifier, event: IommuEvent): void {
  try {
    notifier.notify(event);
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    world.reportFault(new IommuError(`IOMMU notifier "${notifier.name}" threw: ${reason}`, { cause }));
  }
}

function eventsOf(notifiers: readonly IommuNotifier[]): number {
  return notifiers.reduce((all, { events }) => all | events, 0);
}

/** The IOMMU of a region, or of what an alias shows. */
function iommuOf(world: World, region: Region): { id: number; iommu: Iommu } {
  let id = resolve(world, region, RegionKind);
  for (let target = id; target !== 0; target = aliasTarget(world, id)) id = target;
  const found = regions(world).iommu[id];
  if (found === undefined) throw new IommuError(`"${nameOf(world, id)}" does not translate`);
  return { id, iommu: found };
}
