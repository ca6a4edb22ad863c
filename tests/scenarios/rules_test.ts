/** Rules of lifetimes (LC) for which no scenario is the whole test. */
import { assert, assertEquals, assertThrows } from "@std/assert";
import { isAlive, resolve } from "../../ecs/handle.ts";
import { OwnerKind, owners } from "../../ecs/owner.ts";
import { countOf } from "../../ecs/ref_count.ts";
import { RegionKind } from "../../ecs/region.ts";
import { read } from "../../systems/dma.ts";
import { drop, InUseError, reference, release } from "../../systems/finalize.ts";
import { whyAlive } from "../../systems/inspect.ts";
import { memoryMap } from "../../systems/memory_map.ts";
import { readScope } from "../../systems/scope.ts";
import { createAddressSpace, destroyAddressSpace } from "../../systems/address_spaces.ts";
import { addSubregion, delSubregion, setAddress, setEnabled } from "../../systems/topology.ts";
import { transaction } from "../../systems/transaction.ts";
import { Machine } from "./machine.ts";

Deno.test("LC2 a handler takes its region out between two pieces of one read: the second reaches it, a new read does not", () => {
  const m = new Machine();
  const device = m.own("device");
  const offsets: number[] = [];
  const registers = m.mmio("registers", device, {
    size: 8,
    read(offset) {
      offsets.push(offset);
      if (offset === 0) {
        delSubregion(m.world, m.root, registers);
        drop(m.world, device);
      }
      return 0x11;
    },
  });
  addSubregion(m.world, m.root, 0, m.mmio("below", m.owner, { size: 8, read: () => 0x22 }));
  addSubregion(m.world, m.root, 0, registers, { priority: 1 });
  const bytes = new Uint8Array(8);
  assertEquals(read(m.world, m.space, 0, bytes), 0);
  assertEquals([offsets, [...bytes]], [[0, 4], [0x11, 0, 0, 0, 0x11, 0, 0, 0]]);
  assertEquals([m.load(0), m.finalized], [0x22, ["device"]]);
  m.settle();
});

Deno.test("LC3 pins on regions of a device are pins on the device, one for one, but those on RAM", () => {
  const m = new Machine();
  const device = m.own("device");
  const id = resolve(m.world, device, OwnerKind);
  const registers = [m.mmio("a", device), m.mmio("b", device), m.container("c", device)];
  const ram = m.ram("ram", device);
  registers.forEach((region, i) => {
    for (let pins = 0; pins <= i; pins++) reference(m.world, region, "callback");
  });
  reference(m.world, ram, "callback");
  const own = registers.map((region) => countOf(m.world, resolve(m.world, region, RegionKind), "callback"));
  assertEquals([own, countOf(m.world, id, "callback")], [[1, 2, 3], 6]);
  drop(m.world, device);
  registers.forEach((region, i) => {
    for (let pins = 0; pins <= i; pins++) {
      assertEquals(m.finalized, []);
      release(m.world, region, "callback");
    }
  });
  assertEquals([m.finalized, isAlive(m.world, ram)], [["device"], true]);
  release(m.world, ram, "callback");
  assertEquals(isAlive(m.world, ram), false);
  m.settle();
});

Deno.test("LC7 whatever happens to a region, its owner is the same; only RAM that outlives it has none", () => {
  const m = new Machine();
  const device = m.own("device");
  const foreign = m.container("foreign", m.own("other"));
  const [bar, ram] = [m.mmio("bar", device), m.ram("ram", device)];
  const ownerOf = (region: number) => memoryMap(m.world).regions.find(({ id }) => id === region)?.owner;
  for (const region of [bar, ram]) {
    addSubregion(m.world, foreign, 0, region);
    setAddress(m.world, region, 0x1000);
    delSubregion(m.world, foreign, region);
    addSubregion(m.world, m.root, 0, region);
    delSubregion(m.world, m.root, region);
    assertEquals(ownerOf(region), device);
  }
  reference(m.world, ram, "map");
  drop(m.world, device);
  assertEquals([ownerOf(bar), ownerOf(ram), m.finalized], [undefined, null, ["device"]]);
  assert(whyAlive(m.world, ram).text.includes("map"));
  release(m.world, ram, "map");
  m.settle();
});

Deno.test("LC10 a container that a space is rooted in, or an alias looks at, is not made anew; another is, in an open scope", () => {
  const m = new Machine();
  const device = m.own("device");
  const root = m.container("root", device);
  const space = createAddressSpace(m.world, { name: "dma", root, owner: device });
  assertThrows(() => drop(m.world, root), InUseError, 'it is the root of address space "dma"');
  const target = m.container("target", device);
  const alias = m.alias("alias", device, target, 0, 0x1000);
  assertThrows(() => drop(m.world, target), InUseError, 'it is the target of alias "alias"');
  readScope(m.world, "reader", () => {
    drop(m.world, alias);
    drop(m.world, target);
    destroyAddressSpace(m.world, space);
    drop(m.world, root);
    const again = m.container("root", device);
    assert(again !== root && isAlive(m.world, root), "the old one waits for the reader under its own id");
  });
  assertEquals([root, target, alias].map((region) => isAlive(m.world, region)), [false, false, false]);
  m.settle();
});

Deno.test("LC17 a handler that disables its own region goes on for the whole access; the next one misses it", () => {
  const m = new Machine();
  let calls = 0;
  const registers = m.mmio("registers", m.own("device"), {
    size: 8,
    read() {
      calls++;
      setEnabled(m.world, registers, false);
      return 0x33;
    },
  });
  addSubregion(m.world, m.root, 0, registers);
  const bytes = new Uint8Array(8);
  read(m.world, m.space, 0, bytes);
  assertEquals([calls, bytes[0], bytes[4]], [2, 0x33, 0x33]);
  assertEquals([m.load(0), calls], [0, 2]);
  setEnabled(m.world, registers, true);
  assertEquals(m.load(0), 0x33);
  m.settle();
});

Deno.test("LC30, INV11 the guard is set inside of a handler, and not after, however the handler ends", () => {
  const m = new Machine();
  const device = m.own("device");
  const id = resolve(m.world, device, OwnerKind);
  const isEngaged = () => owners(m.world).guard[id]?.engaged;
  const inside: unknown[] = [];
  const ends: (() => number)[] = [() => 1, () => {
    throw new Error("broken");
  }, () =>
    transaction(m.world, () => {
      throw new Error("broken in a transaction");
    }), () =>
    readScope(m.world, "inner", () => {
      throw new Error("broken in a scope");
    })];
  let next = 0;
  addSubregion(
    m.world,
    m.root,
    0,
    m.mmio("registers", device, {
      read() {
        inside.push(isEngaged());
        return ends[next++]!();
      },
    }),
  );
  for (const _ of ends) {
    m.load(0);
    assertEquals(isEngaged(), false);
  }
  assertEquals([inside, m.faults.splice(0).length], [[true, true, true, true], 3]);
  m.settle();
});
