/** Topology: regions of every kind, where they are, and their attributes. */
import { assert, assertEquals } from "@std/assert";
import { Flag } from "../../../ecs/region.ts";
import { CycleError } from "../../../systems/admission.ts";
import { drop } from "../../../systems/finalize.ts";
import { createIommu } from "../../../systems/iommu.ts";
import { createResizableRam } from "../../../systems/ram_kinds.ts";
import {
  createAlias,
  createContainer,
  createMmio,
  createRam,
  createReservation,
  createRom,
  createRomDevice,
} from "../../../systems/create_region.ts";
import * as topology from "../../../systems/topology.ts";
import type { Machine, Room } from "../machine.ts";
import { allPages } from "../model/dirty.ts";
import {
  type ListenerModel,
  type MemoryModel,
  newRegionModel,
  type OwnerModel,
  type RegionKind,
  type RegionModel,
} from "../model/facts.ts";
import { attach, detach, isSame, render, shows } from "../model/views.ts";
import { drained } from "./coalescing.ts";
import { handlersOf } from "./handlers.ts";
import { IOMMU_BYTES, iommuOps } from "./iommus.ts";
import { addressOf, pick, pickKind, STEP, usable } from "../picks.ts";

export const REGIONS_MAX = 24;
const IOMMUS_MAX = 2;

const KINDS: readonly RegionKind[] = [
  "container",
  "ram",
  "mmio",
  "alias",
  "mmio",
  "alias",
  "ram",
  "reservation",
  "romDevice",
  "iommu",
];

export const room: Room = {
  anywhere: [
    (machine, [, a, b]) => set(machine, pick(usable(machine), a), "enabled", b % 4 !== 0),
    (machine, [, a, b]) => set(machine, pick(usable(machine), a), Flag.READONLY, b % 2 === 0),
    (machine, [, a, b, c]) => {
      set(machine, pick(usable(machine), a), pick([Flag.NONVOLATILE, Flag.UNMERGEABLE], c) ?? 0, b % 2 === 0);
    },
    (machine, [, a, b]) => set(machine, pickKind(machine, a, "romDevice"), Flag.ROMD, b % 2 === 0),
    (machine, [, a, , c]) => move(machine, pick(usable(machine), a), addressOf(c)),
    (machine, [, a, b]) => resize(machine, pick(usable(machine), a), (b % 16) * 2 * STEP),
    (machine, [, a, , c]) => shift(machine, pickKind(machine, a, "alias"), addressOf(c)),
    (machine, [, a, b, c]) => {
      const region = pick(usable(machine), b);
      add(machine, pick(usable(machine), a), region, addressOf(c), (b % 5) - 2);
    },
    (machine, [, a]) => remove(machine, pick(usable(machine), a)),
    (machine, [, a, b, c]) => {
      const size = 2 * STEP << (b % 5);
      addRegion(machine, pick(KINDS, c), pick(machine.owners, a), size, addressOf(c), pick(usable(machine), c >> 4));
    },
  ],
  outside: [
    (machine, [, a, b, c]) => {
      const size = 2 * STEP << (b % 5);
      addRegion(machine, pick(KINDS, c), pick(machine.owners, a), size, addressOf(c), pick(usable(machine), c >> 4));
    },
    (machine, [, a, b, c]) => {
      add(machine, pick(usable(machine), a), pick(usable(machine), b), addressOf(c), (b % 5) - 2);
    },
    (machine, [, a]) => dropRegion(machine, pick(usable(machine), a)),
    drained((machine, [, a, b, c]) => refuse(machine, pick(asked(machine), a), pick(usable(machine), b), addressOf(c))),
  ],
};

