import { assertThrows } from "@std/assert";
import { DirtyClient, type DirtyLog } from "../../ecs/dirty_bitmap.ts";
import { allListeners } from "../../ecs/listener.ts";
import { createWorld } from "../../ecs/world.ts";
import { resetDirty, setLog } from "../../systems/dirty_log.ts";
import { audit, AuditError } from "../../systems/inspect.ts";
import { createAddressSpace, registerListener } from "../../systems/address_spaces.ts";
import { createContainer, createOwner, createRam, ramOf } from "../../systems/create_region.ts";
import { addSubregion } from "../../systems/topology.ts";

function machine() {
  const world = createWorld({ debug: true });
  const owner = createOwner(world, { name: "machine" });
  const root = createContainer(world, { name: "system", size: 2 ** 32, owner });
  const ram = createRam(world, { name: "ram", size: 0x10000, owner });
  addSubregion(world, root, 0, ram);
  registerListener(world, createAddressSpace(world, { name: "memory", root, owner }), { name: "follower" });
  setLog(world, ram, DirtyClient.VGA, true);
  resetDirty(world, ram, 0, 0x10000, DirtyClient.VGA);
  audit(world);
  return { world, block: ramOf(world, ram) };
}

const FAULTS: readonly [what: string, plant: (log: DirtyLog) => void, found: string][] = [
  [
    "a client in the mask that nobody switched on",
    (log) => log.mask |= 1 << DirtyClient.CODE,
    "logged for 3, not for 1",
  ],
  ["a mask that was not told", (log) => log.told = 0, "not told"],
  ["a bitmap that stores miss", (log) => log.active = [], "other bitmaps"],
  ["a quick way to another bitmap", (log) => log.single = new Uint32Array(1), "the one bitmap"],
  ["a bitmap of another size", (log) => log.pages = 99, "not of its size"],
];

for (const [what, plant, found] of FAULTS) {
  Deno.test(`the audit finds ${what}`, () => {
    const { world, block } = machine();
    plant(block.dirty);
    assertThrows(() => audit(world), AuditError, found);
  });
}

Deno.test("the audit finds stores that nobody notes", () => {
  const { world, block } = machine();
  block.observer = undefined;
  assertThrows(() => audit(world), AuditError, 'stores to "ram" are not noted');
});

Deno.test("the audit finds a listener that knows another mask, another range, or none (INV6)", () => {
  for (const wrong of ["mask", "range", "nothing"] as const) {
    const { world } = machine();
    const told = allListeners(world)[0]?.told;
    const known = told?.get(0);
    if (known === undefined) throw new Error("a debug world keeps what its listeners were told");
    if (wrong === "mask") told?.set(0, { ...known, mask: 0 });
    else if (wrong === "range") told?.set(0, { ...known, section: { ...known.section, readonly: true } });
    else told?.clear();
    assertThrows(() => audit(world), AuditError, 'listener "follower" was told other than what there is');
  }
});
