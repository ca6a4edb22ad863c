import { assertEquals, assertThrows } from "@std/assert";
import { ColumnError, createWorld, defineColumns, defineState, growColumns } from "../../ecs/world.ts";

Deno.test("columns get a row for every entity, k elements each, and keep what they had", () => {
  const columns = defineColumns((capacity) => ({
    one: new Uint32Array(capacity),
    three: new Float64Array(3 * capacity),
    references: [] as string[],
    last: 7,
  }));
  const world = createWorld();
  const { one, three } = columns(world);
  one[5] = 55;
  three[17] = 1.5;
  growColumns(world, 200);
  assertEquals(world.capacity, 256);
  const grown = columns(world);
  assertEquals([grown.one.length, grown.three.length, grown.one[5], grown.three[17]], [256, 768, 55, 1.5]);
  assertEquals([grown.references, grown.last], [[], 7]);
});

Deno.test("typed arrays of a state keep their length and their identity when columns grow", () => {
  const state = defineState(() => ({ table: new Uint8Array(16), bits: new Uint32Array(64) }));
  const world = createWorld();
  const { table, bits } = state(world);
  table[3] = 9;
  growColumns(world, 1000);
  assertEquals([state(world).table === table, state(world).bits === bits, table.length, table[3]], [true, true, 16, 9]);
});

Deno.test("a column that could not grow is refused by name", () => {
  const world = createWorld();
  const odd = defineColumns((capacity) => ({ odd: new Int32Array(capacity + 1) }));
  assertThrows(() => odd(world), ColumnError, 'column "odd" of 65 elements');
  const wide = defineColumns((capacity) => ({ wide: new BigInt64Array(capacity) }));
  assertThrows(() => wide(world), ColumnError, 'column "wide" is of a kind of array that does not grow');
});
