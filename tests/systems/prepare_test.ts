import { assert, assertEquals, assertThrows } from "@std/assert";
import { containers } from "../../ecs/container.ts";
import { DirtyClient } from "../../ecs/dirty_bitmap.ts";
import { isAlive, resolve } from "../../ecs/handle.ts";
import type { ListenerCallbacks, Section } from "../../ecs/listener.ts";
import { type Region, RegionKind } from "../../ecs/region.ts";
import type { WorldOptions } from "../../ecs/world.ts";
import { deviceById } from "../../ecs/device.ts";
import { defineDevice } from "../../machines/devices/define.ts";
import { TopologyError } from "../../systems/admission.ts";
import { setLog } from "../../systems/dirty_log.ts";
import { startDirtyTracking } from "../../systems/dirty_tracking.ts";
import { load } from "../../systems/dma.ts";
import { drop } from "../../systems/finalize.ts";
import { audit } from "../../systems/inspect.ts";
import { mtreeJson } from "../../systems/mtree.ts";
import { isRealized, plug, unplug } from "../../systems/plug.ts";
import { RefusedError } from "../../systems/prepare.ts";
import { createResizableRam, resizeRam } from "../../systems/ram_kinds.ts";
import { createAddressSpace, registerListener, unregisterListener } from "../../systems/address_spaces.ts";
import { createContainer, createReservation } from "../../systems/create_region.ts";
import {
  addSubregion,
  delSubregion,
  setAddress,
  setAliasOffset,
  setEnabled,
  setReadonly,
  setSize,
} from "../../systems/topology.ts";
import { transaction } from "../../systems/transaction.ts";
import { Machine } from "../scenarios/machine.ts";

/** A machine whose listeners say what they are asked, and refuse the addresses in `refused`. */
class Asked extends Machine {
  readonly refused = new Set<number>();
  readonly log: string[] = [];

  constructor(options: WorldOptions = {}) {
    super({ debug: true, ...options });
  }

  ask(name: string, { priority = 0, space = this.space, ...more }: Partial<ListenerCallbacks> & {
    priority?: number;
    space?: Machine["space"];
  } = {}) {
    const hear = (what: string) => ({ address }: Section) =>
      void this.log.push(`${name} ${what} ${address.toString(16)}`);
    return registerListener(this.world, space, {
      name,
      priority,
      begin: () => this.log.push(`${name} begin`),
      regionPrepare: (section) => {
        hear("prepare")(section);
        if (this.refused.has(section.address)) throw new Error("no slot is free");
      },
      regionCancel: hear("cancel"),
      regionAdd: hear("add"),
      regionDel: hear("del"),
      commit: () => this.log.push(`${name} commit`),
      ...more,
    });
  }

  said(): string[] {
    return this.log.splice(0);
  }

  reserve(name: string, size = 0x1000): Region {
    return createReservation(this.world, { name, size, owner: this.owner });
  }

  add(region: Region, address: number, priority = 0): void {
    addSubregion(this.world, this.root, address, region, { priority });
  }

  /** Everything is as it was: the tree with its order, and what is shown. */
  picture(): unknown {
    return mtreeJson(this.world);
  }
}

Deno.test("W22 a refused range: those before are told to forget it, nothing is announced, the region is in no container", () => {
  const m = new Asked();
  m.ask("first");
  m.ask("second");
  const third = m.ask("third", {
    regionPrepare() {
      m.log.push("third refuses");
      throw new Error("no slot is free");
    },
  });
  m.ask("fourth");
  m.said();
  const bar = m.reserve("bar");
  const error = assertThrows(() => m.add(bar, 0x2000), RefusedError);
  assertEquals(error.message, 'listener "third" refused region "bar" at 0x2000 of "memory": no slot is free');
  assertEquals([error.listener, error.region], ["third", "bar"]);
  assertEquals(m.said(), [
    "first prepare 2000",
    "second prepare 2000",
    "third refuses",
    "second cancel 2000",
    "first cancel 2000",
  ]);
  assertEquals(containers(m.world).container[resolve(m.world, bar, RegionKind)], 0);
  unregisterListener(m.world, third);
  m.said();
  m.add(bar, 0x2000);
  assertEquals(m.said(), [
    ...["first", "second", "fourth"].map((name) => `${name} prepare 2000`),
    ...["first", "second", "fourth"].map((name) => `${name} begin`),
    ...["first", "second", "fourth"].map((name) => `${name} add 2000`),
    ...["first", "second", "fourth"].map((name) => `${name} commit`),
  ]);
  m.settle();
});

