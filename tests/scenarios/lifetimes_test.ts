/** Scenarios of families 3.1 and 3.7, and rules LC1–LC32: who lives how long, and why. */
import { assert, assertEquals, assertThrows } from "@std/assert";
import type { AddressSpace } from "../../ecs/address_space.ts";
import { countEntities, isAlive, StaleHandleError } from "../../ecs/handle.ts";
import type { Owner } from "../../ecs/owner.ts";
import { createGuestMemory, OutOfGuestMemoryError } from "../../ecs/ram_block.ts";
import type { Region } from "../../ecs/region.ts";
import { MemTx } from "../../systems/access.ts";
import { CycleError } from "../../systems/admission.ts";
import { disposeWorld } from "../../systems/dispose.ts";
import { load, store } from "../../systems/dma.ts";
import { drop, InUseError, LifetimeError, onFinalize, reference, release } from "../../systems/finalize.ts";
import { audit, whyAlive } from "../../systems/inspect.ts";
import { mtree } from "../../systems/mtree.ts";
import { retiredQueue } from "../../systems/retire.ts";
import {
  announce,
  closeScope,
  drain,
  DrainInScopeError,
  openScope,
  readScope,
  registerReader,
  unregisterReader,
} from "../../systems/scope.ts";
import { createAddressSpace, registerListener } from "../../systems/address_spaces.ts";
import { createAlias, createContainer, createMmio, createRam, ramOf } from "../../systems/create_region.ts";
import { addSubregion, delSubregion, setAddress } from "../../systems/topology.ts";
import { Stage } from "./machine.ts";

class Machine extends Stage {
  constructor() {
    super({}, 2 ** 32);
  }

  container(name: string, owner: Owner): Region {
    return createContainer(this.world, { name, size: 0x10000, owner });
  }

  mmio(name: string, owner: Owner, write: (value: number) => void = () => {}): Region {
    const ops = { write: (_: undefined, _offset: number, value: number | bigint) => write(Number(value)) };
    return createMmio(this.world, { name, size: 0x1000, owner, ops, state: undefined });
  }
}

Deno.test("S01, S140 a device with its own container finalizes once, in every order of adding, and nothing is rebuilt (LC4, LC5)", () => {
  for (let order = 0; order < 24; order++) {
    const m = new Machine();
    let commits = 0;
    registerListener(m.world, m.space, { name: "l", commit: () => commits++ });
    const before = countEntities(m.world);
    commits = 0;
    const device = m.own("imx7.analog");
    const bank = m.container("imx7.analog", device);
    const children = ["analog", "pmu", "digprog"].map((name) => m.mmio(name, device));
    for (let left = 3, code = order; left > 0; left--) {
      const [child] = children.splice(code % left, 1);
      code = Math.floor(code / left);
      if (child !== undefined) addSubregion(m.world, bank, left * 0x200, child);
    }
    drop(m.world, device);
    assertEquals([m.finalized, countEntities(m.world), commits], [["imx7.analog"], before, 0]);
    audit(m.world);
  }
});

Deno.test("S02, S146 a region in a foreign container keeps its owner; whyAlive names container and address", () => {
  const m = new Machine();
  const device = m.own("device");
  const region = m.mmio("registers", device);
  addSubregion(m.world, m.root, 0x4000, region);
  drop(m.world, device);
  assertEquals(m.finalized, []);
  assertEquals(whyAlive(m.world, device).chain.map((reason) => [reason.kind, reason.name]), [
    ["container", "device"],
    ["external", "machine"],
  ]);
  assert(whyAlive(m.world, device).text.includes('"registers" of "device" is in "system" at 0x4000'));
  delSubregion(m.world, m.root, region);
  assertEquals(m.finalized, ["device"]);
  audit(m.world);
});

Deno.test("S20, S21 the container's owner finalizes first: the foreign region is released (LC6)", () => {
  const m = new Machine();
  const [bridge, device] = [m.own("bridge"), m.own("device")];
  const window = m.container("window", bridge);
  addSubregion(m.world, window, 0, m.mmio("registers", device));
  drop(m.world, device);
  assertEquals(m.finalized, []);
  drop(m.world, bridge);
  assertEquals(m.finalized, ["bridge", "device"]);
  audit(m.world);
});

