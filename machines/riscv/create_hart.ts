/** Create hart: a hart of a world's machine, which sees an address space. */
import type { AddressSpace } from "../../ecs/address_space.ts";
import type { Owner } from "../../ecs/owner.ts";
import type { GuestMemory } from "../../ecs/ram_block.ts";
import type { World } from "../../ecs/world.ts";
import type { BusEvents } from "./bus.ts";
import type { HartFeatures } from "./features.ts";
import { Hart } from "./hart.ts";
import { SpaceBus } from "./space_bus.ts";
import type { ExecutionWatch } from "./watch.ts";

export interface HartOptions {
  readonly world: World;
  /** Whose part the hart is: its listener lives as long. */
  readonly owner: Owner;
  /** Holds the hart's state, and the RAM that it reaches without dispatch: see `executionBytes`. */
  readonly memory: GuestMemory;
  readonly space: AddressSpace;
  /** Default: all. Harts of one memory have the same. */
  readonly features?: HartFeatures;
  /** mhartid. */
  readonly id: number;
  /** Ticks of the `time` CSR. */
  time(): bigint;
  /** Told what the harts of this memory do; the first hart's counts. */
  readonly watch?: ExecutionWatch;
}

/** A hart of a world's machine. @throws {OutOfGuestMemoryError} if the memory has no room for its state. */
export function createHart({ world, owner, memory, space, features, id, time, watch }: HartOptions): Hart {
  const connect = (events: BusEvents) => new SpaceBus({ world, space, owner, memory, name: `hart ${id}` }, events);
  return new Hart({ memory, connect, id, time, ...(features && { features }), ...(watch && { watch }) });
}
