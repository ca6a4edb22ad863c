/** Lives: who is alive, by marking from what nobody dropped and from pins; the rest is buried, until nothing changes. */
import type { Grave, ListenerModel, NotifierModel, OwnerModel, PinModel, RegionModel, SpaceModel } from "./facts.ts";
import { isMemory, isOrAbove } from "./facts.ts";
import type { Model } from "./model.ts";
import { detach } from "./views.ts";

/** Ends what nobody reaches any more; what dead holders held is given up. */
export function settle(model: Model): void {
  while (true) {
    const alive = mark(model);
    const pinned = new Set<unknown>();
    for (const { targets } of model.pins) for (const target of targets) pinned.add(target);
    let released = false;
    for (const pin of model.pins) {
      if (pin.holder !== undefined && !alive.has(pin.holder)) released = endPin(model, pin);
    }
    if (released) continue;
    for (const waiter of model.waiters) if (!alive.has(waiter.owner)) model.waiters.delete(waiter);
    const before = model.graves.length;
    bury(model, alive, pinned);
    if (model.graves.length === before) return; // what died showed nothing that only lived for it
  }
}

/** A pin counts no more, whoever ended it; what follows from that follows last if it is being given up. */
export function endPin(model: Model, pin: PinModel): boolean {
  if (!model.pins.delete(pin)) return false;
  if (!model.closing.has(pin)) pin.ended?.();
  return true;
}

function mark({ owners, pins, regions, spaces }: Model): Set<OwnerModel> {
  const alive = new Set<OwnerModel>();
  const add = (owner: OwnerModel | undefined) => owner !== undefined && alive.add(owner);
  for (const owner of owners) if (owner.above === undefined && !owner.dropped) add(owner);
  for (const { targets } of pins) for (const target of targets) add(anchor(target));
  const edges: [OwnerModel, OwnerModel][] = [];
  for (const { container, owner } of regions) {
    if (container?.owner !== undefined && owner !== undefined) edges.push([container.owner, owner]);
  }
  for (const { owner, root } of spaces) if (root.owner !== undefined) edges.push([owner, root.owner]);
  for (const owner of alive) {
    add(owner.above);
    for (const child of owners) if (child.above === owner && !child.dropped) add(child);
    for (const [holder, target] of edges) if (holder === owner && !isOrAbove(target, holder)) add(target);
  }
  return alive;
}

/** The owner that a pin keeps; undefined: RAM keeps itself only. */
function anchor(target: OwnerModel | RegionModel): OwnerModel | undefined {
  if (!("kind" in target)) return target;
  return isMemory(target) ? undefined : target.owner;
}

type Mortal = OwnerModel | RegionModel | SpaceModel | ListenerModel | NotifierModel;

function bury(model: Model, alive: ReadonlySet<OwnerModel>, pinned: ReadonlySet<unknown>): void {
  const { owners, regions, spaces, listeners, notifiers } = model;
  const isLate = (scope: Grave["scopes"][number]) => model.lateScopes.has(scope);
  const scopes = [...model.scopes].filter((scope) => !isLate(scope));
  const late = [...model.scopes].filter(isLate);
  const toGrave = (of: Mortal) => model.graves.push({ handle: of.handle, name: of.name, scopes, late, of });
  const buryFrom = <T extends Exclude<Mortal, OwnerModel | RegionModel>>(living: Set<T>, last: (dead: T) => void) => {
    for (const one of living) {
      if (!one.dropped && one.owner !== undefined && alive.has(one.owner)) continue;
      living.delete(one);
      toGrave(one);
      last(one);
    }
  };
  buryFrom(listeners, () => {});
  buryFrom(spaces, (space) => {
    for (const listener of listeners) if (listener.space === space) listener.registered = false;
    for (const { pages, mirrors } of regions) forgetPages(space, pages, mirrors);
  });
  buryFrom(notifiers, (notifier) => {
    for (const region of regions) region.events = region.events.filter((event) => event.notifier !== notifier);
  });
  for (const region of regions) {
    const isOwned = region.owner !== undefined && alive.has(region.owner);
    if (isOwned && (!region.dropped || pinned.has(region))) continue;
    if (region.owner !== undefined && !isOwned) unlink(model, region);
    if (!isOwned && isMemory(region) && pinned.has(region)) {
      region.owner = undefined;
      region.dropped = true;
      continue;
    }
    unlink(model, region);
    regions.delete(region);
    toGrave(region);
  }
  for (const owner of owners) {
    if (alive.has(owner)) continue;
    owners.delete(owner);
    toGrave(owner);
  }
}

function unlink(model: Model, region: RegionModel): void {
  detach(region);
  for (const child of [...region.children]) detach(child);
  for (const alias of model.regions) if (alias.target === region) alias.target = undefined;
  region.target = undefined;
  region.events = [];
  model.collected = model.collected.filter((write) => write.region !== region);
}

/** Devices do not lead to a space that is gone. */
function forgetPages(space: SpaceModel, pages: RegionModel["pages"], mirrors: RegionModel["mirrors"]): void {
  for (const [at, page] of pages) {
    if (page.space !== space) continue;
    pages.delete(at);
    for (const { told } of mirrors) told.delete(at);
  }
}