Deno.test("LC1, LC20 a handler that drops its own device finishes on living state; finalize comes after the scope", () => {
  const m = new Machine();
  const device = m.own("device");
  const steps: string[] = [];
  const region = m.mmio("registers", device, () => {
    delSubregion(m.world, m.root, region);
    drop(m.world, device);
    steps.push(`in handler: ${m.finalized.length} finalized, ${isAlive(m.world, device) ? "alive" : "dead"}`);
    assertEquals(store(m.world, m.space, 0, 4, 0), MemTx.DECODE_ERROR);
  });
  addSubregion(m.world, m.root, 0, region);
  assertEquals(store(m.world, m.space, 0, 4, 1), MemTx.OK);
  assertEquals([steps, m.finalized, m.faults], [["in handler: 0 finalized, alive"], ["device"], []]);
  audit(m.world);
});

Deno.test("S150, LC32 a bridge is unplugged inside of a leaf's handler: all finish after it, leaf, bus, bridge", () => {
  const m = new Machine();
  const bridge = m.own("bridge");
  const bus = m.own("bus", bridge);
  const leaf = m.own("leaf", bus);
  const window = m.container("window", bridge);
  const region = m.mmio("registers", leaf, () => {
    delSubregion(m.world, m.root, window);
    drop(m.world, bridge);
    assertEquals(m.finalized, []);
  });
  addSubregion(m.world, window, 0, region);
  addSubregion(m.world, m.root, 0, window);
  assertEquals(store(m.world, m.space, 0, 4, 1), MemTx.OK);
  assertEquals(m.finalized, ["leaf", "bus", "bridge"]);
  audit(m.world);
});

Deno.test("ownership cycles over counted edges are refused, the path named, nothing changed", () => {
  const m = new Machine();
  const [a, b, c] = [m.own("A"), m.own("B"), m.own("C")];
  addSubregion(m.world, m.container("a", a), 0, m.container("b", b));
  const inB = m.container("in B", b);
  addSubregion(m.world, inB, 0, m.mmio("c", c));
  const before = mtree(m.world);
  const error = assertThrows(
    () => addSubregion(m.world, m.container("in C", c), 0, m.mmio("more of A", a)),
    CycleError,
  );
  assertEquals(error.path, ["C", "A", "B", "C"]);
  assertEquals(mtree(m.world), before);
  audit(m.world);
  for (const owner of [a, b, c]) drop(m.world, owner);
  assertEquals(m.finalized.toSorted(), ["A", "B", "C"]);
});

Deno.test("the cross-owner sandwich a ∋ b ∋ a is refused at its second slice", () => {
  const m = new Machine();
  const [a, b] = [m.backend("A"), m.backend("B")];
  const [bread, filling, lid] = [m.container("bread", a), m.container("filling", b), m.container("lid", a)];
  addSubregion(m.world, bread, 0, filling);
  const error = assertThrows(() => addSubregion(m.world, filling, 0, lid), CycleError);
  assertEquals(error.path, ["B", "A", "B"]);
  addSubregion(m.world, bread, 0x8000, lid);
  drop(m.world, b);
  drop(m.world, a);
  assertEquals(m.finalized, ["A", "B"]);
});

Deno.test("a cycle through an owner above: what pins a child delays its parent", () => {
  const m = new Machine();
  const backend = m.backend("backend");
  const device = m.own("device");
  addSubregion(m.world, m.container("of backend", backend), 0, m.mmio("registers", device));
  const error = assertThrows(() => addSubregion(m.world, m.root, 0, m.mmio("memory", backend)), CycleError);
  assertEquals(error.path, ["machine", "backend", "device", "machine"]);
  drop(m.world, m.owner);
  assertEquals(m.finalized, [], "the device below is pinned by the backend");
  drop(m.world, backend);
  assertEquals(m.finalized, ["backend", "device"]);
});

