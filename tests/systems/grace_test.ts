/** Grace: small rules of ends and epochs that only a fault would show. */
import { assert, assertEquals, assertThrows } from "@std/assert";
import { isAlive } from "../../ecs/handle.ts";
import { UnbalancedReleaseError } from "../../ecs/ref_count.ts";
import { currentEpoch } from "../../systems/epoch.ts";
import { drop, LifetimeError, onFinalize, reference, release } from "../../systems/finalize.ts";
import { atUnrealize, defineDevice } from "../../machines/devices/define.ts";
import { plug, unplug } from "../../systems/plug.ts";
import { drain, DrainInTransactionError, readScope } from "../../systems/scope.ts";
import { transaction } from "../../systems/transaction.ts";
import { scopeDepth } from "../../systems/epoch.ts";
import { CycleError } from "../../systems/admission.ts";
import { holdersOf } from "../../systems/inspect.ts";
import { createAddressSpace } from "../../systems/address_spaces.ts";
import { addSubregion, delSubregion, setEnabled } from "../../systems/topology.ts";
import { Machine } from "../scenarios/machine.ts";

Deno.test("destructors run once, the last registered first", () => {
  const m = new Machine();
  const device = m.own("device");
  const ran: number[] = [];
  for (const number of [1, 2, 3]) onFinalize(m.world, device, () => ran.push(number));
  drop(m.world, device);
  assertEquals(ran, [3, 2, 1]);
  m.settle();
});

Deno.test("an inner scope does not hurry the outer one", () => {
  const m = new Machine();
  const device = m.own("device");
  readScope(m.world, "outer", () => {
    drop(m.world, device);
    readScope(m.world, "inner", () => {});
    readScope(m.world, "another", () => drop(m.world, m.own("other")));
    assertEquals(m.finalized, [], "the outer scope may still see both");
  });
  assertEquals(m.finalized, ["other", "device"]);
  m.settle();
});

Deno.test("a scope whose body throws is closed", () => {
  const m = new Machine();
  assertThrows(() =>
    readScope(m.world, "broken", () => {
      drop(m.world, m.own("device"));
      throw new RangeError("broken");
    }), RangeError);
  assertEquals([scopeDepth(m.world), m.finalized], [0, ["device"]]);
  m.settle();
});

Deno.test("every change of a view moves the epoch, one in which something only came too", () => {
  const m = new Machine();
  const region = m.mmio("x", m.owner);
  const steps = [
    () => addSubregion(m.world, m.root, 0, region),
    () => setEnabled(m.world, region, false),
    () => setEnabled(m.world, region, true),
    () => delSubregion(m.world, m.root, region),
  ];
  for (const step of steps) {
    const before = currentEpoch(m.world);
    step();
    assert(currentEpoch(m.world) > before);
  }
});

Deno.test("a release without a pin is refused, and changes nothing", () => {
  const m = new Machine();
  const device = m.own("device");
  const region = m.mmio("x", device);
  assertThrows(() => release(m.world, region, "map"), UnbalancedReleaseError, '"x" has no map reference');
  reference(m.world, region, "map");
  assertThrows(() => release(m.world, region, "cache"), UnbalancedReleaseError);
  assertThrows(() => release(m.world, region, "map", device), UnbalancedReleaseError, 'by "device"');
  drop(m.world, device);
  assertEquals(m.finalized, []);
  release(m.world, region, "map");
  assertEquals(m.finalized, ["device"]);
  m.settle();
});

Deno.test("siblings that hold each other's parts end together with the family", () => {
  const m = new Machine();
  const family = m.own("family");
  const [a, b] = [m.own("a", family), m.own("b", family)];
  addSubregion(m.world, m.container("view of a", a), 0, m.mmio("part of b", b));
  drop(m.world, family);
  assertEquals(m.finalized, ["b", "a", "family"]);
  m.settle();
});

