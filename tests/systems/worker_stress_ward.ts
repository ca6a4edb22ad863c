/**
 * The part of the stress in which an address space dies while workers read it. One commit takes the space, its RAM and its
 * owner out of sight, so that what is freed an epoch early is freed under its readers; elsewhere a region leaves its
 * container in a commit before it dies. Every other time the space stays, and only its publication is ended and made anew.
 */
import type { AddressSpace } from "../../ecs/address_space.ts";
import type { Owner } from "../../ecs/owner.ts";
import type { GuestMemory } from "../../ecs/ram_block.ts";
import type { World } from "../../ecs/world.ts";
import { drop } from "../../systems/finalize.ts";
import { publish, unpublish } from "../../systems/published_view.ts";
import { unregisterReader } from "../../systems/scope.ts";
import { createAddressSpace } from "../../systems/address_spaces.ts";
import { createContainer, createOwner, createRam, ramOf } from "../../systems/create_region.ts";
import { addSubregion } from "../../systems/topology.ts";
import { registerWorkerReader, type WorkerReader } from "../../systems/worker_readers.ts";
import { Count, type Message, WARD_BLOCKS, wordOf } from "./worker_stress_pattern.ts";

/** Pages of one publication: its few ranges need one, and superseded ones wait. */
const PAGES = 8;
const PATIENCE_MS = 2;

export class Ward {
  /** Spaces that have died, and publications that were made anew. */
  deaths = 0;
  republished = 0;
  readonly #world: World;
  readonly #memory: GuestMemory;
  readonly #machine: Owner;
  readonly #counts: Int32Array;
  readonly #post: readonly ((message: Message) => void)[];
  #generation = 0;
  #present: { owner: Owner; space: AddressSpace; readers: WorkerReader[] } | undefined;
  /** Slots in publications that some worker may still be in. */
  #left: WorkerReader[] = [];

  constructor(
    world: World,
    memory: GuestMemory,
    machine: Owner,
    counts: Int32Array,
    post: readonly ((message: Message) => void)[],
  ) {
    this.#world = world;
    this.#memory = memory;
    this.#machine = machine;
    this.#counts = counts;
    this.#post = post;
  }

  /** Once every worker has taken over the last publication, ends it or the space, and makes the next. */
  turn(stride: number): void {
    for (let i = 0; i < this.#post.length; i++) {
      if (Atomics.load(this.#counts, Count.SEEN + i) !== this.#generation) return;
    }
    for (const reader of this.#left.splice(0)) unregisterReader(this.#world, reader);
    const present = this.#present;
    if (present !== undefined) this.#left = present.readers;
    if (present !== undefined && this.#generation % 2 === 1) {
      unpublish(this.#world, present.space);
      this.republished++;
      this.#show(present.owner, present.space);
    } else {
      this.end();
      this.#create(stride);
    }
  }

  /** The space dies with all that is in it, while workers read it. */
  end(): void {
    if (this.#present === undefined) return;
    this.#awaitReaders();
    drop(this.#world, this.#present.owner);
    this.#present = undefined;
    this.deaths++;
  }

  /** Until workers are in scopes of the newest epoch: those that entered before the last commit hold back more anyway. */
  #awaitReaders(): void {
    const before = Atomics.load(this.#counts, Count.SCOPES);
    const limit = performance.now() + PATIENCE_MS;
    while (Atomics.load(this.#counts, Count.SCOPES) < before + 4 * this.#post.length && performance.now() < limit);
  }

  #create(stride: number): void {
    const world = this.#world;
    const owner = createOwner(world, { name: "ward", owner: this.#machine });
    const root = createContainer(world, { name: "ward root", size: 2 ** 32, owner });
    for (let i = 0; i < WARD_BLOCKS; i++) {
      const ram = createRam(world, { name: "ward ram", size: 0x1000, owner, memory: this.#memory });
      const { offset, size } = ramOf(world, ram);
      const words = new Uint32Array(this.#memory.memory.buffer, offset, size / 4);
      for (let at = 0; at < words.length; at++) words[at] = wordOf(ram, at);
      addSubregion(world, root, i * stride, ram);
    }
    this.#show(owner, createAddressSpace(world, { name: "ward", root, owner }));
  }

  #show(owner: Owner, space: AddressSpace): void {
    const published = publish(this.#world, space, this.#memory, { pages: PAGES });
    this.#generation++;
    const readers = this.#post.map((post, i) => {
      const reader = registerWorkerReader(this.#world, published, `ward ${this.#generation} of worker ${i}`);
      post({ ward: reader.shared, generation: this.#generation });
      return reader;
    });
    this.#present = { owner, space, readers };
  }
}