Deno.test("W22 a refusal undoes the outermost transaction whole: every kind of change, and the order among equals", () => {
  const m = new Asked();
  const [moved, below, taken, changed] = ["moved", "below", "taken", "changed"].map((name) => m.reserve(name));
  const ram = m.ram("ram", m.owner);
  const window = m.alias("window", m.owner, ram, 0, 0x800);
  m.add(moved!, 0x1000);
  m.add(below!, 0x1000);
  setAddress(m.world, moved!, 0x1800);
  m.add(taken!, 0x4000, 7);
  m.add(changed!, 0x6000);
  m.add(window, 0x8000);
  setEnabled(m.world, taken!, false);
  m.ask("l");
  m.refused.add(0x20000);
  m.said();
  const before = m.picture();
  const loose = m.reserve("loose");
  setAddress(m.world, loose, 0x123);
  assertThrows(
    () =>
      transaction(m.world, () => {
        setAddress(m.world, below!, 0x1400);
        setAddress(m.world, below!, 0x1000);
        transaction(m.world, () => {
          m.add(m.reserve("accepted"), 0x10000);
          setEnabled(m.world, taken!, true);
          delSubregion(m.world, m.root, taken!);
          setSize(m.world, changed!, 0x100);
          setReadonly(m.world, changed!, true);
        });
        setAliasOffset(m.world, window, 0x100);
        setAddress(m.world, loose, 0x456);
        m.add(m.reserve("refused"), 0x20000);
        delSubregion(m.world, m.root, moved!);
        m.add(moved!, 0x9000, -3);
      }),
    RefusedError,
    'refused region "refused" at 0x20000',
  );
  assertEquals(m.picture(), before);
  assertEquals(containers(m.world).address[resolve(m.world, loose, RegionKind)], 0x123);
  assert(m.said().every((line) => /prepare|cancel/.test(line)));
  m.settle();
  m.refused.clear();
  m.add(loose, 0x3000);
  assertEquals(
    m.said(),
    ["l prepare 3000", "l begin", "l add 3000", "l commit"],
    "the refused changes are gone for good",
  );
});

Deno.test("W22 a refusal in one address space undoes what another would have shown, and neither hears of it", () => {
  const m = new Asked();
  const other = m.container("other", m.owner);
  const space = createAddressSpace(m.world, { name: "other", root: other, owner: m.owner });
  m.ask("here");
  m.ask("there", { space });
  m.refused.add(0x7000);
  m.said();
  const [a, b] = [m.reserve("a"), m.reserve("b")];
  assertThrows(
    () =>
      transaction(m.world, () => {
        m.add(a, 0x1000);
        addSubregion(m.world, other, 0x7000, b);
      }),
    RefusedError,
    'listener "there"',
  );
  assertEquals(m.said(), ["here prepare 1000", "there prepare 7000", "here cancel 1000"]);
  m.settle();
});

Deno.test("W22 where the body throws as well, its error goes to the caller and the refusal is reported", () => {
  const m = new Asked();
  m.ask("l");
  m.refused.add(0x1000);
  const before = m.picture();
  const body = () => {
    m.add(m.reserve("a"), 0x1000);
    throw new Error("of the body");
  };
  assertThrows(() => transaction(m.world, body), Error, "of the body");
  assertEquals(m.faults.splice(0).map(({ name }) => name), ["RefusedError"]);
  assertEquals(m.picture(), before);
  m.settle();
});

Deno.test("W22 what a callback adds is refused alone: the transaction that called it stands", () => {
  const m = new Asked();
  const [own, late] = [m.reserve("own"), m.reserve("late")];
  m.ask("l", {
    commit: () => {
      if (containers(m.world).container[resolve(m.world, late, RegionKind)] === 0 && m.log.includes("l add 1000")) {
        m.log.length = 0;
        m.add(late, 0x5000);
      }
    },
  });
  m.refused.add(0x5000);
  m.said();
  m.add(own, 0x1000);
  assertEquals(m.said(), ["l prepare 5000"]);
  assertEquals(m.faults.splice(0).map(({ message }) => message.slice(0, 44)), [
    'listener "l" refused region "late" at 0x5000',
  ]);
  m.settle();
});