Deno.test("an edge to an owner above is not counted: a hart's space on the machine's memory keeps nobody", () => {
  const m = new Machine();
  const hart = m.own("hart");
  const space = createAddressSpace(m.world, { name: "hart", root: m.root, owner: hart });
  addSubregion(m.world, m.container("view", hart), 0, m.container("of machine", m.owner));
  assertEquals(load(m.world, space, 0, 4), 0);
  audit(m.world);
  drop(m.world, m.owner);
  assertEquals([m.finalized, countEntities(m.world)], [["hart"], 0]);
});

Deno.test("S145, LC12 a device with a space on its own region finalizes without being realized", () => {
  const m = new Machine();
  const device = m.own("device");
  createAddressSpace(m.world, { name: "own", root: m.container("own", device), owner: device });
  drop(m.world, device);
  assertEquals(m.finalized, ["device"]);
  audit(m.world);
});

Deno.test("S61 a pin on one's own region keeps a dropped device, whyAlive says so, and its release ends it", () => {
  const m = new Machine();
  const device = m.own("device");
  const bar = m.mmio("bar", device);
  reference(m.world, bar, "map", device);
  drop(m.world, device);
  assertEquals(m.finalized, []);
  assert(whyAlive(m.world, device).text.includes('"device" holds a map pin on "bar"'));
  release(m.world, bar, "map", device);
  assertEquals(m.finalized, ["device"]);
});

Deno.test("S144 a leaked pin of every kind is reported with its kind and holder", () => {
  for (const kind of ["map", "cache", "listener", "callback", "external"] as const) {
    const m = new Machine();
    const [device, holder] = [m.own("device"), m.own("holder")];
    const region = m.mmio("registers", device);
    reference(m.world, region, kind, holder);
    drop(m.world, device);
    const [reason] = whyAlive(m.world, device).chain;
    assertEquals([reason?.kind, reason?.holder], [kind, holder]);
    audit(m.world);
    drop(m.world, holder);
    assertEquals(m.finalized, ["holder", "device"], "a dead holder holds nothing");
  }
});

Deno.test("LC14, S58 pinned RAM outlives its owner, bytes and all; its range is zeroed when the pin is released", () => {
  const m = new Machine();
  const memory = createGuestMemory(0x20000);
  const device = m.own("device");
  const ram = createRam(m.world, { name: "bar2", size: 0x1000, owner: device, memory });
  const { bytes, offset } = ramOf(m.world, ram);
  addSubregion(m.world, m.root, 0, ram);
  store(m.world, m.space, 4, 4, 0xdeadbeef);
  reference(m.world, ram, "map");
  delSubregion(m.world, m.root, ram);
  drop(m.world, device);
  assertEquals([m.finalized, isAlive(m.world, ram), bytes[4]], [["device"], true, 0xef]);
  audit(m.world);
  release(m.world, ram, "map");
  assertEquals([isAlive(m.world, ram), memory.bytes[offset + 4]], [false, 0]);
  assertEquals(memory.gaps, [{ start: 0, end: 0x20000 }]);
});

Deno.test("S135 RAM that dies inside a scope keeps its bytes until the scope closes", () => {
  const m = new Machine();
  const memory = createGuestMemory(0x10000);
  const device = m.own("device");
  const ram = createRam(m.world, { name: "ram", size: 0x1000, owner: device, memory });
  ramOf(m.world, ram).bytes.fill(7);
  const { offset } = ramOf(m.world, ram);
  readScope(m.world, "reader", () => {
    drop(m.world, device);
    assertEquals(memory.bytes[offset], 7);
    assertThrows(() => addSubregion(m.world, m.root, 0, ram), LifetimeError);
  });
  assertEquals(memory.bytes[offset], 0);
  assertThrows(() => ramOf(m.world, ram), StaleHandleError, '"ram" is stale');
});

