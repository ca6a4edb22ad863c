/**
 * Random mappings and caches: who is alive, what is in which bytes, and how much budget is left, against a model that
 * keeps plain lists. The systems count; the model asks who still holds what.
 */
import { assert, assertEquals } from "@std/assert";
import fc from "fast-check";
import { countEntities, isAlive } from "../../ecs/handle.ts";
import type { Owner } from "../../ecs/owner.ts";
import type { Region } from "../../ecs/region.ts";
import { viewPins } from "../../ecs/view_pin.ts";
import { createWorld, type Policy } from "../../ecs/world.ts";
import { cacheRead, createCache, destroyCache, type TranslationCache } from "../../systems/cache.ts";
import type { Reader } from "../../systems/epoch.ts";
import { drop } from "../../systems/finalize.ts";
import { closeHoldings } from "../../systems/holding.ts";
import { audit } from "../../systems/inspect.ts";
import { map, type Mapping, setBounceLimit, unmap } from "../../systems/map.ts";
import { closeScope, openScope } from "../../systems/scope.ts";
import { createAddressSpace } from "../../systems/address_spaces.ts";
import { createContainer, createMmio, createOwner, createRam } from "../../systems/create_region.ts";
import { addSubregion, delSubregion } from "../../systems/topology.ts";

interface DeviceModel {
  readonly owner: Owner;
  readonly region: Region;
  readonly isRam: boolean;
  /** undefined: in no container. */
  address: number | undefined;
  /** Bytes that it shows. */
  readonly bytes: Uint8Array;
  isDropped: boolean;
}

interface MappingModel {
  readonly mapping: Mapping;
  readonly device: DeviceModel | undefined;
  readonly holder: DeviceModel | undefined;
}

interface CacheModel {
  readonly cache: TranslationCache;
  readonly shown: readonly DeviceModel[];
  readonly device: DeviceModel | undefined;
  readonly holder: DeviceModel | undefined;
}

const SIZE = 0x100;
const LIMIT = 0x180;

class Model {
  readonly world;
  readonly #machine;
  readonly #root;
  readonly space;
  devices: DeviceModel[] = [];
  mappings: MappingModel[] = [];
  caches: CacheModel[] = [];
  readonly scopes: Reader[] = [];
  readonly #fixed;

