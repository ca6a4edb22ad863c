import { assertEquals } from "@std/assert";
import { linkEdge, refCounts, unlinkEdge } from "../../ecs/ref_count.ts";
import { createWorld, type World } from "../../ecs/world.ts";

/** The bearers of a holder's edges; a list that leads back to itself is cut. */
function bearersOf(world: World, holder: number): number[] {
  const { firstEdge, nextEdge } = refCounts(world);
  const found: number[] = [];
  for (let at = firstEdge[holder] ?? 0; at !== 0 && found.length < 10; at = nextEdge[at] ?? 0) found.push(at);
  return found;
}

Deno.test("an edge that ends leaves its holder's list, whether first, in the middle or last", () => {
  const world = createWorld();
  const [holder, target] = [1, 2];
  for (const gone of [3, 4, 5]) {
    for (const bearer of [3, 4, 5]) linkEdge(world, bearer, "container", holder, target);
    assertEquals(unlinkEdge(world, gone, "container"), target);
    assertEquals(unlinkEdge(world, gone, "container"), 0, "once");
    assertEquals(bearersOf(world, holder), [5, 4, 3].filter((bearer) => bearer !== gone));
    for (const bearer of [3, 4, 5]) unlinkEdge(world, bearer, "container");
    assertEquals(bearersOf(world, holder), []);
  }
});
