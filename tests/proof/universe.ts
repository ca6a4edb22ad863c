/**
 * Universe: the small world that is explored: three owners, five regions, two address spaces, a listener, a scope, and
 * every operation on them.
 */
import { assert, assertEquals } from "@std/assert";
import { InUseError, LifetimeError } from "../../systems/finalize.ts";
import { TopologyError } from "../../systems/admission.ts";
import { drop, onFinalize, reference, release } from "../../systems/finalize.ts";
import { closeScope, openScope } from "../../systems/scope.ts";
import { createAddressSpace, registerListener, unregisterListener } from "../../systems/address_spaces.ts";
import { createAlias, createContainer, createMmio, createOwner, createRam } from "../../systems/create_region.ts";
import { addSubregion, delSubregion, setAddress, setEnabled } from "../../systems/topology.ts";
import { transaction } from "../../systems/transaction.ts";
import {
  newRegionModel,
  type OwnerModel,
  type PinModel,
  type RegionKind,
  type RegionModel,
  type SpaceModel,
} from "./model/facts.ts";
import { Fold } from "./model/folds.ts";
import { Model } from "./model/model.ts";
import { attach, detach } from "./model/views.ts";

export interface Operation {
  readonly name: string;
  /** false: does not apply here, so nothing was done. */
  run(): boolean;
}

export class Universe extends Model {
  #order = 0;
  readonly machine = this.#owner("machine", undefined);
  readonly a = this.#owner("A", this.machine);
  readonly b = this.#owner("B", undefined);
  readonly root = this.#region("root", "container", this.machine, 0x100);
  readonly window = this.#region("window", "container", this.a, 0x40);
  readonly mmio = this.#region("mmio", "mmio", this.a, 0x20);
  readonly ram = this.#region("ram", "ram", this.b, 0x20);
  readonly alias = this.#region("alias", "alias", this.b, 0x20, this.window);
  readonly system = this.#space("system", this.root, this.machine);
  readonly dma = this.#space("dma", this.window, this.machine);
  readonly operations = this.#operations();

