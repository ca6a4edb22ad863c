/** A machine for scenarios: one address space, owners that say when they end, listeners that write what they hear. */
import { assertEquals } from "@std/assert";
import type { AddressSpace } from "../../ecs/address_space.ts";
import { countEntities } from "../../ecs/handle.ts";
import type { Section } from "../../ecs/listener.ts";
import type { Owner } from "../../ecs/owner.ts";
import type { GuestMemory } from "../../ecs/ram_block.ts";
import type { AccessSize, Region } from "../../ecs/region.ts";
import { createWorld, type World, type WorldOptions } from "../../ecs/world.ts";
import { load, store } from "../../systems/dma.ts";
import { onFinalize } from "../../systems/finalize.ts";
import { audit } from "../../systems/inspect.ts";
import { leaks } from "../../systems/leaks.ts";
import { retiredQueue } from "../../systems/retire.ts";
import { createAddressSpace, registerListener } from "../../systems/address_spaces.ts";
import { createAlias, createContainer, createMmio, createOwner, createRam } from "../../systems/create_region.ts";

/** What every scenario stands on: a world that keeps what its model does wrong, one address space, and who has ended. */
export class Stage {
  readonly faults: Error[] = [];
  readonly traces: string[] = [];
  /** Names of owners, in the order of their end. */
  readonly finalized: string[] = [];
  readonly world: World;
  readonly owner: Owner;
  readonly root: Region;
  readonly space: AddressSpace;

  constructor(options: WorldOptions = {}, size: number | bigint = 2n ** 64n) {
    const keep = {
      reportFault: (error: Error) => this.faults.push(error),
      trace: (line: string) => this.traces.push(line),
    };
    this.world = createWorld({ ...keep, ...options });
    this.owner = createOwner(this.world, { name: "machine" });
    this.root = createContainer(this.world, { name: "system", size, owner: this.owner });
    this.space = createAddressSpace(this.world, { name: "memory", root: this.root, owner: this.owner });
  }

  /** An owner below `above`; `undefined`: one of its own, such as a backend. */
  own(name: string, above: Owner | undefined = this.owner, device = true): Owner {
    const owner = createOwner(this.world, { name, owner: above, device });
    onFinalize(this.world, owner, () => this.finalized.push(name));
    return owner;
  }

  /** An owner that belongs to nobody. */
  backend(name: string): Owner {
    const owner = createOwner(this.world, { name });
    onFinalize(this.world, owner, () => this.finalized.push(name));
    return owner;
  }
}

export class Machine extends Stage {
  readonly #heard: string[] = [];

  container(name: string, owner: Owner, size: number | bigint = 0x10000): Region {
    return createContainer(this.world, { name, size, owner });
  }

  ram(name: string, owner: Owner, size = 0x1000, memory?: GuestMemory): Region {
    return createRam(this.world, { name, size, owner, memory });
  }

  alias(name: string, owner: Owner, target: Region, offset: number | bigint, size: number | bigint): Region {
    return createAlias(this.world, { name, owner, target, offset, size });
  }

  /** MMIO whose handlers are functions; without any it reads 0 and drops. */
  mmio(
    name: string,
    owner: Owner,
    { size = 0x1000, read = () => 0, write = () => {} }: {
      size?: number | bigint;
      read?: (offset: number, size: AccessSize) => number;
      write?: (offset: number, value: number, size: AccessSize) => void;
    } = {},
  ): Region {
    const ops = {
      read: (_: undefined, offset: number, width: AccessSize) => read(offset, width),
      write: (_: undefined, offset: number, value: number | bigint, width: AccessSize) =>
        write(offset, Number(value), width),
    };
    return createMmio(this.world, { name, size, owner, ops, state: undefined });
  }

  listen(name = "l", space = this.space): void {
    const hear = (what: string) => (section: Section) =>
      this.#heard.push(`${name} ${what} ${section.address.toString(16)}+${section.size.toString(16)}`);
    registerListener(this.world, space, {
      name,
      begin: () => this.#heard.push(`${name} begin`),
      regionAdd: hear("add"),
      regionDel: hear("del"),
      commit: () => this.#heard.push(`${name} commit`),
    });
    this.heard();
  }

  /** What listeners heard since the last call. */
  heard(): string[] {
    return this.#heard.splice(0);
  }

  load(address: number | bigint, size: 1 | 2 | 4 = 4): number {
    return load(this.world, this.space, address, size);
  }

  /** @returns MemTx bits. */
  store(address: number | bigint, value: number, size: 1 | 2 | 4 = 4): number {
    return store(this.world, this.space, address, size, value);
  }

  entities(): number {
    return countEntities(this.world);
  }

  /** Sound, nothing left over, nothing went wrong. */
  settle(): void {
    audit(this.world);
    assertEquals([this.faults, leaks(this.world), retiredQueue(this.world)], [[], [], []]);
  }
}
