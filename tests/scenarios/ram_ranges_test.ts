/** Scenario S136: ranges of guest memory that RAM gave back are used again. */
import { assertEquals } from "@std/assert";
import { createGuestMemory } from "../../ecs/ram_block.ts";
import { drop } from "../../systems/finalize.ts";
import { closeScope, openScope } from "../../systems/scope.ts";
import { ramOf } from "../../systems/create_region.ts";
import { Machine } from "./machine.ts";

Deno.test("S136 the range of freed RAM is used again, page-aligned and zeroed, and not while it may be read", () => {
  const m = new Machine();
  const memory = createGuestMemory(0x40000);
  const block = (name: string, size: number) => {
    const owner = m.own(name);
    const ram = m.ram(name, owner, size, memory);
    return { owner, offset: ramOf(m.world, ram).offset, bytes: ramOf(m.world, ram).bytes };
  };
  const [a, b, c] = [block("a", 0x1800), block("b", 0x5000), block("c", 0x1000)];
  assertEquals([a.offset, b.offset, c.offset], [0, 0x2000, 0x7000], "blocks start at pages");
  b.bytes.fill(0xff);
  const scope = openScope(m.world, "reader");
  drop(m.world, b.owner);
  const meanwhile = block("meanwhile", 0x1000);
  assertEquals(meanwhile.offset, 0x8000, "the range of b may still be read");
  closeScope(m.world, scope);
  const heir = block("heir", 0x4800);
  assertEquals([heir.offset, heir.bytes.every((byte) => byte === 0)], [b.offset, true]);
  assertEquals(block("too large for the rest of the gap", 0x1000).offset, 0x9000);
  m.settle();
});
