/** Listeners that leave while they leave, and that come to what ends meanwhile. */
import { assert, assertEquals, assertThrows } from "@std/assert";
import { countEntities, StaleHandleError } from "../../ecs/handle.ts";
import type { Listener } from "../../ecs/listener.ts";
import { createWorld } from "../../ecs/world.ts";
import { addCoalescing, clearCoalescing, setFlushCoalesced } from "../../systems/coalesced.ts";
import { openCoalescedRing } from "../../systems/coalesced_ring.ts";
import { MemTx } from "../../systems/access.ts";
import { startDirtyTracking, stopDirtyTracking } from "../../systems/dirty_tracking.ts";
import { store } from "../../systems/dma.ts";
import { LifetimeError } from "../../systems/finalize.ts";
import { audit } from "../../systems/inspect.ts";
import {
  createAddressSpace,
  destroyAddressSpace,
  registerListener,
  unregisterListener,
} from "../../systems/address_spaces.ts";
import { createContainer, createMmio, createOwner, createRam, ramOf } from "../../systems/create_region.ts";
import { addSubregion, delSubregion } from "../../systems/topology.ts";

Deno.test("a listener that unregisters itself while it is being unregistered is refused, and leaves whole", () => {
  const world = createWorld();
  const root = createRam(world, { name: "ram", size: 16 });
  const space = createAddressSpace(world, { name: "memory", root });
  const told: string[] = [];
  const again = () => assertThrows(() => unregisterListener(world, listener), LifetimeError, '"follower"');
  let isLeaving = false;
  const listener: Listener = registerListener(world, space, {
    name: "follower",
    begin: () => {
      told.push("begin");
      if (isLeaving) again();
    },
    regionDel: () => void told.push("del"),
    commit: () => void told.push("commit"),
  });
  told.length = 0;
  isLeaving = true;
  unregisterListener(world, listener);
  assertEquals(told, ["begin", "del", "commit"]);
  assertThrows(() => unregisterListener(world, listener), StaleHandleError);
});

Deno.test("no listener comes to an address space that the handler of a collected write destroys", () => {
  const world = createWorld();
  openCoalescedRing(world, 1);
  const owner = createOwner(world, { name: "machine" });
  const ops = { write: () => destroyAddressSpace(world, space) };
  const root = createMmio(world, { name: "registers", size: 16, owner, ops, state: undefined });
  const space = createAddressSpace(world, { name: "memory", root, owner });
  addCoalescing(world, root, 0, 16);
  assertEquals(store(world, space, 0, 4, 1), MemTx.OK);
  const before = countEntities(world);
  assertThrows(() => registerListener(world, space, { name: "late", commit: () => {} }), StaleHandleError);
  assertEquals(countEntities(world), before - 1, "the space went, and no listener came");
  audit(world);
});

Deno.test("a callback that ends coalescing and then asks for delivery gets both, in this order", () => {
  const world = createWorld();
  openCoalescedRing(world, 4);
  const root = createContainer(world, { name: "root", size: 0x100 });
  const space = createAddressSpace(world, { name: "memory", root });
  const heard: string[] = [];
  const device = (name: string, at: number) => {
    const ops = { write: () => void heard.push(name) };
    const region = createMmio(world, { name, size: 16, ops, state: undefined });
    addSubregion(world, root, at, region);
    addCoalescing(world, region, 0, 16);
    return region;
  };
  const [first] = [device("first", 0), device("second", 0x20)];
  const extra = createRam(world, { name: "ram", size: 16 });
  registerListener(world, space, {
    name: "follower",
    regionAdd: ({ region }) => {
      if (region !== extra) return;
      clearCoalescing(world, first);
      setFlushCoalesced(world, first, true);
    },
  });
  addSubregion(world, root, 0x40, extra);
  delSubregion(world, root, extra);
  store(world, space, 0x20, 4, 1);
  assert(heard.length === 0, "the write is collected");
  store(world, space, 0, 4, 1);
  assertEquals(heard, ["second", "first"]);
});

Deno.test("a listener is told of the end of tracking once, and only if it was told of the beginning", () => {
  const world = createWorld();
  const root = createRam(world, { name: "ram", size: 16 });
  const space = createAddressSpace(world, { name: "memory", root });
  const told: string[] = [];
  const follow = (name: string, at: "begin" | "logGlobalStart", act: () => void) =>
    registerListener(world, space, {
      name,
      begin: () => at === "begin" && act(),
      logGlobalStart() {
        told.push(`${name} starts`);
        if (at === "logGlobalStart") act();
      },
      logGlobalStop: () => void told.push(`${name} stops`),
    });
  const first = follow("first", "logGlobalStart", () => stopDirtyTracking(world, "migration"));
  follow("second", "begin", () => {});
  startDirtyTracking(world, "migration");
  assertEquals(told.splice(0), ["first starts", "first stops"], "the first ends it at once");
  assertEquals(ramOf(world, root).dirty.mask, 0, "nothing is logged");
  unregisterListener(world, first);
  startDirtyTracking(world, "migration");
  const third = follow("third", "begin", () => stopDirtyTracking(world, "migration"));
  assertEquals(told.splice(0), ["second starts", "second stops"], "the third was never told");
  unregisterListener(world, third);
  follow("fourth", "begin", () => startDirtyTracking(world, "migration"));
  assertEquals(told, ["second starts", "fourth starts"], "once");
  audit(world);
});
