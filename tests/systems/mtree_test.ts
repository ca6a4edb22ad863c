import { assertEquals } from "@std/assert";
import { createWorld } from "../../ecs/world.ts";
import { mtree, mtreeJson } from "../../systems/mtree.ts";
import { createAddressSpace } from "../../systems/address_spaces.ts";
import { createAlias, createContainer, createMmio, createOwner, createRam } from "../../systems/create_region.ts";
import { addSubregion, setEnabled } from "../../systems/topology.ts";

Deno.test("mtree shows the tree by priority and what is visible of it", () => {
  const world = createWorld();
  const owner = createOwner(world, { name: "machine" });
  const root = createContainer(world, { name: "system", size: 2n ** 64n, owner });
  createAddressSpace(world, { name: "memory", root, owner });
  const ram = createRam(world, { name: "ram", size: 0x2000, owner });
  addSubregion(world, root, 0x1000, ram);
  addSubregion(world, root, 0x2000, createMmio(world, { name: "uart", size: 0x100, owner, ops: {}, state: 0 }), {
    priority: 1,
  });
  const alias = createAlias(world, { name: "mirror", target: ram, offset: 0x1000, size: 0x800, owner });
  addSubregion(world, root, 0x8000, alias);
  setEnabled(world, alias, false);
  assertEquals(
    mtree(world),
    `address-space: memory
  0000000000000000-ffffffffffffffff (prio 0, container): system
    0000000000002000-00000000000020ff (prio 1, i/o): uart
    0000000000008000-00000000000087ff (prio 0, alias): mirror @ram 0000000000001000-00000000000017ff [disabled]
    0000000000001000-0000000000002fff (prio 0, ram): ram
  visible:
    0000000000001000-0000000000001fff (ram): ram
    0000000000002000-00000000000020ff (i/o): uart
    0000000000002100-0000000000002fff (ram): ram @0000000000001100
`,
  );
  const [space] = mtreeJson(world);
  assertEquals(JSON.parse(JSON.stringify(space?.root.children[0])), {
    name: "uart",
    kind: "i/o",
    owner: "machine",
    address: 0x2000,
    size: 0x100,
    priority: 1,
    enabled: true,
    readonly: false,
    children: [],
  });
});
