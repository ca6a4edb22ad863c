/** Scenarios of family 3.5: transactions and listeners. */
import { assertEquals, assertThrows } from "@std/assert";
import type { AddressSpace } from "../../ecs/address_space.ts";
import type { Section } from "../../ecs/listener.ts";
import type { Region } from "../../ecs/region.ts";
import type { Policy } from "../../ecs/world.ts";
import { load } from "../../systems/dma.ts";
import { InUseError } from "../../systems/finalize.ts";
import { audit } from "../../systems/inspect.ts";
import {
  createAddressSpace,
  destroyAddressSpace,
  registerListener,
  unregisterListener,
} from "../../systems/address_spaces.ts";
import { createContainer, createMmio, createRam } from "../../systems/create_region.ts";
import { addSubregion, delSubregion, setAddress, setEnabled, setReadonly, setSize } from "../../systems/topology.ts";
import { transaction } from "../../systems/transaction.ts";
import { Stage } from "./machine.ts";

class Machine extends Stage {
  readonly log: string[] = [];

  constructor(policy: Partial<Policy> = {}) {
    super({ policy }, 2 ** 32);
  }

  region(name: string, size = 0x1000): Region {
    return createMmio(this.world, { name, size, owner: this.owner, ops: { read: () => 1 }, state: undefined });
  }

  /** A listener that writes what it hears. */
  listen(name: string, options: { priority?: number; space?: AddressSpace; nops?: boolean } = {}) {
    const { priority = 0, space = this.space, nops = false } = options;
    const hear = (what: string) => (section: Section) =>
      this.log.push(`${name} ${what} ${section.address.toString(16)}+${section.size.toString(16)}`);
    return registerListener(this.world, space, {
      name,
      priority,
      begin: () => this.log.push(`${name} begin`),
      regionAdd: hear("add"),
      regionDel: hear("del"),
      ...(nops ? { regionNop: hear("nop") } : {}),
      commit: () => this.log.push(`${name} commit`),
    });
  }

  heard(): string[] {
    return this.log.splice(0);
  }
}

Deno.test("S103 ten mutations in three nested transactions are one commit", () => {
  const m = new Machine();
  m.listen("l");
  m.heard();
  transaction(m.world, () => {
    transaction(m.world, () =>
      transaction(m.world, () => {
        for (let i = 0; i < 10; i++) addSubregion(m.world, m.root, i * 0x2000, m.region(`${i}`));
      }));
    assertEquals(m.heard(), []);
  });
  const heard = m.heard();
  assertEquals([heard.length, heard[0], heard.at(-1)], [12, "l begin", "l commit"]);
});

Deno.test("S104 a transaction without changes says nothing; S106 nor does a change of a detached tree", () => {
  const m = new Machine();
  m.listen("l");
  m.heard();
  transaction(m.world, () => {});
  const detached = createContainer(m.world, { name: "detached", size: 0x10000, owner: m.owner });
  addSubregion(m.world, detached, 0, m.region("x"));
  assertEquals(m.heard(), []);
});

Deno.test("S106 [C] notifyAllListeners: a change of a detached tree is a begin and a commit; one of what is disabled is not", () => {
  const m = new Machine({ notifyAllListeners: true });
  m.listen("l");
  m.heard();
  const detached = createContainer(m.world, { name: "detached", size: 0x10000, owner: m.owner });
  const region = m.region("x");
  addSubregion(m.world, detached, 0, region);
  assertEquals(m.heard(), ["l begin", "l commit"]);
  setEnabled(m.world, region, false);
  assertEquals(m.heard(), ["l begin", "l commit"]);
  setAddress(m.world, region, 0x100);
  transaction(m.world, () => {});
  assertEquals(m.heard(), []);
  audit(m.world);
});

Deno.test("S107 during regionAdd the space shows the old view, in commit the new one", () => {
  const m = new Machine();
  const seen: number[] = [];
  registerListener(m.world, m.space, {
    name: "l",
    regionAdd: () => seen.push(load(m.world, m.space, 0, 4)),
    commit: () => seen.push(load(m.world, m.space, 0, 4)),
  });
  seen.length = 0;
  addSubregion(m.world, m.root, 0, m.region("x"));
  assertEquals(seen, [0, 1]);
});

