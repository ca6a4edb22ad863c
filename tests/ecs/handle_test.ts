import { assertEquals, assertThrows } from "@std/assert";
import {
  countEntities,
  defineKind,
  entitiesOf,
  freeEntity,
  handleOf,
  isAlive,
  newEntity,
  resolve,
  resolveAny,
  StaleHandleError,
} from "../../ecs/handle.ts";
import { createWorld } from "../../ecs/world.ts";

const Thing = defineKind("thing");
const Other = defineKind("other");

Deno.test("a handle of generation 0 is the id; each life of an id has its own handle", () => {
  const world = createWorld();
  const id = newEntity(world, Thing, "first");
  const first = handleOf(world, id);
  assertEquals(first, id);
  freeEntity(world, id);
  assertEquals(newEntity(world, Thing, "second"), id);
  const second = handleOf(world, id);
  assertEquals([isAlive(world, first), isAlive(world, second), resolve(world, second, Thing)], [false, true, id]);
  assertThrows(() => resolve(world, first, Thing), StaleHandleError, 'thing "first" is stale');
  freeEntity(world, id);
  newEntity(world, Thing, "third");
  assertThrows(() => resolveAny(world, first), StaleHandleError, "died long ago");
});

Deno.test("a handle far beyond 2^32 still names its id", () => {
  const world = createWorld();
  const id = newEntity(world, Thing, "x");
  for (let i = 0; i < 1000; i++) {
    freeEntity(world, id);
    newEntity(world, Thing, "x");
  }
  assertEquals(handleOf(world, id), 1000 * 2 ** 24 + id);
  assertEquals(resolve(world, handleOf(world, id), Thing), id);
});

Deno.test("a handle of another kind, another world or none is refused in words", () => {
  const world = createWorld();
  const handle = handleOf(world, newEntity(world, Other, "it"));
  assertThrows(() => resolve(world, handle, Thing), StaleHandleError, '"it" is not a thing (its kind: other)');
  for (const wrong of [99, -1, 0.5, NaN, 2 ** 60]) assertThrows(() => resolveAny(world, wrong), StaleHandleError);
});

Deno.test("columns grow with the ids, and entities are listed in creation order", () => {
  const world = createWorld();
  const ids = Array.from({ length: 500 }, (_, i) => newEntity(world, i % 2 === 0 ? Thing : Other, `${i}`));
  freeEntity(world, ids[10] ?? 0);
  const late = newEntity(world, Thing, "late");
  assertEquals(entitiesOf(world, Thing).length, 250);
  assertEquals(entitiesOf(world, Thing).at(-1), late);
  assertEquals(countEntities(world), 500);
  assertEquals(world.capacity >= 501, true);
});