  #owner(name: string, above: OwnerModel | undefined): OwnerModel {
    const handle = createOwner(this.world, { name, owner: above?.handle, device: true });
    const owner = { handle, name, above, isDevice: true, dropped: false, finalized: 0 };
    onFinalize(this.world, handle, () => owner.finalized++);
    this.owners.add(owner);
    return owner;
  }

  #region(name: string, kind: RegionKind, owner: OwnerModel, size: number, target?: RegionModel): RegionModel {
    const { world } = this;
    const options = { name, size, owner: owner.handle };
    const handle = kind === "container"
      ? createContainer(world, options)
      : kind === "ram"
      ? createRam(world, options)
      : target === undefined
      ? createMmio(world, { ...options, ops: {}, state: undefined })
      : createAlias(world, { ...options, target: target.handle, offset: 0 });
    const region = newRegionModel({ handle, name, kind, owner, size, target });
    this.regions.add(region);
    return region;
  }

  #space(name: string, root: RegionModel, owner: OwnerModel): SpaceModel {
    const handle = createAddressSpace(this.world, { name, root: root.handle, owner: owner.handle });
    const space: SpaceModel = { handle, name, root, owner, bounce: { used: 0 }, published: [], dropped: false };
    this.spaces.add(space);
    return space;
  }

  #operations(): Operation[] {
    const { root, window, mmio, ram, alias, a, b } = this;
    const inside: [RegionModel, RegionModel][] = [
      [root, window],
      [root, ram],
      [root, alias],
      [window, mmio],
      [window, ram],
      [window, alias],
      [mmio, ram],
      [ram, window],
    ];
    return [
      ...inside.map(([container, region]) => this.#add(container, region)),
      ...[window, mmio, ram, alias].map((region) => this.#remove(region)),
      ...[window, ram].map((region) => this.#toggle(region)),
      this.#move(ram),
      this.#moveAndToggle(mmio, window),
      ...[mmio, ram].map((region) => this.#pin(region, undefined)),
      this.#pin(mmio, b),
      this.#pin(b, a),
      this.#unpin(),
      ...[a, b, this.machine].map((owner) => this.#drop(owner)),
      this.#dropRegion(mmio),
      this.#dropRegion(window),
      this.#scope(),
      this.#listener(),
    ];
  }

  /** Both or neither: what is refused changed nothing. */
  #attempt(operation: () => void, note: () => void): true {
    try {
      operation();
    } catch (error) {
      const refused = error instanceof TopologyError || error instanceof InUseError || error instanceof LifetimeError;
      assert(refused, String(error));
      return true;
    }
    note();
    return true;
  }

  #exist(...regions: readonly RegionModel[]): boolean {
    return regions.every((region) => this.regions.has(region));
  }

  #add(container: RegionModel, region: RegionModel): Operation {
    const run = () =>
      this.#exist(container, region) && this.#attempt(
        () => addSubregion(this.world, container.handle, region.address, region.handle),
        () => this.#place(container, region),
      );
    return { name: `${region.name} into ${container.name}`, run };
  }

  #place(container: RegionModel, region: RegionModel): void {
    region.order = ++this.#order;
    attach(container, region);
  }

  #remove(region: RegionModel): Operation {
    const run = () => {
      const { container } = region;
      return this.#exist(region) && container !== undefined && this.#attempt(
        () => delSubregion(this.world, container.handle, region.handle),
        () => detach(region),
      );
    };
    return { name: `${region.name} out`, run };
  }

  #toggle(region: RegionModel): Operation {
    const run = () =>
      this.#exist(region) && this.#attempt(
        () => setEnabled(this.world, region.handle, !region.enabled),
        () => region.enabled = !region.enabled,
      );
    return { name: `${region.name} on or off`, run };
  }

  #noteMove(region: RegionModel): void {
    region.address = region.address === 0 ? 0x10 : 0;
    const { container } = region;
    if (container === undefined) return;
    detach(region);
    this.#place(container, region);
  }

  #move(region: RegionModel): Operation {
    const run = () =>
      this.#exist(region) && this.#attempt(
        () => setAddress(this.world, region.handle, region.address === 0 ? 0x10 : 0),
        () => this.#noteMove(region),
      );
    return { name: `${region.name} moves`, run };
  }

  #moveAndToggle(moved: RegionModel, toggled: RegionModel): Operation {
    const run = () =>
      this.#exist(moved, toggled) && !moved.dropped && !toggled.dropped && this.#attempt(
        () =>
          transaction(this.world, () => {
            setAddress(this.world, moved.handle, moved.address === 0 ? 0x10 : 0);
            setEnabled(this.world, toggled.handle, !toggled.enabled);
          }),
        () => {
          this.#noteMove(moved);
          toggled.enabled = !toggled.enabled;
        },
      );
    return { name: `${moved.name} moves and ${toggled.name} on or off at once`, run };
  }

  #isAlive(target: OwnerModel | RegionModel): boolean {
    return "kind" in target ? this.regions.has(target) : this.owners.has(target);
  }

  #pin(target: OwnerModel | RegionModel, holder: OwnerModel | undefined): Operation {
    const { world } = this;
    const name = `pin on ${target.name} by ${holder?.name ?? "nobody"}`;
    const run = () => {
      if (this.pins.size >= 2 || !this.#isAlive(target) || (holder !== undefined && !this.owners.has(holder))) {
        return false;
      }
      const pin: PinModel = {
        name,
        targets: [target],
        holder,
        release: () => release(world, target.handle, "map", holder?.handle),
      };
      return this.#attempt(
        () => reference(world, target.handle, "map", holder?.handle),
        () => this.pins.add(pin),
      );
    };
    return { name, run };
  }

  #unpin(): Operation {
    return { name: "the oldest pin goes", run: () => this.#release([...this.pins][0]) };
  }

  #release(pin: PinModel | undefined): boolean {
    if (pin === undefined) return false;
    pin.release?.();
    return this.pins.delete(pin);
  }

  #drop(owner: OwnerModel): Operation {
    return { name: `drop ${owner.name}`, run: () => this.#dropOwner(owner) };
  }

  #dropOwner(owner: OwnerModel): boolean {
    if (!this.owners.has(owner) || owner.dropped) return false;
    drop(this.world, owner.handle);
    return owner.dropped = true;
  }

  #dropRegion(region: RegionModel): Operation {
    const run = () =>
      this.#exist(region) && !region.dropped &&
      this.#attempt(() => drop(this.world, region.handle), () => region.dropped = true);
    return { name: `drop ${region.name}`, run };
  }

  #scope(): Operation {
    const run = () => {
      const [open] = this.scopes;
      if (open === undefined) this.scopes.add(openScope(this.world, "explorer"));
      else {
        this.scopes.delete(open);
        closeScope(this.world, open);
      }
      return true;
    };
    return { name: "the scope opens or closes", run };
  }

  #listener(): Operation {
    const run = () => {
      const { system: space, a: owner } = this;
      const [present] = this.listeners;
      if (present !== undefined && !present.dropped) {
        unregisterListener(this.world, present.handle);
        present.dropped = true;
        return !(present.registered = false);
      }
      if (present !== undefined || !this.spaces.has(space) || !this.owners.has(owner)) return false;
      const follows = { logs: false, isGlobal: false, ioEvents: false, coalesced: false, nops: false, prepares: false };
      const fold = new Fold("listener", follows, { heard: () => {}, report: () => {} });
      const options = { name: "listener", owner: owner.handle, ...fold.callbacks() };
      const handle = registerListener(this.world, space.handle, options);
      this.listeners.add({ handle, name: "listener", space, owner, fold, registered: true, dropped: false });
      return true;
    };
    return { name: "the listener comes or goes", run };
  }

  /** Applies an operation, and lets the model end what it ends. */
  step(index: number): boolean {
    const done = this.operations[index]?.run() ?? false;
    if (done) this.settle();
    return done;
  }

  /** All that later operations can depend on. */
  describe(): string {
    const parts: string[] = [];
    const { root, window, mmio, ram, alias } = this;
    for (const region of [root, window, mmio, ram, alias]) {
      if (!this.regions.has(region)) continue;
      const { name, enabled, address, children, target, owner, dropped } = region;
      const flags = `${enabled ? "on" : "off"} ${address} ${dropped} ${target !== undefined} ${owner !== undefined}`;
      parts.push(`${name} ${flags} [${children.map((child) => child.name)}]`);
    }
    for (const { name, dropped } of this.owners) parts.push(`${name} ${dropped}`);
    for (const { name } of this.pins) parts.push(name);
    for (const { name, registered, dropped } of this.listeners) parts.push(`${name} ${registered} ${dropped}`);
    const waiting = this.graves.filter(({ scopes }) => scopes.some((scope) => this.scopes.has(scope)));
    parts.push(`scope ${this.scopes.size} ${waiting.map(({ name }) => name).sort()}`);
    parts.push(`spaces ${[...this.spaces].map(({ name }) => name)}`);
    return parts.join(";");
  }

  /** Gives everything up: then nothing is left. */
  finish(): void {
    for (const scope of this.scopes) closeScope(this.world, scope);
    this.scopes.clear();
    while (this.pins.size > 0) {
      this.#release([...this.pins][0]);
      this.settle();
    }
    for (const owner of [this.b, this.a, this.machine]) {
      this.#dropOwner(owner);
      this.settle();
    }
    this.compare();
    assertEquals(this.owners.size + this.regions.size + this.spaces.size, 0, "something is left");
  }
}
