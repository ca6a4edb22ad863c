import { assertEquals } from "@std/assert";
import { isAlive, resolveAny } from "../../ecs/handle.ts";
import { owners } from "../../ecs/owner.ts";
import { createWorld } from "../../ecs/world.ts";
import {
  cancelBottomHalf,
  createBottomHalf,
  hasBottomHalves,
  runBottomHalves,
  scheduleBottomHalf,
} from "../../systems/bottom_half.ts";
import { engageGuard } from "../../systems/call_handler.ts";
import { drop } from "../../systems/finalize.ts";
import { audit } from "../../systems/inspect.ts";
import { createOwner } from "../../systems/create_region.ts";

function setUp() {
  const faults: string[] = [];
  const world = createWorld({ reportFault: (error) => faults.push(error.message) });
  const owner = createOwner(world, { name: "device", device: true });
  const ran: string[] = [];
  const half = (name: string, callback: () => void = () => {}, guarded = true) =>
    createBottomHalf(world, { name, owner, guarded, callback: () => (ran.push(name), callback()) });
  return { world, owner, half, ran, faults };
}

Deno.test("bottom halves run once, in order of scheduling; what they schedule waits for the next call", () => {
  const { world, half, ran } = setUp();
  const again = half("again", () => scheduleBottomHalf(world, again));
  scheduleBottomHalf(world, again);
  scheduleBottomHalf(world, half("second"));
  scheduleBottomHalf(world, again);
  assertEquals([runBottomHalves(world), ran, hasBottomHalves(world)], [2, ["again", "second"], true]);
  cancelBottomHalf(world, again);
  assertEquals([runBottomHalves(world), hasBottomHalves(world)], [0, false]);
});

Deno.test("a queued bottom half pins its owner until it has run", () => {
  const { world, owner, half } = setUp();
  const alive: boolean[] = [];
  scheduleBottomHalf(world, half("work", () => alive.push(isAlive(world, owner))));
  drop(world, owner);
  alive.push(isAlive(world, owner));
  runBottomHalves(world);
  alive.push(isAlive(world, owner));
  assertEquals(alive, [true, true, false]);
  audit(world);
});

Deno.test("a guarded one runs with its device's re-entrancy flag set and leaves the flag as it was (S47)", () => {
  const { world, owner, half } = setUp();
  const flag = () => owners(world).guard[resolveAny(world, owner)]?.engaged;
  const seen: unknown[] = [];
  scheduleBottomHalf(world, half("guarded", () => seen.push(flag())));
  scheduleBottomHalf(world, half("free", () => seen.push(flag()), false));
  runBottomHalves(world);
  seen.push(flag());
  engageGuard(world, owner);
  scheduleBottomHalf(world, half("nested"));
  runBottomHalves(world);
  seen.push(flag());
  assertEquals(seen, [true, false, false, true]);
});

Deno.test("one that throws is reported; flag and pin are given back", () => {
  const { world, owner, half, faults } = setUp();
  scheduleBottomHalf(
    world,
    half("bad", () => {
      throw new Error("broken");
    }),
  );
  scheduleBottomHalf(world, half("good"));
  assertEquals([runBottomHalves(world), faults], [2, ['Bottom half "bad" failed: broken']]);
  assertEquals(owners(world).guard[resolveAny(world, owner)]?.engaged, false);
  drop(world, owner);
  assertEquals(isAlive(world, owner), false);
});
