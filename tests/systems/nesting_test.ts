import { assert, assertEquals, assertThrows } from "@std/assert";
import type { Owner } from "../../ecs/owner.ts";
import type { Region } from "../../ecs/region.ts";
import { TopologyError } from "../../systems/admission.ts";
import { drop, onFinalize } from "../../systems/finalize.ts";
import { audit } from "../../systems/inspect.ts";
import { memoryMap } from "../../systems/memory_map.ts";
import { mtree } from "../../systems/mtree.ts";
import { NESTING_MAX } from "../../systems/nesting.ts";
import { createAddressSpace } from "../../systems/address_spaces.ts";
import { createOwner } from "../../systems/create_region.ts";
import { addSubregion, delSubregion, setAddress, setEnabled } from "../../systems/topology.ts";
import { transaction } from "../../systems/transaction.ts";
import { Machine } from "../scenarios/machine.ts";

/** Far more than the stack of the host has room for. */
const MANY = 100_000;

/** Puts containers into one another until that is refused; returns how many went in. */
function nest(m: Machine, link: (i: number, last: Region) => Region): { depth: number; last: Region } {
  let last = m.root;
  for (let depth = 0; depth < MANY; depth++) {
    try {
      last = link(depth, last);
    } catch (error) {
      assert(error instanceof TopologyError && error.message.includes("nested more than 250 levels deep"), `${error}`);
      return { depth, last };
    }
  }
  throw new Error("nothing was refused");
}

Deno.test("containers in containers, from the outside in, are refused beyond the bound, and all that walks them works there", () => {
  const m = new Machine({ debug: true });
  const { depth, last } = nest(m, (i, above) => {
    const inner = m.container(`c${i}`, m.owner);
    addSubregion(m.world, above, 0, inner);
    return inner;
  });
  assertEquals(depth, NESTING_MAX);
  delSubregion(m.world, m.root, memoryMap(m.world).regions[1]!.id as Region);
  addSubregion(m.world, last, 0x10, m.mmio("leaf", m.owner, { size: 4, read: () => 7 }));
  addSubregion(m.world, m.root, 0, m.container("shallow", m.owner));
  m.settle();
  assertThrows(
    () => addSubregion(m.world, m.root, 0, memoryMap(m.world).regions[1]!.id as Region),
    TopologyError,
    "nested more than 250",
  );
  m.settle();
});

Deno.test("containers in containers, from the inside out, are refused beyond the bound", () => {
  const m = new Machine({ debug: true });
  let outer = m.mmio("leaf", m.owner, { size: 4, read: () => 7 });
  const { depth } = nest(m, (i) => {
    const above = m.container(`c${i}`, m.owner);
    addSubregion(m.world, above, 0, outer);
    return outer = above;
  });
  assertEquals(depth, NESTING_MAX);
  assertThrows(() => addSubregion(m.world, m.root, 0, outer), TopologyError, `"system" cannot show "c249"`);
  createAddressSpace(m.world, { name: "deep", root: outer, owner: m.owner });
  assertEquals(mtree(m.world).split("\n").filter((line) => line.includes("leaf")).length, 2);
  setEnabled(m.world, outer, false);
  setEnabled(m.world, outer, true);
  m.settle();
});

Deno.test("aliases of aliases, and aliases of containers of aliases, are refused beyond the bound", () => {
  const m = new Machine({ debug: true });
  let target = m.ram("ram", m.owner);
  const chain = nest(m, (i) => target = m.alias(`a${i}`, m.owner, target, 0, 0x1000));
  assertEquals(chain.depth, NESTING_MAX);
  addSubregion(m.world, m.container("loose", m.owner), 0, m.ram("other", m.owner));
  let inner = m.ram("inner", m.owner);
  const mixed = nest(m, (i) => {
    const alias = m.alias(`b${i}`, m.owner, inner, 0, 0x1000);
    const container = m.container(`d${i}`, m.owner);
    addSubregion(m.world, container, 0, alias);
    return inner = container;
  });
  assertEquals(mixed.depth, NESTING_MAX / 2);
  m.settle();
});

Deno.test("what was nested deep and is not any more forbids nothing", () => {
  const m = new Machine({ debug: true });
  const containers = Array.from({ length: NESTING_MAX }, (_, i) => m.container(`c${i}`, m.owner));
  for (let turn = 0; turn < 3; turn++) {
    for (let i = 1; i < containers.length; i++) addSubregion(m.world, containers[i - 1]!, 0, containers[i]!);
    addSubregion(m.world, m.root, 0, containers[0]!);
    setAddress(m.world, containers[0]!, 0x1000 * turn);
    delSubregion(m.world, m.root, containers[0]!);
    for (let i = 1; i < containers.length; i++) delSubregion(m.world, containers[i - 1]!, containers[i]!);
    containers.reverse();
  }
  m.settle();
});

Deno.test("thousands of siblings over one another, each of which leaves almost all open: no stack overflow, and the lowest shows", () => {
  const m = new Machine({ debug: true });
  const ram = m.ram("ram", m.owner, 0x10000);
  transaction(m.world, () => {
    addSubregion(m.world, m.root, 0, ram);
    for (let i = 0; i < 2500; i++) {
      const cover = m.container(`cover ${i}`, m.owner);
      if (i % 500 === 0) addSubregion(m.world, cover, 0x100 * (i / 500), m.mmio(`part ${i}`, m.owner, { size: 0x10 }));
      addSubregion(m.world, m.root, 0, cover, { priority: i % 7 });
    }
  });
  const [view] = memoryMap(m.world).views;
  const bounds = Array.from({ length: 5 }, (_, i) => [0x100 * i, 0x100 * i + 0x10]).flat();
  assertEquals(view?.ranges.map(({ start }) => Number(start)), bounds);
  assertEquals(view?.ranges.filter(({ region }) => region === ram).length, 5);
  m.settle();
});

Deno.test("a hundred thousand owners below one another end, without a stack overflow, the innermost first", () => {
  const m = new Machine();
  let owner: Owner = m.own("0");
  const outermost = owner;
  for (let i = 1; i < MANY; i++) owner = createOwner(m.world, { name: `${i}`, owner });
  onFinalize(m.world, owner, () => m.finalized.push("innermost"));
  drop(m.world, outermost);
  assertEquals(m.finalized, ["innermost", "0"]);
  audit(m.world);
});