Deno.test("a pin below delays the owner above, which is finalized with it later", () => {
  const m = new Machine();
  const device = m.own("device");
  const region = m.mmio("registers", device);
  reference(m.world, region, "cache");
  drop(m.world, m.owner);
  assertEquals(m.finalized, []);
  assert(whyAlive(m.world, m.owner).text.includes('"machine" waits for "device" below it'));
  release(m.world, region, "cache");
  assertEquals([m.finalized, countEntities(m.world)], [["device"], 0]);
});

Deno.test("S18 drain in a scope is an immediate error that names the opener; outside it resolves after finalize (LC22)", async () => {
  const m = new Machine();
  readScope(m.world, "bench", () => {
    assertThrows(() => drain(m.world), DrainInScopeError, 'scope "bench"');
  });
  const device = m.own("device");
  const scope = openScope(m.world, "slow reader");
  drop(m.world, device);
  let drained = false;
  const done = drain(m.world).then(() => drained = true);
  await Promise.resolve();
  assertEquals([drained, m.finalized], [false, []]);
  closeScope(m.world, scope);
  await done;
  assertEquals(m.finalized, ["device"]);
});

Deno.test("a hart that has not caught up delays reclaim; announcing ends the wait", () => {
  const m = new Machine();
  const hart = registerReader(m.world, "hart 0");
  announce(m.world, hart);
  const device = m.own("device");
  drop(m.world, device);
  assertEquals(m.finalized, []);
  assert(whyAlive(m.world, device).text.includes('reader "hart 0"'));
  announce(m.world, hart);
  assertEquals(m.finalized, ["device"]);
  unregisterReader(m.world, hart);
});

Deno.test("S139 scopes close in any order: what was retired goes when the oldest that could see it has gone", () => {
  const m = new Machine();
  const [first, second] = [openScope(m.world, "first"), openScope(m.world, "second")];
  drop(m.world, m.own("early"));
  const third = openScope(m.world, "third");
  drop(m.world, m.own("late"));
  closeScope(m.world, second);
  assertEquals(m.finalized, []);
  closeScope(m.world, first);
  assertEquals(m.finalized, ["early"]);
  closeScope(m.world, third);
  assertEquals(m.finalized, ["early", "late"]);
});

Deno.test("S141 ten thousand commits under an open scope are all reclaimed when it closes (LC23)", () => {
  const m = new Machine();
  const region = m.mmio("x", m.owner);
  addSubregion(m.world, m.root, 0, region);
  const scope = openScope(m.world, "long");
  for (let i = 0; i < 10_000; i++) setAddress(m.world, region, (i & 1) * 0x2000 + 0x2000);
  assertEquals(retiredQueue(m.world).length, 10_000);
  assertEquals(Math.max(...retiredQueue(m.world).map(({ ranges }) => ranges.length)), 1);
  closeScope(m.world, scope);
  assertEquals(retiredQueue(m.world).length, 0);
});

Deno.test("S142 a destructor that tries to resurrect, or to change the topology, is reported; finalize happens once", () => {
  const m = new Machine();
  const device = m.own("device");
  onFinalize(m.world, device, () => reference(m.world, device, "external"));
  onFinalize(m.world, device, () => addSubregion(m.world, m.root, 0, m.mmio("x", m.owner)));
  drop(m.world, device);
  assertEquals(m.finalized, ["device"]);
  assertEquals(m.faults.map((fault) => fault.name), ["DestructorError", "DestructorError"]);
  audit(m.world);
});

Deno.test("a destructor may enqueue: what it drops is finalized in the next batch, without recursion", () => {
  const m = new Machine();
  let next = m.backend("0");
  const last = next;
  for (let i = 1; i <= 5000; i++) {
    const below = next;
    next = m.backend(`${i}`);
    onFinalize(m.world, next, () => drop(m.world, below));
  }
  drop(m.world, next);
  assertEquals([m.finalized.length, m.finalized.at(-1), isAlive(m.world, last)], [5001, "0", false]);
});