Deno.test("W22 a handler is told of the refusal where it made the change, and its access goes on", () => {
  const m = new Asked();
  const bar = m.reserve("bar");
  const caught: unknown[] = [];
  const registers = m.mmio("registers", m.owner, {
    read() {
      try {
        m.add(bar, 0x5000);
      } catch (error) {
        caught.push((error as RefusedError).region);
      }
      return 42;
    },
    write: () => m.add(bar, 0x5000),
  });
  m.add(registers, 0);
  m.ask("l");
  m.refused.add(0x5000);
  assertEquals([m.load(0), caught], [42, ["bar"]]);
  assertEquals(m.store(0, 1), 1, "a handler that does not catch it fails its access");
  assertEquals(m.faults.splice(0).length, 1);
  m.settle();
});

Deno.test("W22 who is asked must not change what it is asked about; it may leave", () => {
  const m = new Asked();
  const other = m.reserve("other");
  const shown = m.ram("ram", m.owner);
  m.add(shown, 0x8000);
  const tries: (() => void)[] = [
    () => m.add(other, 0x4000),
    () => setEnabled(m.world, shown, false),
    () => delSubregion(m.world, m.root, shown),
    () => m.ask("new"),
    () => setLog(m.world, shown, DirtyClient.VGA, true),
    () => startDirtyTracking(m.world, "migration"),
  ];
  for (const attempt of tries) {
    let isReady = false;
    const meddler = m.ask("meddler", { regionPrepare: () => isReady && attempt() });
    isReady = true;
    assertThrows(
      () => m.add(m.reserve("a"), 0x1000),
      RefusedError,
      'while listener "meddler" is asked what it accepts',
    );
    unregisterListener(m.world, meddler);
    audit(m.world);
  }
  m.said();
  let isReady = false;
  const leaver = m.ask("leaver", {
    regionPrepare({ address }) {
      if (isReady && address === 0x2000) unregisterListener(m.world, leaver);
    },
  });
  m.ask("stayer", { priority: 5 });
  isReady = true;
  m.said();
  transaction(m.world, () => {
    m.add(m.reserve("a"), 0x1000);
    m.add(m.reserve("b"), 0x2000);
  });
  assertEquals(m.said().filter((line) => line.startsWith("leaver")), [
    "leaver cancel 1000",
    "leaver begin",
    "leaver del 8000",
    "leaver commit",
  ]);
  m.settle();
});

Deno.test("W22 a listener that comes is asked for what is shown already; refusing that, it is not registered", () => {
  const m = new Asked();
  m.add(m.reserve("a"), 0x1000);
  m.add(m.reserve("b"), 0x3000);
  m.refused.add(0x3000);
  const before = m.entities();
  assertThrows(() => m.ask("l"), RefusedError, 'listener "l" refused region "b"');
  assertEquals(m.said(), ["l prepare 1000", "l prepare 3000", "l cancel 1000"]);
  assertEquals(m.entities(), before);
  m.settle();
});

Deno.test("W22 what is refused of a replay's callbacks is reported: the listener that was replayed comes, or goes, all the same", () => {
  const m = new Asked();
  m.add(m.reserve("shown"), 0x1000);
  m.ask("refuses");
  m.refused.add(0x5000);
  const late = m.reserve("late");
  const before = m.entities();
  const meddle = () => m.add(late, 0x5000);
  const meddler = registerListener(m.world, m.space, { name: "meddler", regionAdd: meddle, regionDel: meddle });
  assertEquals([isAlive(m.world, meddler), m.faults.splice(0).map(({ name }) => name)], [true, ["RefusedError"]]);
  unregisterListener(m.world, meddler);
  assertEquals([isAlive(m.world, meddler), m.faults.splice(0).map(({ name }) => name)], [false, ["RefusedError"]]);
  assertEquals(m.entities(), before);
  m.settle();
});