Deno.test("S108 a change made in a callback is a second commit, and folds stay right", () => {
  const m = new Machine();
  const other = m.region("other");
  addSubregion(m.world, m.root, 0x8000, other);
  registerListener(m.world, m.space, { name: "meddler", regionAdd: () => setEnabled(m.world, other, false) });
  assertEquals(load(m.world, m.space, 0x8000, 4), 0, "the replay called it");
  setEnabled(m.world, other, true);
  m.listen("l");
  m.heard();
  addSubregion(m.world, m.root, 0, m.region("x"));
  assertEquals(m.heard(), ["l begin", "l add 0+1000", "l commit"]);
  audit(m.world);
});

Deno.test("S108 what a callback changes during a replay waits until the replay has ended", () => {
  const m = new Machine();
  const high = m.region("high");
  addSubregion(m.world, m.root, 0, m.region("low"));
  addSubregion(m.world, m.root, 0x8000, high);
  const meddler = registerListener(m.world, m.space, {
    name: "meddler",
    begin: () => m.log.push("begin"),
    regionAdd({ address }) {
      m.log.push(`add ${address.toString(16)}`);
      setEnabled(m.world, high, false);
    },
    regionDel({ address }) {
      m.log.push(`del ${address.toString(16)}`);
      if (address === 0) setEnabled(m.world, high, true);
    },
    commit: () => m.log.push("commit"),
  });
  assertEquals(m.heard(), ["begin", "add 0", "add 8000", "commit", "begin", "del 8000", "commit"]);
  unregisterListener(m.world, meddler);
  assertEquals(m.heard(), ["begin", "del 0", "commit"]);
  assertEquals([m.faults, load(m.world, m.space, 0x8000, 4)], [[], 1]);
});

Deno.test("S108 callbacks that change the topology for ever are stopped and reported", () => {
  const m = new Machine();
  const region = m.region("x");
  addSubregion(m.world, m.root, 0, region);
  let turn = 0;
  registerListener(m.world, m.space, {
    name: "restless",
    commit: () => setAddress(m.world, region, (++turn & 1) * 0x1000),
  });
  assertEquals(m.faults.map((fault) => fault.name), ["RunawayCommitError"]);
});

Deno.test("S109 a listener that is unregistered in a callback hears nothing more, all others hear everything (LC21)", () => {
  const m = new Machine();
  const first = m.listen("first");
  const self = registerListener(m.world, m.space, {
    name: "middle",
    regionAdd() {
      m.log.push("middle add");
      unregisterListener(m.world, first);
      unregisterListener(m.world, last);
      unregisterListener(m.world, self);
    },
    commit: () => m.log.push("middle commit"),
  });
  const last = m.listen("last");
  m.listen("after");
  m.heard();
  addSubregion(m.world, m.root, 0, m.region("x"));
  assertEquals(m.heard(), [
    "first begin",
    "last begin",
    "after begin",
    "first add 0+1000",
    "middle add",
    "after add 0+1000",
    "after commit",
  ]);
  assertEquals(m.faults, []);
  audit(m.world);
});

Deno.test("S109 a listener that is unregistered in another's commit callback has its own commit first", () => {
  const m = new Machine();
  let isOver = false;
  registerListener(m.world, m.space, {
    name: "first",
    commit() {
      if (isOver || m.log.length === 0) return;
      isOver = true;
      unregisterListener(m.world, victim);
    },
  });
  const victim = m.listen("victim");
  m.heard();
  addSubregion(m.world, m.root, 0, m.region("x"));
  const told = ["victim begin", "victim add 0+1000", "victim commit"];
  assertEquals(m.heard(), [...told, "victim begin", "victim del 0+1000", "victim commit"]);
  audit(m.world);
});

Deno.test("a listener that is registered in a callback hears the new view once it is published", () => {
  const m = new Machine();
  let late = 0;
  registerListener(m.world, m.space, { name: "l", regionAdd: () => late++ === 0 && m.listen("late") });
  addSubregion(m.world, m.root, 0, m.region("x"));
  assertEquals(m.heard(), ["late begin", "late add 0+1000", "late commit"]);
});