export function addRegion(
  machine: Machine,
  kind: RegionKind | undefined,
  owner: OwnerModel | undefined,
  size: number,
  offset: number,
  target: RegionModel | undefined,
): void {
  if (machine.regions.size >= REGIONS_MAX || owner === undefined || kind === undefined) return;
  if (kind === "alias" && target === undefined) return;
  if (kind === "iommu" && [...machine.regions].filter((region) => region.kind === "iommu").length >= IOMMUS_MAX) return;
  const name = machine.newName(kind);
  const bytes = kind === "iommu" ? IOMMU_BYTES : size;
  const isRom = kind === "ram" && offset % (5 * STEP) === 0;
  const of = kind === "alias" ? ` on ${target?.name} from ${offset}` : isRom ? " for reading only" : "";
  const memory = kind === "ram" || kind === "romDevice" ? newMemory(kind, bytes, isRom ? 0 : offset / STEP) : undefined;
  const isMigratable = memory?.isMigratable ?? true;
  machine.attempt(
    `${name} of ${owner.name}, ${bytes} bytes${of}${isMigratable ? "" : ", not to migrate"}`,
    true,
    () => {
      const made: { region?: RegionModel } = {};
      const handle = create(machine, made, kind, {
        name,
        size: bytes,
        owner: owner.handle,
        isRom,
        memory,
        offset,
        target,
      });
      made.region = newRegionModel({
        handle,
        name,
        kind,
        owner,
        size: bytes,
        offset: kind === "alias" ? offset : 0,
        memory,
      });
      if (kind === "alias") made.region.target = target;
      if (isRom) made.region.flags = Flag.READONLY;
      machine.regions.add(made.region);
    },
  );
}

function newMemory(kind: RegionKind, size: number, traits: number): MemoryModel {
  const isResizable = kind === "ram" && traits % 3 === 1;
  return {
    bytes: new Map(),
    capacity: isResizable ? 2 * size : size,
    isResizable,
    isMigratable: traits % 7 !== 3,
    used: size,
    counts: [0, 0],
    dirty: [allPages(size), allPages(size), allPages(size)],
    discard: undefined,
  };
}

interface Making {
  readonly name: string;
  readonly size: number;
  readonly owner: OwnerModel["handle"];
  readonly isRom: boolean;
  readonly memory: MemoryModel | undefined;
  readonly offset: number;
  readonly target: RegionModel | undefined;
}

function create(
  machine: Machine,
  made: { region?: RegionModel },
  kind: RegionKind,
  making: Making,
): RegionModel["handle"] {
  const { world } = machine;
  const { name, size, owner, isRom, memory, offset, target } = making;
  const options = { name, size, owner, migratable: memory?.isMigratable };
  switch (kind) {
    case "container":
      return createContainer(world, options);
    case "reservation":
      return createReservation(world, options);
    case "ram":
      if (isRom) return createRom(world, options);
      if (memory?.isResizable) return createResizableRam(world, { ...options, maximum: memory.capacity });
      return createRam(world, options);
    case "mmio":
      return createMmio(world, { ...options, ops: handlersOf(machine, () => made.region), state: undefined });
    case "romDevice":
      return createRomDevice(world, {
        ...options,
        ops: handlersOf(machine, () => made.region),
        state: undefined,
      });
    case "iommu":
      return createIommu(world, { ...options, ops: iommuOps(machine, () => made.region), state: undefined });
    case "alias":
      assert(target !== undefined);
      return createAlias(world, { ...options, target: target.handle, offset });
  }
}

function add(
  machine: Machine,
  container: RegionModel | undefined,
  region: RegionModel | undefined,
  address: number,
  priority: number,
): void {
  if (container === undefined || region === undefined || region.owner?.registers === region) return; // the kit's
  const isRefused = region.container !== undefined || container.kind === "alias" || shows(region, container);
  if (isRefused && machine.callbacks > 0) return; // the world may have ended what the model still sees
  const what = `${region.name} into ${container.name} at ${address}, priority ${priority}`;
  const insert = () => topology.addSubregion(machine.world, container.handle, address, region.handle, { priority });
  // Whether ownership would become circular is found out by who is left over in the end.
  machine.attempt(what, isRefused ? false : undefined, () => {
    if (isRefused) return insert();
    try {
      machine.change(region, () => place(machine, container, region, address, priority), insert);
    } catch (error) {
      assert(error instanceof CycleError || machine.callbacks > 0, `${what} is refused: ${error}`);
      throw error;
    }
  });
}

export function place(
  machine: Machine,
  container: RegionModel,
  region: RegionModel,
  address: number,
  priority: number,
): void {
  Object.assign(region, { address, priority, order: machine.newOrder() });
  attach(container, region);
}

