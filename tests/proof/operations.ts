/**
 * Operations: random verbs of the whole API on a model and on its world at once. A step is four numbers; what it picks
 * depends on them and on the state only, so that a program is its list of steps. Steps nest: in transactions, in
 * scopes, in handlers and in listeners' callbacks.
 */
import { assert, assertEquals } from "@std/assert";
import { StaleHandleError } from "../../ecs/handle.ts";
import { UnbalancedReleaseError } from "../../ecs/ref_count.ts";
import { defineDevice, DeviceError, deviceRegion } from "../../machines/devices/define.ts";
import { Attrs, MemTx } from "../../systems/access.ts";
import { CycleError, TopologyError } from "../../systems/admission.ts";
import { dispatchRead, dispatchWrite } from "../../systems/dispatch.ts";
import { drop, InUseError, LifetimeError, reference, release } from "../../systems/finalize.ts";
import { map, unmap } from "../../systems/map.ts";
import { plug, unplug } from "../../systems/plug.ts";
import { closeScope, openScope, readScope } from "../../systems/scope.ts";
import * as topology from "../../systems/topology.ts";
import { transaction } from "../../systems/transaction.ts";
import type { Device } from "../../ecs/device.ts";
import {
  attach,
  detach,
  type ListenerModel,
  Model,
  type OwnerModel,
  type PinModel,
  type RegionKind,
  type RegionModel,
  shows,
  type SpaceModel,
} from "./model.ts";

/** Operation code and operands. */
export type Step = readonly [code: number, a: number, b: number, c: number];

const OWNERS_MAX = 8;
const REGIONS_MAX = 24;
const SPACES_MAX = 3;
const LISTENERS_MAX = 4;
const SCOPES_MAX = 3;
/** Steps inside of steps. */
const NESTING_MAX = 3;

const KINDS: readonly RegionKind[] = ["container", "ram", "mmio", "alias", "mmio", "alias", "ram", "reservation"];
const PIN_KINDS = ["map", "cache", "callback", "external"] as const;
const REFUSALS = [TopologyError, InUseError, LifetimeError, StaleHandleError, UnbalancedReleaseError, DeviceError];

const failing = defineDevice({
  type: "failing",
  description: "realize fails",
  state: () => ({}),
  regions: { registers: { size: 16, registers: [] } },
  realize() {
    throw new DeviceError("realize fails");
  },
});

function pick<T>(from: Iterable<T>, index: number): T | undefined {
  const list = [...from];
  return list[index % Math.max(1, list.length)];
}

export class Machine extends Model {
  /** What was done, a line each; only if asked for. */
  readonly log: string[] | undefined;
  /** Operations, nested ones included. */
  count = 0;
  #names = 0;
  #order = 0;
  #nesting = 0;
  #transactions = 0;
  #callbacks = 0;
  /** Guards that are set: devices, or regions of none. */
  readonly #engaged = new Set<unknown>();
  /** What the handler that is called next does. */
  #inHandler: (() => void) | undefined;
  /** What the callback that is called next does. */
  #inCallback: (() => void) | undefined;