Deno.test("S110 registering replays the view ascending; S111 unregistering replays it as removed", () => {
  const m = new Machine();
  for (const at of [0x6000, 0x2000, 0x4000]) addSubregion(m.world, m.root, at, m.region(`${at}`));
  const listener = m.listen("l");
  const adds = ["l add 2000+1000", "l add 4000+1000", "l add 6000+1000"];
  assertEquals(m.heard(), ["l begin", ...adds, "l commit"]);
  unregisterListener(m.world, listener);
  assertEquals(m.heard(), ["l begin", ...adds.map((line) => line.replace("add", "del")), "l commit"]);
});

Deno.test("S112 a changed attribute is a del and an add of the same range", () => {
  const m = new Machine();
  const ram = createRam(m.world, { name: "ram", size: 0x1000, owner: m.owner });
  addSubregion(m.world, m.root, 0, ram);
  m.listen("l");
  m.heard();
  setReadonly(m.world, ram, true);
  assertEquals(m.heard(), ["l begin", "l del 0+1000", "l add 0+1000", "l commit"]);
});

Deno.test("S114 an overlay splits RAM: one del, three adds by ascending address; its removal joins it again", () => {
  const m = new Machine();
  addSubregion(m.world, m.root, 0, createRam(m.world, { name: "ram", size: 0x3000, owner: m.owner }));
  m.listen("l");
  m.heard();
  const overlay = m.region("x");
  addSubregion(m.world, m.root, 0x1000, overlay);
  const parts = ["0+1000", "1000+1000", "2000+1000"];
  assertEquals(m.heard(), ["l begin", "l del 0+3000", ...parts.map((part) => `l add ${part}`), "l commit"]);
  delSubregion(m.world, m.root, overlay);
  assertEquals(m.heard(), ["l begin", ...parts.map((part) => `l del ${part}`), "l add 0+3000", "l commit"]);
});

Deno.test("S13 off, moved and on again at the same place: nothing went and nothing came", () => {
  const m = new Machine();
  const region = m.region("pm_io");
  addSubregion(m.world, m.root, 0x1000, region);
  m.listen("l", { nops: true });
  m.heard();
  transaction(m.world, () => {
    setEnabled(m.world, region, false);
    setAddress(m.world, region, 0x5000);
    setAddress(m.world, region, 0x1000);
    setEnabled(m.world, region, true);
  });
  assertEquals(m.heard(), ["l begin", "l nop 1000+1000", "l commit"]);
});

Deno.test("S115 a space that nothing changed in: its listeners hear nothing, or [C] begin, nops and commit", () => {
  for (const notifyAllListeners of [false, true]) {
    const m = new Machine({ notifyAllListeners });
    const root = createContainer(m.world, { name: "other", size: 0x10000, owner: m.owner });
    const space = createAddressSpace(m.world, { name: "other", root, owner: m.owner });
    m.listen("other", { space });
    m.heard();
    addSubregion(m.world, m.root, 0, m.region("x"));
    assertEquals(m.heard(), notifyAllListeners ? ["other begin", "other commit"] : []);
  }
});

Deno.test("S116 all spaces are published together, after the callbacks of all of them", () => {
  const m = new Machine();
  const root = createContainer(m.world, { name: "second", size: 2 ** 32, owner: m.owner });
  const second = createAddressSpace(m.world, { name: "second", root, owner: m.owner });
  const seen: number[][] = [];
  const look = () => seen.push([load(m.world, m.space, 0, 4), load(m.world, second, 0, 4)]);
  registerListener(m.world, second, { name: "l", regionAdd: look, commit: look });
  seen.length = 0;
  transaction(m.world, () => {
    addSubregion(m.world, m.root, 0, m.region("x"));
    addSubregion(m.world, root, 0, m.region("y"));
  });
  assertEquals(seen, [[0, 0], [1, 1]]);
});