  constructor(readonly policy: Partial<Policy>) {
    this.world = createWorld({
      policy,
      reportFault: (error) => {
        throw error;
      },
    });
    this.#machine = createOwner(this.world, { name: "machine" });
    this.#root = createContainer(this.world, { name: "system", size: 0x10000, owner: this.#machine });
    this.space = createAddressSpace(this.world, { name: "memory", root: this.#root, owner: this.#machine });
    setBounceLimit(this.world, this.space, LIMIT);
    this.#fixed = countEntities(this.world);
  }

  add(isRam: boolean, slot: number): void {
    const { world } = this;
    const bytes = new Uint8Array(SIZE);
    const owner = createOwner(world, { name: `device ${this.devices.length}`, owner: this.#machine, device: true });
    const ops = {
      impl: { max: 1 },
      read: (_: undefined, at: number) => bytes[at] ?? 0,
      write: (_: undefined, at: number, value: number | bigint) => void (bytes[at] = Number(value)),
    } as const;
    const region = isRam
      ? createRam(world, { name: "bar", size: SIZE, owner })
      : createMmio(world, { name: "bar", size: SIZE, owner, ops, state: undefined });
    const device: DeviceModel = { owner, region, isRam, address: undefined, bytes, isDropped: false };
    this.devices.push(device);
    this.show(device, slot);
  }

  show(device: DeviceModel, slot: number): void {
    const address = (slot % 8) * SIZE;
    const isTaken = this.devices.some((other) => other.address === address);
    if (device.isDropped || device.address !== undefined || isTaken) return;
    addSubregion(this.world, this.#root, address, device.region);
    device.address = address;
  }

  hide(device: DeviceModel): void {
    if (device.address === undefined) return;
    delSubregion(this.world, this.#root, device.region);
    device.address = undefined;
  }

  drop(device: DeviceModel): void {
    if (device.isDropped) return;
    this.hide(device);
    device.isDropped = true;
    drop(this.world, device.owner);
  }

  at(address: number): DeviceModel | undefined {
    return this.devices.find((device) => device.address === address - address % SIZE);
  }

  map(address: number, length: number, isWrite: boolean, holder: DeviceModel | undefined): void {
    const device = this.at(address);
    const used = this.#used();
    const mapping = map(this.world, this.space, address, length, { isWrite, holder: holder?.owner });
    if (length > 0 && (device?.isRam || used < LIMIT)) assert(mapping !== undefined, "there is room");
    if (mapping === undefined) return;
    assertEquals(mapping.isDirect, device?.isRam ?? false);
    const inDevice = SIZE - address % SIZE;
    if (device !== undefined) {
      const most = device.isRam ? inDevice : Math.min(inDevice, LIMIT - used);
      assertEquals(mapping.bytes.length, Math.min(length, most));
      if (!isWrite) assertEquals(mapping.bytes[0], device.bytes[address % SIZE]);
    }
    this.mappings.push({ mapping, device, holder });
  }

  unmap({ mapping, device }: MappingModel, value: number): void {
    this.mappings = this.mappings.filter((other) => other.mapping !== mapping);
    if (mapping.isWrite) mapping.bytes.fill(value);
    unmap(this.world, mapping);
    if (mapping.isWrite) device?.bytes.fill(value, mapping.lo % SIZE, mapping.lo % SIZE + mapping.bytes.length);
  }

  cache(address: number, holder: DeviceModel | undefined): void {
    const cache = createCache(this.world, this.space, address, 1, { holder: holder?.owner });
    const shown = this.devices.filter((device) => device.address !== undefined);
    this.caches.push({ cache, shown, device: this.at(address), holder });
  }

  uncache(cache: CacheModel): void {
    this.caches = this.caches.filter((other) => other !== cache);
    destroyCache(this.world, cache.cache);
  }

  /** Who holds what is dead takes it along; whoever is held lives, if need be by what it holds itself. */
  settle(): void {
    audit(this.world);
    const alive = this.#alive();
    if (this.scopes.length === 0) {
      for (const device of this.devices) {
        assertEquals(isAlive(this.world, device.owner), alive.owners.has(device), "owner");
        assertEquals(isAlive(this.world, device.region), alive.regions.has(device), "region");
      }
      assertEquals(countEntities(this.world), this.#fixed + alive.owners.size + alive.regions.size);
      this.devices = this.devices.filter((device) => alive.regions.has(device));
    }
    const isHeld = ({ holder }: { holder: DeviceModel | undefined }) =>
      holder === undefined || alive.owners.has(holder);
    for (const { mapping, ...of } of this.mappings) assertEquals(mapping.isOpen, isHeld(of), "a mapping is open");
    this.mappings = this.mappings.filter(isHeld);
    this.caches = this.caches.filter(isHeld);
    for (const { cache, device } of this.caches) {
      const byte = new Uint8Array(1);
      cacheRead(this.world, cache, 0, byte);
      assertEquals(byte[0], device?.bytes[cache.lo % SIZE] ?? 0, "a cache reads what it was made on");
    }
    assertEquals(viewPins(this.world).length, new Set(this.caches.map(({ cache }) => cache.view)).size);
  }

  /** The least set such that what is not dropped lives, and what is held by a living or nameless holder. */
  #alive(): { owners: Set<DeviceModel>; regions: Set<DeviceModel> } {
    const owners = new Set(this.devices.filter((device) => !device.isDropped));
    const pinned = new Set<DeviceModel>();
    // A dropped holder lives by what it pins itself, so holders start as alive and are struck out until nothing changes.
    const maybe = new Set(this.devices);
    for (let before = -1; before !== maybe.size;) {
      before = maybe.size;
      pinned.clear();
      for (const { device, holder } of this.mappings) {
        if (device !== undefined && (holder === undefined || maybe.has(holder))) pinned.add(device);
      }
      for (const { shown, holder } of this.caches) {
        if (holder === undefined || maybe.has(holder)) { for (const device of shown) pinned.add(device); }
      }
      for (const device of maybe) {
        const isKept = pinned.has(device) && (!device.isRam || this.policy.refRule === "owner");
        if (device.isDropped && !isKept) maybe.delete(device);
      }
    }
    for (const device of maybe) owners.add(device);
    return { owners, regions: new Set([...owners, ...pinned]) };
  }

  #used(): number {
    return this.mappings.reduce((sum, { mapping }) => sum + (mapping.isDirect ? 0 : mapping.bytes.length), 0);
  }
}

function pick<T>(list: readonly T[], index: number): T | undefined {
  return list[index % Math.max(1, list.length)];
}

function apply(model: Model, [code, a, b]: readonly [number, number, number]): void {
  const living = model.devices.filter((device) => !device.isDropped);
  const device = pick(living, a);
  const holder = b % 3 === 0 ? undefined : pick(living, b);
  const address = a % (8 * SIZE);
  const operations: (() => void)[] = [
    () => living.length < 6 && model.add(a % 2 === 0, b),
    () => device !== undefined && model.show(device, b),
    () => device !== undefined && model.hide(device),
    () => device !== undefined && model.drop(device),
    () => model.map(address, b % (2 * SIZE), a % 3 === 0, holder),
    () => model.map(address, b % SIZE, true, holder),
    () => {
      const mapping = pick(model.mappings, a);
      if (mapping !== undefined) model.unmap(mapping, b & 0xff);
    },
    () => model.caches.length < 4 && model.cache(address, holder),
    () => {
      const cache = pick(model.caches, a);
      if (cache !== undefined) model.uncache(cache);
    },
    () => {
      if (device === undefined || a % 4 !== 0) return;
      model.mappings = model.mappings.filter((mapping) => mapping.holder !== device);
      model.caches = model.caches.filter((cache) => cache.holder !== device);
      closeHoldings(model.world, device.owner);
    },
    () => void (model.scopes.length < 2 && model.scopes.push(openScope(model.world, "random"))),
    () => {
      const [scope] = model.scopes.splice(a % Math.max(1, model.scopes.length), 1);
      if (scope !== undefined) closeScope(model.world, scope);
    },
  ];
  pick(operations, code)?.();
}

const any = fc.noBias(fc.nat(0xffff));
const steps = fc.array(fc.tuple(any, any, any), { minLength: 20, maxLength: 120, size: "max" });

for (const refRule of ["ramSelf", "owner"] as const) {
  Deno.test(`random mappings and caches: lives, bytes and budgets are those of the model (${refRule})`, () => {
    fc.assert(
      fc.property(steps, (operations) => {
        const model = new Model({ refRule });
        for (const operation of operations) {
          apply(model, operation);
          model.settle();
        }
      }),
      { numRuns: 60 },
    );
  });
}