  readonly #device = defineDevice({
    type: "plugged",
    description: "its handler does what the step says",
    state: () => ({}),
    regions: { registers: { size: 64, ops: { write: () => this.#runHandler() } } },
  });

  constructor(keepLog = false) {
    super();
    this.log = keepLog ? [] : undefined;
    this.#addOwner(undefined, true);
    this.#addRegion("container", pick(this.owners, 0), 0x1000, 0, undefined);
    this.#addSpace(pick(this.regions, 0), pick(this.owners, 0));
  }

  /** One operation, and whatever it starts. */
  run(step: Step): void {
    this.#operate(step);
    this.#inCallback = this.#inHandler = undefined;
    this.settle();
    this.compare();
  }

  /** Gives everything up: then nothing is left. */
  finish(): void {
    for (const scope of [...this.scopes]) this.#close(scope);
    for (let pin = pick(this.pins, 0); pin !== undefined; pin = pick(this.pins, 0)) {
      this.#unpin(pin);
      this.settle();
    }
    const root = () => [...this.owners].find(({ above, dropped }) => above === undefined && !dropped);
    for (let owner = root(); owner !== undefined; owner = root()) {
      this.#dropOwner(owner);
      this.settle();
    }
    this.settle();
    this.compare();
    assertEquals(this.owners.size + this.regions.size + this.spaces.size + this.listeners.size, 0, "something is kept");
  }

  /** @param isCertain Whether it must be done (true), must be refused (false), or either. */
  #attempt(what: string, isCertain: boolean | undefined, operation: () => void): boolean {
    this.count++;
    this.log?.push("  ".repeat(this.#nesting) + what);
    try {
      operation();
    } catch (error) {
      if (!REFUSALS.some((refusal) => error instanceof refusal)) throw error;
      if (isCertain === true && this.#callbacks === 0) throw new Error(`${what} is refused`, { cause: error });
      return false;
    }
    assert(isCertain !== false || this.#callbacks > 0, `${what} is not refused`);
    return true;
  }

  /** What the world has done by now: outside of transactions and callbacks, everything. */
  #after(): void {
    if (this.#transactions === 0 && this.#callbacks === 0) this.settle();
  }

  #operate([code, a, b, c]: Step): void {
    const usable = [...this.regions].filter((region) => !region.dropped);
    const region = pick(usable, a);
    const other = pick(usable, b);
    const owner = pick(this.owners, a);
    const inner: Step = [c, b, (a * 31 + c) & 0xffff, (b * 17 + a) & 0xffff];
    const address = (c % 32) * 0x20;
    const harmless = [
      () => region && this.#set(region, "enabled", b % 4 !== 0),
      () => region && this.#set(region, "readonly", b % 2 === 0),
      () => region && this.#move(region, address),
      () => region && this.#resize(region, (b % 16) * 0x40),
      () => region?.kind === "alias" && this.#shift(region, address),
      () => this.#pin(b % 3 === 0 ? owner : region, pick(PIN_KINDS, c), b % 2 === 0 ? pick(this.owners, c) : undefined),
      () => this.#unpin(pick(this.pins, a)),
      () => a % 4 === 0 && this.#dropOwner(owner),
      () => this.#unregister(pick([...this.listeners].filter(({ dropped }) => !dropped), a)),
    ];
    const others = [
      () => this.#addOwner(b % 4 === 0 ? undefined : owner, c % 2 === 0),
      () => this.#addRegion(pick(KINDS, c), owner, 0x40 << (b % 5), address, pick(usable, c >> 4)),
      () => this.#addRegion(pick(KINDS, c), owner, 0x40 << (b % 5), address, pick(usable, c >> 4)),
      () => region && other && this.#add(region, other, address, (b % 5) - 2),
      () => region && other && this.#add(region, other, address, (b % 5) - 2),
      () => region && this.#remove(region),
      () => region && this.#dropRegion(region),
      () => this.#open(),
      () => this.#close(pick(this.scopes, a)),
      () => this.#addSpace(region, owner),
      () => this.#destroySpace(pick([...this.spaces].filter(({ dropped }) => !dropped), a)),
      () => this.#listen(pick([...this.spaces].filter(({ dropped }) => !dropped), a), owner),
      () => this.#nest("transaction", inner, c),
      () => this.#nest("scope", inner, c),
      () => this.#access(pick(this.spaces, a), address, inner),
      () => this.#access(pick(this.spaces, a), address, inner),
      () => this.#map(pick(this.spaces, a), address),
      () => this.#plugFailing(owner),
      () => this.#plug(owner, region, address),
      () => this.#inCallback = () => this.#inside("callback", inner),
    ];
    pick(this.#callbacks > 0 ? harmless : [...harmless, ...others], code)?.();
    this.#after();
  }

  #inside(where: "transaction" | "scope" | "handler" | "callback", step: Step): void {
    if (this.#nesting >= NESTING_MAX) return;
    this.#nesting++;
    if (where === "transaction") this.#transactions++;
    if (where === "callback") this.#callbacks++;
    this.#operate(step);
    if (where === "transaction") this.#transactions--;
    if (where === "callback") this.#callbacks--;
    this.#nesting--;
  }

  #nest(where: "transaction" | "scope", step: Step, count: number): void {
    const body = () => {
      for (let i = 0; i <= count % 4; i++) {
        this.#inside(where, [step[0] + i * 7, step[1], step[2] + i, step[3] + i * 3]);
      }
    };
    this.#attempt(
      where,
      true,
      () => where === "scope" ? readScope(this.world, "step", body) : transaction(this.world, body),
    );
  }

  #runHandler(): void {
    const doing = this.#inHandler;
    this.#inHandler = undefined;
    doing?.();
  }

  #runCallback(): void {
    const doing = this.#inCallback;
    this.#inCallback = undefined;
    doing?.();
  }