Deno.test("S17, S117 adds, begin and commit by ascending priority, dels by descending, equals by registration", () => {
  const m = new Machine();
  for (const [name, priority] of [["b10", 10], ["a0", 0], ["c10", 10]] as const) m.listen(name, { priority });
  m.heard();
  const [x, y] = [m.region("x"), m.region("y")];
  addSubregion(m.world, m.root, 0, x);
  const order = (what: string, names: string[]) => names.map((name) => `${name} ${what}`);
  const up = ["a0", "b10", "c10"];
  assertEquals(m.heard(), [...order("begin", up), ...order("add 0+1000", up), ...order("commit", up)]);
  addSubregion(m.world, m.root, 0x2000, y);
  m.heard();
  transaction(m.world, () => {
    delSubregion(m.world, m.root, y);
    delSubregion(m.world, m.root, x);
  });
  const down = ["c10", "b10", "a0"];
  const dels = [...order("del 0+1000", down), ...order("del 2000+1000", down)];
  assertEquals(m.heard(), [...order("begin", up), ...dels, ...order("commit", up)]);
});

Deno.test("S123 a space with listeners is not destroyed; without, it goes and nobody is told", () => {
  const m = new Machine();
  addSubregion(m.world, m.root, 0, m.region("x"));
  const space = createAddressSpace(m.world, { name: "dma", root: m.root, owner: m.owner });
  const listener = m.listen("l", { space });
  assertThrows(() => destroyAddressSpace(m.world, space), InUseError, 'listener "l" is registered');
  unregisterListener(m.world, listener);
  m.heard();
  destroyAddressSpace(m.world, space);
  assertEquals(m.heard(), []);
  audit(m.world);
});

Deno.test("S12, S124 a move in two commits shows a hole, in one transaction none (LC18)", () => {
  const m = new Machine();
  const bar = m.region("bar");
  addSubregion(m.world, m.root, 0, bar);
  const holes: boolean[] = [];
  const visible = (at: number) => load(m.world, m.space, at, 4) === 1;
  registerListener(m.world, m.space, { name: "reader", commit: () => holes.push(!visible(0) && !visible(0x4000)) });
  holes.length = 0;
  delSubregion(m.world, m.root, bar);
  addSubregion(m.world, m.root, 0x4000, bar);
  assertEquals(holes, [true, false]);
  holes.length = 0;
  setAddress(m.world, bar, 0);
  assertEquals(holes, [false]);
});

Deno.test("S125 mutations of one transaction give the same view in every order (LC19)", () => {
  const changes = [
    (m: Machine, x: Region) => setAddress(m.world, x, 0x3000),
    (m: Machine, x: Region) => setSize(m.world, x, 0x800),
    (m: Machine, x: Region) => setReadonly(m.world, x, true),
  ];
  const views = permutations([0, 1, 2]).map((order) => {
    const m = new Machine();
    const x = m.region("x");
    addSubregion(m.world, m.root, 0, x);
    transaction(m.world, () => order.forEach((at) => changes[at]?.(m, x)));
    m.listen("l");
    audit(m.world);
    return m.heard().join();
  });
  assertEquals(new Set(views).size, 1);
});

function permutations(items: readonly number[]): number[][] {
  if (items.length === 0) return [[]];
  return items.flatMap((item) => permutations(items.filter((other) => other !== item)).map((rest) => [item, ...rest]));
}

Deno.test("LC31 a transaction that throws ends balanced: each mutation before stays whole", () => {
  const m = new Machine();
  assertThrows(() =>
    transaction(m.world, () => {
      addSubregion(m.world, m.root, 0, m.region("x"));
      throw new RangeError("half way");
    }), RangeError);
  assertEquals(load(m.world, m.space, 0, 4), 1);
  audit(m.world);
});

Deno.test("a listener that throws is reported, and the others are served", () => {
  const m = new Machine();
  registerListener(m.world, m.space, {
    name: "bad",
    regionAdd() {
      throw new Error("boom");
    },
  });
  m.listen("good");
  m.heard();
  addSubregion(m.world, m.root, 0, m.region("x"));
  assertEquals(m.heard(), ["good begin", "good add 0+1000", "good commit"]);
  assertEquals(m.faults.map((fault) => fault.message), ['listener "bad" threw: boom']);
});