Deno.test("a region can be taken out of a container that was dropped and is still pinned", () => {
  const m = new Machine();
  const [bridge, device] = [m.own("bridge"), m.own("device")];
  const window = m.container("window", bridge);
  const bar = m.mmio("bar", device);
  addSubregion(m.world, window, 0, bar);
  reference(m.world, window, "map");
  drop(m.world, window);
  delSubregion(m.world, window, bar);
  drop(m.world, device);
  assertEquals(m.finalized, ["device"]);
  const attach = () => addSubregion(m.world, window, 0, m.mmio("late", bridge));
  assertThrows(
    attach,
    LifetimeError,
    'cannot add "late" to "window": region "window" was dropped: it is there only for',
  );
  release(m.world, window, "map");
  m.settle();
});

Deno.test("an edge to an owner above is counted nowhere, and no reason why that owner lives", () => {
  const m = new Machine();
  const hart = m.own("hart");
  createAddressSpace(m.world, { name: "hart", root: m.root, owner: hart });
  addSubregion(m.world, m.container("view", hart), 0, m.mmio("x", m.owner));
  assertEquals(holdersOf(m.world, m.owner).map(({ kind }) => kind), ["external"]);
});

Deno.test("a cycle through an owner below: what is owned lives with its owner", () => {
  const m = new Machine();
  const [target, holder] = [m.backend("target"), m.backend("holder")];
  const child = m.own("child", target);
  addSubregion(m.world, m.container("of child", child), 0, m.mmio("of holder", holder));
  const error = assertThrows(
    () => addSubregion(m.world, m.container("view", holder), 0, m.mmio("of target", target)),
    CycleError,
  );
  assertEquals(error.path, ["holder", "target", "child", "holder"]);
  drop(m.world, holder);
  drop(m.world, target);
  assertEquals(m.finalized, ["child", "target", "holder"]);
});

Deno.test("a device whose owner was dropped before it is unplugged whole, in a scope and outside", () => {
  for (const isInScope of [false, true]) {
    const m = new Machine();
    const bridge = m.own("bridge");
    const before = m.entities() - 1;
    const undone: boolean[] = [];
    const type = defineDevice({
      type: "leaf",
      description: "notes that it is still there when it is taken apart",
      state: () => ({}),
      regions: { registers: { size: 16, registers: [] } },
      realize: (d) => atUnrealize(d, () => undone.push(isAlive(m.world, d.device))),
    });
    const at = [{ region: "registers", container: m.root, offset: 0 }];
    const leaf = plug(m.world, type, { id: "leaf", owner: bridge, at });
    drop(m.world, bridge);
    assertEquals(isAlive(m.world, bridge), true, "its leaf is mapped");
    if (isInScope) readScope(m.world, "eject", () => unplug(m.world, leaf));
    else unplug(m.world, leaf);
    assertEquals([undone, m.finalized, m.entities()], [[true], ["bridge"], before]);
    m.settle();
  }
});

Deno.test("an alias whose target ended shows what is below it", () => {
  const m = new Machine();
  const device = m.own("device");
  addSubregion(m.world, m.root, 0, m.mmio("below", m.owner, { read: () => 0x77 }));
  const alias = m.alias("window", m.owner, m.mmio("target", device, { read: () => 0x11 }), 0, 0x1000);
  addSubregion(m.world, m.root, 0, alias, { priority: 1 });
  assertEquals(m.load(0), 0x11);
  drop(m.world, device);
  assertEquals(m.load(0), 0x77);
  m.settle();
});

Deno.test("what is attached to a region that is being finalized is refused, and the refusal names both", () => {
  const m = new Machine();
  const bridge = m.own("bridge");
  const window = m.container("window", bridge);
  readScope(m.world, "reader", () => {
    drop(m.world, bridge);
    const attach = () => addSubregion(m.world, window, 0, m.mmio("late", m.owner));
    assertThrows(attach, LifetimeError, 'cannot add "late" to "window": region "window" is being finalized');
  });
  m.settle();
});

Deno.test("drain in an open transaction is an immediate error that names who opened the outermost one", () => {
  const m = new Machine();
  const open = () => transaction(m.world, () => transaction(m.world, () => drain(m.world)));
  const error = assertThrows(open, DrainInTransactionError, "opened at");
  assert(/opened at .*open .*tests\/systems\/grace_test\.ts:\d+:\d+/.test(error.message), error.message);
});