  #addOwner(above: OwnerModel | undefined, isDevice: boolean): void {
    if (this.owners.size >= OWNERS_MAX) return;
    const name = `owner ${++this.#names}`;
    this.#attempt(`${name} below ${above?.name}`, true, () => {
      const handle = topology.createOwner(this.world, { name, owner: above?.handle, device: isDevice });
      this.owners.add({ handle, name, above, isDevice, dropped: false });
    });
  }

  #addRegion(
    kind: RegionKind | undefined,
    owner: OwnerModel | undefined,
    size: number,
    offset: number,
    target: RegionModel | undefined,
  ): void {
    if (this.regions.size >= REGIONS_MAX || owner === undefined || kind === undefined) return;
    if (kind === "alias" && target === undefined) return;
    const name = `${kind} ${++this.#names}`;
    const of = kind === "alias" ? ` on ${target?.name} from ${offset}` : "";
    this.#attempt(`${name} of ${owner.name}, ${size} bytes${of}`, true, () => {
      const options = { name, size, owner: owner.handle };
      const { world } = this;
      const ops = { write: () => this.#runHandler() };
      const handle = kind === "container"
        ? topology.createContainer(world, options)
        : kind === "ram"
        ? topology.createRam(world, options)
        : kind === "mmio"
        ? topology.createMmio(world, { ...options, ops, state: undefined })
        : kind === "reservation" || target === undefined
        ? topology.createReservation(world, options)
        : topology.createAlias(world, { ...options, target: target.handle, offset });
      this.#note(handle, name, kind, owner, size, kind === "alias" ? target : undefined, offset);
    });
  }

  #note(
    handle: RegionModel["handle"],
    name: string,
    kind: RegionKind,
    owner: OwnerModel,
    size: number,
    target: RegionModel | undefined,
    offset: number,
  ): RegionModel {
    const region: RegionModel = {
      handle,
      name,
      kind,
      owner,
      size,
      address: 0,
      priority: 0,
      order: 0,
      enabled: true,
      readonly: false,
      container: undefined,
      children: [],
      target,
      offset,
      bytes: new Uint8Array(kind === "ram" ? size : 0),
      dropped: false,
    };
    this.regions.add(region);
    return region;
  }

  #add(container: RegionModel, region: RegionModel, address: number, priority: number): void {
    if (region.owner?.registers === region) return; // the kit's
    const isRefused = region.container !== undefined || container.kind === "alias" || shows(region, container);
    const what = `${region.name} into ${container.name} at ${address}, priority ${priority}`;
    // Whether ownership would become circular is found out by who is left over in the end.
    this.#attempt(what, isRefused ? false : undefined, () => {
      const undo = isRefused ? () => {} : this.#noting(region);
      if (!isRefused) this.#place(container, region, address, priority);
      try {
        topology.addSubregion(this.world, container.handle, address, region.handle, { priority });
      } catch (error) {
        undo();
        assert(isRefused || error instanceof CycleError, `${what} is refused: ${error}`);
        throw error;
      }
    });
  }

  /**
   * The model changes before the world does, whose callbacks may change it further; what is refused is undone.
   *
   * @returns what undoes a change of `region`.
   */
  #noting(region: RegionModel): () => void {
    const { address, priority, order, size, offset, enabled, container } = region;
    const isReadonly = region.readonly;
    const siblings = container?.children.slice();
    return () => {
      detach(region);
      Object.assign(region, { address, priority, order, size, offset, enabled, readonly: isReadonly, container });
      if (siblings !== undefined) container?.children.splice(0, Infinity, ...siblings);
    };
  }

  #change(region: RegionModel, note: () => void, change: () => void): void {
    const undo = this.#noting(region);
    note();
    try {
      change();
    } catch (error) {
      undo();
      throw error;
    }
  }

  #place(container: RegionModel, region: RegionModel, address: number, priority: number): void {
    Object.assign(region, { address, priority, order: ++this.#order });
    attach(container, region);
  }

  #remove(region: RegionModel): void {
    const { container } = region;
    if (container === undefined) return;
    this.#attempt(`${region.name} out of ${container.name}`, true, () => {
      this.#change(
        region,
        () => detach(region),
        () => topology.delSubregion(this.world, container.handle, region.handle),
      );
    });
  }

  #set(region: RegionModel, what: "enabled" | "readonly", value: boolean): void {
    const set = what === "enabled" ? topology.setEnabled : topology.setReadonly;
    this.#attempt(`${region.name} ${what}: ${value}`, true, () => {
      this.#change(region, () => region[what] = value, () => set(this.world, region.handle, value));
    });
  }

  #move(region: RegionModel, address: number): void {
    if (region.address === address) return;
    const note = () => {
      const { container } = region;
      if (container === undefined) region.address = address;
      else {
        detach(region);
        this.#place(container, region, address, region.priority);
      }
    };
    this.#attempt(`${region.name} to ${address}`, true, () => {
      this.#change(region, note, () => topology.setAddress(this.world, region.handle, address));
    });
  }

  #resize(region: RegionModel, size: number): void {
    this.#attempt(`${region.name} has ${size} bytes`, region.kind !== "ram" || size <= region.bytes.length, () => {
      this.#change(region, () => region.size = size, () => topology.setSize(this.world, region.handle, size));
    });
  }

  #shift(alias: RegionModel, offset: number): void {
    this.#attempt(`${alias.name} from ${offset}`, true, () => {
      this.#change(alias, () => alias.offset = offset, () => topology.setAliasOffset(this.world, alias.handle, offset));
    });
  }

  #pin(
    target: OwnerModel | RegionModel | undefined,
    kind: PinModel["kind"] | undefined,
    holder: OwnerModel | undefined,
  ): void {
    if (target === undefined || kind === undefined || this.pins.size > 12) return;
    this.#attempt(`${kind} pin on ${target.name} by ${holder?.name}`, true, () => {
      reference(this.world, target.handle, kind, holder?.handle);
      this.pins.add({ target, kind, holder });
    });
  }

  #unpin(pin: PinModel | undefined): void {
    if (pin === undefined) return;
    const { target, kind, holder, mapping } = pin;
    this.#attempt(`no ${kind} pin on ${target.name} by ${holder?.name}`, true, () => {
      if (mapping === undefined) release(this.world, target.handle, kind, holder?.handle);
      else unmap(this.world, mapping);
      this.pins.delete(pin);
    });
  }

  #dropOwner(owner: OwnerModel | undefined): void {
    if (owner === undefined || owner.dropped) return;
    this.#attempt(`drop ${owner.name}`, true, () => {
      if (owner.registers !== undefined) {
        unplug(this.world, owner.handle as Device);
        detach(owner.registers);
      } else drop(this.world, owner.handle);
      owner.dropped = true;
    });
  }

  #dropRegion(region: RegionModel): void {
    if (region.owner?.registers === region) return; // the kit's
    const isUsed = region.container !== undefined || [...this.spaces].some(({ root }) => root === region) ||
      [...this.regions].some(({ target }) => target === region);
    this.#attempt(`drop ${region.name}`, !isUsed, () => {
      drop(this.world, region.handle);
      region.dropped = true;
    });
  }

  #open(): void {
    if (this.scopes.size >= SCOPES_MAX) return;
    this.#attempt("open a scope", true, () => this.scopes.add(openScope(this.world, "model")));
  }

  #close(scope: Parameters<typeof closeScope>[1] | undefined): void {
    if (scope === undefined) return;
    this.scopes.delete(scope as never);
    this.#attempt("close a scope", true, () => closeScope(this.world, scope));
  }

  #addSpace(root: RegionModel | undefined, owner: OwnerModel | undefined): void {
    if (root === undefined || owner === undefined || this.spaces.size >= SPACES_MAX) return;
    const name = `space ${++this.#names}`;
    this.#attempt(`${name} of ${owner.name} on ${root.name}`, undefined, () => {
      const handle = topology.createAddressSpace(this.world, { name, root: root.handle, owner: owner.handle });
      this.spaces.add({ handle, name, root, owner, dropped: false });
    });
  }

  #destroySpace(space: SpaceModel | undefined): void {
    if (space === undefined) return;
    const isHeard = [...this.listeners].some((listener) => listener.space === space && listener.registered);
    this.#attempt(`destroy ${space.name}`, isHeard ? false : undefined, () => {
      topology.destroyAddressSpace(this.world, space.handle);
      space.dropped = true;
    });
  }

  #listen(space: SpaceModel | undefined, owner: OwnerModel | undefined): void {
    if (space === undefined || owner === undefined || this.listeners.size >= LISTENERS_MAX) return;
    const name = `listener ${++this.#names}`;
    const shown: ListenerModel["shown"] = new Map();
    this.#attempt(`${name} of ${owner.name} on ${space.name}`, true, () => {
      const handle = topology.registerListener(this.world, space.handle, {
        name,
        owner: owner.handle,
        priority: this.#names % 3,
        regionAdd: (section) => {
          assert(!shown.has(section.address), `${name}: ${section.address} is added twice`);
          shown.set(section.address, section);
          this.#runCallback();
        },
        regionDel: (section) => {
          const same = shown.get(section.address);
          assert(same?.size === section.size && same.region === section.region, `${name}: an unknown range went`);
          shown.delete(section.address);
          this.#runCallback();
        },
        commit: () => this.#runCallback(),
      });
      this.listeners.add({ handle, name, space, owner, shown, registered: true, dropped: false });
    });
  }

  #unregister(listener: ListenerModel | undefined): void {
    if (listener === undefined) return;
    this.#attempt(`unregister ${listener.name}`, true, () => {
      topology.unregisterListener(this.world, listener.handle);
      listener.registered = false;
      listener.dropped = true;
    });
  }

  /** A byte is read and written, if this is no transaction: then what the space shows is what the model renders. */
  #access(space: SpaceModel | undefined, address: number, step: Step): void {
    if (space === undefined || space.dropped || this.#transactions > 0) return;
    const range = this.render(space.root).find(({ start, end }) => start <= address && address < end);
    const region = range?.region;
    const offset = address - (range?.base ?? 0);
    const guard = deviceOf(region?.owner) ?? region;
    const isReentry = region?.kind === "mmio" && this.#engaged.has(guard);
    const expected = region?.kind === "ram" && range?.readonly === false || region?.kind === "mmio" && !isReentry
      ? MemTx.OK
      : isReentry
      ? MemTx.ACCESS_ERROR
      : MemTx.DECODE_ERROR;
    this.#attempt(`access ${space.name} at ${address}: ${region?.name}`, true, () => {
      const byte = dispatchRead(this.world, space.handle, 0, address, 1, Attrs.MEMORY);
      if (region?.kind === "ram") assertEquals(byte, region.bytes[offset], `byte ${offset} of ${region.name}`);
      if (region?.kind === "mmio" && !isReentry) {
        this.#engaged.add(guard);
        this.#inHandler = () => this.#inside("handler", step);
      }
      const value = (address + this.count) & 0xff;
      assertEquals(dispatchWrite(this.world, space.handle, 0, address, 1, value), expected, `write at ${address}`);
      if (region?.kind === "mmio" && !isReentry) this.#engaged.delete(guard);
      if (region?.kind === "ram" && expected === MemTx.OK) region.bytes[offset] = value;
    });
  }

  #map(space: SpaceModel | undefined, address: number): void {
    if (space === undefined || space.dropped || this.#transactions > 0 || this.pins.size > 12) return;
    const target = this.render(space.root).find(({ start, end }) => start <= address && address < end)?.region;
    if (target?.kind !== "ram") return;
    this.#attempt(`map ${target.name} through ${space.name} at ${address}`, true, () => {
      const mapping = map(this.world, space.handle, address, 4);
      assert(mapping?.isDirect, "RAM is mapped directly");
      this.pins.add({ target, kind: "map", holder: undefined, mapping });
    });
  }

  #plugFailing(owner: OwnerModel | undefined): void {
    if (owner === undefined) return;
    const options = { id: `device ${++this.#names}`, owner: owner.handle };
    if (this.scopes.size > 0 || this.#nesting > 0) return; // what was made would be there until they close
    this.#attempt(`plug ${options.id}, which fails`, false, () => plug(this.world, failing, options));
  }

  #plug(owner: OwnerModel | undefined, container: RegionModel | undefined, offset: number): void {
    if (owner === undefined || container?.kind !== "container" || this.owners.size >= OWNERS_MAX) return;
    if (this.scopes.size > 0 || this.#nesting > 0 || this.regions.size >= REGIONS_MAX) return;
    const name = `device ${++this.#names}`;
    this.#attempt(`plug ${name} of ${owner.name} into ${container.name} at ${offset}`, undefined, () => {
      const at = [{ region: "registers", container: container.handle, offset }];
      const device = plug(this.world, this.#device, { id: name, owner: owner.handle, at });
      const plugged: OwnerModel & { registers?: RegionModel } = {
        handle: device,
        name,
        above: owner,
        isDevice: true,
        dropped: false,
      };
      this.owners.add(plugged);
      const handle = deviceRegion(this.world, device, "registers");
      plugged.registers = this.#note(handle, `registers of ${name}`, "mmio", plugged, 64, undefined, 0);
      this.#place(container, plugged.registers, offset, 0);
    });
  }
}

/** The nearest device at or above an owner. */
function deviceOf(owner: OwnerModel | undefined): OwnerModel | undefined {
  for (let at = owner; at !== undefined; at = at.above) if (at.isDevice) return at;
  return undefined;
}