Deno.test('W22 policy refusedAdd "announced": the refusal is reported, and the range comes all the same', () => {
  const m = new Asked({ policy: { refusedAdd: "announced" } });
  m.refused.add(0x1000);
  m.ask("l");
  m.said();
  m.add(m.reserve("a"), 0x1000);
  assertEquals(m.said(), ["l prepare 1000", "l begin", "l add 1000", "l commit"]);
  m.ask("later");
  assertEquals(m.faults.splice(0).map(({ name }) => name), ["RefusedError", "RefusedError"]);
  m.settle();
});

Deno.test("W22 a death cannot be undone: what it uncovers is announced, and the refusal reported", () => {
  const m = new Asked();
  const cover = m.own("cover");
  const behind = m.container("behind", cover, 0x1000);
  m.add(m.reserve("below"), 0x1000, -1);
  const space = createAddressSpace(m.world, { name: "covered", root: m.root, owner: m.owner });
  addSubregion(m.world, behind, 0, createReservation(m.world, { name: "above", size: 0x1000, owner: cover }));
  const window = m.alias("window", m.owner, behind, 0, 0x1000);
  m.add(window, 0x1000);
  m.ask("l", { space });
  m.refused.add(0x1000);
  m.said();
  drop(m.world, cover);
  assertEquals(m.said(), ["l prepare 1000", "l begin", "l del 1000", "l add 1000", "l commit"]);
  assertEquals(m.faults.splice(0).map(({ name }) => name), ["RefusedError"]);
  assertEquals(m.finalized, ["cover"]);
  m.settle();
});

Deno.test("W22 a device whose registers are refused is not plugged; unplugging one cannot be refused", () => {
  const m = new Asked();
  const type = defineDevice({
    type: "gadget",
    description: "one region",
    state: () => ({}),
    regions: { registers: { size: 0x1000, ops: {} } },
  });
  const at = [{ region: "registers", container: m.root, offset: 0x4000 }];
  m.ask("l");
  m.refused.add(0x4000);
  const before = m.picture();
  assertThrows(() => plug(m.world, type, { id: "g", owner: m.owner, at }), RefusedError);
  assertEquals([m.picture(), deviceById(m.world, "g")], [before, undefined]);
  m.refused.clear();
  m.add(m.ram("ram", m.owner, 0x10000), 0, -1);
  const gadget = plug(m.world, type, { id: "g", owner: m.owner, at });
  assert(isRealized(m.world, gadget));
  m.refused.add(0);
  unplug(m.world, gadget);
  assertEquals([isAlive(m.world, gadget), m.faults.splice(0).length], [false, 1]);
  m.settle();
});

Deno.test("W22 masks that changed in a refused transaction are told all the same; RAM that was resized stays so", () => {
  const m = new Asked();
  const ram = createResizableRam(m.world, { name: "ram", size: 0x1000, maximum: 0x4000, owner: m.owner });
  m.add(ram, 0);
  const masks: number[] = [];
  m.ask("l", { logStart: (_section, _before, after) => void masks.push(after) });
  m.refused.add(0x9000);
  assertThrows(
    () =>
      transaction(m.world, () => {
        setLog(m.world, ram, DirtyClient.VGA, true);
        m.add(m.reserve("a"), 0x9000);
      }),
    RefusedError,
  );
  assertEquals(masks, [1 << DirtyClient.VGA]);
  m.refused.add(0);
  resizeRam(m.world, ram, 0x2000);
  assertEquals(m.faults.splice(0).map(({ name }) => name), ["RefusedError"]);
  assertEquals(load(m.world, m.space, 0x1ffc, 4), 0);
  m.settle();
});

Deno.test("W22 a space made in the refused transaction shows what its root shows after it", () => {
  const m = new Asked();
  const other = createContainer(m.world, { name: "other", size: 0x10000, owner: m.owner });
  m.ask("l");
  m.refused.add(0x9000);
  assertThrows(
    () =>
      transaction(m.world, () => {
        addSubregion(m.world, other, 0x100, m.reserve("x"));
        createAddressSpace(m.world, { name: "new", root: other, owner: m.owner });
        m.add(m.reserve("a"), 0x9000);
      }),
    TopologyError,
  );
  assertEquals(mtreeJson(m.world).map(({ name, ranges }) => [name, ranges.length]), [["memory", 0], ["new", 0]]);
  m.settle();
});