Deno.test("S143 dropping twice throws, as does dropping what is static, contained, aliased or a root (LC8, LC28)", () => {
  const m = new Machine();
  const device = m.own("device");
  const scope = openScope(m.world, "scope");
  drop(m.world, device);
  assertThrows(() => drop(m.world, device), LifetimeError, '"device" was dropped before');
  closeScope(m.world, scope);
  assertThrows(() => drop(m.world, device), StaleHandleError, '"device" is stale');
  const fixed = createContainer(m.world, { name: "fixed", size: 1 });
  assertThrows(() => drop(m.world, fixed), LifetimeError, "static");
  const region = m.mmio("x", m.owner);
  addSubregion(m.world, m.root, 0x100, region);
  assertThrows(() => drop(m.world, region), InUseError, '"x": it is in "system" at 0x100');
  assertThrows(() => drop(m.world, m.root), InUseError, 'root of address space "memory"');
  const target = m.mmio("target", m.owner);
  createAlias(m.world, { name: "window", target, offset: 0, size: 1, owner: m.owner });
  assertThrows(() => drop(m.world, target), InUseError, 'target of alias "window"');
});

Deno.test("LC11 an alias whose target is finalized shows a hole", () => {
  const m = new Machine();
  const device = m.own("device");
  const ram = createRam(m.world, { name: "ram", size: 0x1000, owner: device });
  addSubregion(
    m.world,
    m.root,
    0,
    createAlias(m.world, { name: "a", target: ram, offset: 0, size: 0x1000, owner: m.owner }),
  );
  assertEquals(store(m.world, m.space, 0, 4, 1), MemTx.OK);
  drop(m.world, device);
  assertEquals([m.finalized, store(m.world, m.space, 0, 4, 1)], [["device"], MemTx.DECODE_ERROR]);
  audit(m.world);
});

Deno.test("S147 a stale handle is told by its generation, and the error has the old name", () => {
  const m = new Machine();
  const old = m.mmio("old", m.owner);
  drop(m.world, old);
  const heir = m.mmio("heir", m.owner);
  assertEquals(heir % 2 ** 24, old % 2 ** 24, "the id is used again");
  assertThrows(() => addSubregion(m.world, m.root, 0, old), StaleHandleError, 'region "old" is stale');
  addSubregion(m.world, m.root, 0, heir);
  assertThrows(() => load(m.world, m.owner as number as AddressSpace, 0, 4), StaleHandleError, '"machine" is not a');
});

Deno.test("disposeWorld ends everything, whoever counts on it, and a thousand worlds leave nothing behind", () => {
  for (let i = 0; i < 1000; i++) {
    const m = new Machine();
    const device = m.own("device");
    const region = m.mmio("registers", device);
    addSubregion(m.world, m.root, 0, region);
    reference(m.world, region, "map");
    announce(m.world, registerReader(m.world, "hart"));
    disposeWorld(m.world);
    assertEquals([m.finalized, countEntities(m.world), retiredQueue(m.world).length], [["device"], 0, 0]);
    if (i === 0) audit(m.world);
  }
});

Deno.test("S137 a RAM region that is refused takes no memory and leaves no entity", () => {
  const m = new Machine();
  const memory = createGuestMemory(0x10000);
  const before = countEntities(m.world);
  const dead = m.own("dead");
  drop(m.world, dead);
  assertThrows(() => createRam(m.world, { name: "ram", size: 0x1000, owner: dead, memory }), StaleHandleError);
  assertThrows(() => createRam(m.world, { name: "ram", size: 0x20000, owner: m.owner, memory }), OutOfGuestMemoryError);
  assertEquals([memory.gaps, countEntities(m.world)], [[{ start: 0, end: 0x10000 }], before]);
});

Deno.test("an owner dropped below a dropped owner is finalized once, with it", () => {
  const m = new Machine();
  const bus = m.own("bus");
  const device = m.own("device", bus);
  reference(m.world, device, "map");
  drop(m.world, device);
  drop(m.world, bus);
  const before = countEntities(m.world);
  release(m.world, device, "map");
  assertEquals([m.finalized, countEntities(m.world)], [["device", "bus"], before - 2]);
  audit(m.world);
});
