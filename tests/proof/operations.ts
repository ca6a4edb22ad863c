/** Operations: the whole API, room by room, and a machine that takes its steps in all of them. */
import { assertEquals } from "@std/assert";
import { openCoalescedRing } from "../../systems/coalesced_ring.ts";
import { audit } from "../../systems/inspect.ts";
import { Machine, type MachineOptions, NESTING_MAX, type Room, type Step } from "./machine.ts";
import { pick } from "./picks.ts";
import * as accesses from "./operations/accesses.ts";
import * as caches from "./operations/caches.ts";
import * as coalescing from "./operations/coalescing.ts";
import * as deferred from "./operations/deferred.ts";
import * as ioEvents from "./operations/io_events.ts";
import * as iommus from "./operations/iommus.ts";
import * as lifetimes from "./operations/lifetimes.ts";
import * as listening from "./operations/listening.ts";
import * as logging from "./operations/logging.ts";
import * as mappings from "./operations/mappings.ts";
import * as memory from "./operations/memory.ts";
import * as topology from "./operations/topology.ts";

const ROOMS: readonly Room[] = [
  topology.room,
  lifetimes.room,
  listening.room,
  accesses.room,
  mappings.room,
  caches.room,
  memory.room,
  logging.room,
  ioEvents.room,
  coalescing.room,
  iommus.room,
  deferred.room,
];

const OPERATIONS: Room = {
  anywhere: ROOMS.flatMap(({ anywhere }) => anywhere),
  outside: ROOMS.flatMap(({ outside }) => outside),
};

/** A machine with an owner, a container and a space on it. */
export function newMachine(options: MachineOptions = {}): Machine {
  const machine = new Machine(OPERATIONS, options);
  openCoalescedRing(machine.world, coalescing.RING);
  lifetimes.addOwner(machine, undefined, true);
  topology.addRegion(machine, "container", pick(machine.owners, 0), 0x8000, 0, undefined);
  listening.addSpace(machine, pick(machine.regions, 0), pick(machine.owners, 0));
  return machine;
}

/** Takes a step, and compares everything that is seen at once. */
export function take(machine: Machine, step: Step): void {
  machine.run(step);
  memory.compareMemory(machine);
  iommus.compareMirrors(machine);
}

/** Compares what takes longer than to be done after every step, and audits the world. */
export function inspect(machine: Machine): void {
  logging.compareDirty(machine);
  coalescing.compareDrains(machine);
  audit(machine.world);
}

/** Gives everything up: then nothing is left. */
export function finish(machine: Machine): void {
  machine.nesting = NESTING_MAX; // what runs now does nothing more
  for (const scope of [...machine.scopes]) {
    lifetimes.close(machine, scope);
    machine.settle();
  }
  coalescing.drain(machine);
  deferred.runTimers(machine, Infinity);
  machine.settle();
  for (const pin of [...machine.pins]) {
    if (pin.release !== undefined && machine.pins.has(pin)) lifetimes.giveUp(machine, pin);
    machine.settle();
  }
  deferred.runHalves(machine);
  machine.settle();
  const root = () => [...machine.owners].find(({ above, dropped }) => above === undefined && !dropped);
  for (let owner = root(); owner !== undefined; owner = root()) {
    lifetimes.dropOwner(machine, owner);
    machine.settle();
  }
  machine.settle();
  machine.compare();
  memory.compareMemory(machine);
  const { owners, regions, spaces, listeners, notifiers, pins } = machine;
  const left = [...owners, ...regions, ...spaces, ...listeners, ...notifiers, ...pins].map(({ name }) => name);
  assertEquals(left, [], "something is kept");
}