function remove(machine: Machine, region: RegionModel | undefined): void {
  const container = region?.container;
  if (region === undefined || container === undefined) return;
  machine.attempt(`${region.name} out of ${container.name}`, true, () => {
    const change = () => topology.delSubregion(machine.world, container.handle, region.handle);
    machine.change(region, () => detach(region), change);
  });
}

function set(machine: Machine, region: RegionModel | undefined, what: "enabled" | number, value: boolean): void {
  if (region === undefined) return;
  const { world } = machine;
  const { handle } = region;
  const note = () => {
    if (typeof what === "string") region.enabled = value;
    else region.flags = value ? region.flags | what : region.flags & ~what;
  };
  const setters = new Map<unknown, typeof topology.setEnabled>([
    ["enabled", topology.setEnabled],
    [Flag.READONLY, topology.setReadonly],
    [Flag.NONVOLATILE, topology.setNonvolatile],
    [Flag.UNMERGEABLE, topology.setUnmergeable],
    [Flag.ROMD, topology.setRomd],
  ]);
  machine.attempt(`${region.name} ${what}: ${value}`, true, () => {
    machine.change(region, note, () => setters.get(what)?.(world, handle, value));
  });
}

function move(machine: Machine, region: RegionModel | undefined, address: number): void {
  if (region === undefined || region.address === address) return;
  machine.attempt(`${region.name} to ${address}`, true, () => {
    const change = () => topology.setAddress(machine.world, region.handle, address);
    machine.change(region, () => noteMove(machine, region, address), change);
  });
}

function noteMove(machine: Machine, region: RegionModel, address: number): void {
  const { container } = region;
  if (container === undefined || region.address === address) region.address = address;
  else {
    detach(region);
    place(machine, container, region, address, region.priority);
  }
}

/** Listeners that may refuse what comes. */
function asked(machine: Machine): ListenerModel[] {
  return [...machine.listeners].filter(({ registered, fold }) => registered && fold.follows.prepares);
}

/** What a listener refuses does not come, and all is as before; where nothing would come, nobody is asked. */
function refuse(
  machine: Machine,
  listener: ListenerModel | undefined,
  region: RegionModel | undefined,
  address: number,
): void {
  if (listener === undefined || region === undefined || machine.transactions + machine.callbacks > 0) return;
  const { fold, name, space } = listener;
  const before = render(space.root);
  let comes = false;
  machine.nextCallback = undefined;
  fold.refuses = true;
  const isMoved = machine.attempt(`${region.name} to ${address}, which ${name} refuses`, undefined, () => {
    machine.change(region, () => {
      noteMove(machine, region, address);
      comes = render(space.root).some((range) => before.every((other) => !isSame(range, other)));
    }, () => topology.setAddress(machine.world, region.handle, address));
  });
  fold.refuses = false;
  assertEquals(isMoved, !comes, `${region.name} comes, which ${name} refuses`);
}

function resize(machine: Machine, region: RegionModel | undefined, size: number): void {
  if (region === undefined || region.kind === "iommu") return;
  const isRight = region.memory === undefined || size <= region.memory.capacity;
  machine.attempt(`${region.name} covers ${size} bytes`, isRight, () => {
    machine.change(region, () => region.size = size, () => topology.setSize(machine.world, region.handle, size));
  });
}

function shift(machine: Machine, alias: RegionModel | undefined, offset: number): void {
  if (alias === undefined) return;
  machine.attempt(`${alias.name} from ${offset}`, true, () => {
    const change = () => topology.setAliasOffset(machine.world, alias.handle, offset);
    machine.change(alias, () => alias.offset = offset, change);
  });
}

function dropRegion(machine: Machine, region: RegionModel | undefined): void {
  if (region === undefined || region.owner?.registers === region) return; // the kit's
  const isUsed = region.container !== undefined || region.mirrors.size > 0 ||
    [...machine.spaces].some(({ root }) => root === region) ||
    [...machine.regions].some(({ target }) => target === region);
  machine.attempt(`drop ${region.name}`, !isUsed, () => {
    drop(machine.world, region.handle);
    region.dropped = true;
  });
}
