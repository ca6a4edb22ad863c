import { assertEquals, assertThrows } from "@std/assert";
import { DeviceError } from "../../ecs/device.ts";
import { isAlive } from "../../ecs/handle.ts";
import { createWorld } from "../../ecs/world.ts";
import { drop } from "../../systems/finalize.ts";
import { audit } from "../../systems/inspect.ts";
import {
  clearTimer,
  createClock,
  createTimer,
  deleteTimer,
  nextDeadline,
  runDueTimers,
  setTimer,
} from "../../systems/timers.ts";
import { createOwner } from "../../systems/create_region.ts";

function setUp() {
  const faults: string[] = [];
  const woken: number[] = [];
  const world = createWorld({ reportFault: (error) => faults.push(error.message) });
  const owner = createOwner(world, { name: "owner" });
  const rig = { time: 0, world, owner, faults, fired: [] as string[], woken };
  const clock = createClock(world, {
    name: "virtual",
    now: () => rig.time,
    onDeadlineChange: () => woken.push(nextDeadline(world, clock)),
  });
  const timer = (name: string, callback: () => void = () => {}) =>
    createTimer(world, { name, owner, clock, callback: () => (rig.fired.push(name), callback()) });
  return { rig, world, owner, clock, timer };
}

Deno.test("timers fire when due: by deadline, and in order of arming among equals", () => {
  const { rig, world, clock, timer } = setUp();
  for (const [name, deadline] of [["c", 20], ["a", 10], ["b", 10], ["late", 31]] as const) {
    setTimer(world, timer(name), deadline);
  }
  assertEquals([runDueTimers(world, clock), nextDeadline(world, clock)], [0, 10]);
  rig.time = 30;
  assertEquals([runDueTimers(world, clock), rig.fired, nextDeadline(world, clock)], [3, ["a", "b", "c"], 31]);
});

Deno.test("a timer that arms itself for the past waits for the next call and starves nobody", () => {
  const { rig, world, clock, timer } = setUp();
  const storm = timer("storm", () => setTimer(world, storm, 0));
  setTimer(world, storm, 0);
  setTimer(world, timer("other"), 5);
  rig.time = 10;
  assertEquals(runDueTimers(world, clock), 2);
  assertEquals(runDueTimers(world, clock), 1);
  assertEquals(rig.fired, ["storm", "other", "storm"]);
  clearTimer(world, storm);
});

Deno.test("a callback can unset another timer that is due at the same time", () => {
  const { rig, world, clock, timer } = setUp();
  const second = timer("second");
  setTimer(world, timer("first", () => clearTimer(world, second)), 1);
  setTimer(world, second, 1);
  rig.time = 1;
  runDueTimers(world, clock);
  assertEquals(rig.fired, ["first"]);
});

Deno.test("a callback can put off another timer that is due at the same time", () => {
  const { rig, world, clock, timer } = setUp();
  const second = timer("second");
  setTimer(world, timer("first", () => setTimer(world, second, 50)), 1);
  setTimer(world, second, 1);
  rig.time = 1;
  runDueTimers(world, clock);
  assertEquals([rig.fired, nextDeadline(world, clock)], [["first"], 50]);
});

Deno.test("an armed timer pins its owner until its callback has returned (LC24)", () => {
  const { rig, world, owner, clock, timer } = setUp();
  const alive: boolean[] = [];
  setTimer(world, timer("last", () => alive.push(isAlive(world, owner))), 1);
  drop(world, owner);
  alive.push(isAlive(world, owner));
  rig.time = 1;
  runDueTimers(world, clock);
  alive.push(isAlive(world, owner));
  assertEquals(alive, [true, true, false]);
  audit(world);
});

Deno.test("arming again, unsetting and deleting keep the pins balanced", () => {
  const { world, owner, timer } = setUp();
  const one = timer("one");
  for (const deadline of [5, 3, 9]) setTimer(world, one, deadline);
  clearTimer(world, one);
  clearTimer(world, one);
  setTimer(world, one, 1);
  deleteTimer(world, one);
  assertThrows(() => setTimer(world, one, 1), DeviceError, 'Timer "one" is deleted');
  drop(world, owner);
  assertEquals(isAlive(world, owner), false);
});

Deno.test("a callback deletes its own timer (S11)", () => {
  const { rig, world, clock, timer } = setUp();
  const own = timer("own", () => deleteTimer(world, own));
  setTimer(world, own, 1);
  rig.time = 1;
  assertEquals([runDueTimers(world, clock), runDueTimers(world, clock), nextDeadline(world, clock)], [1, 0, Infinity]);
});

Deno.test("a callback that throws is reported, and the others still fire", () => {
  const { rig, world, owner, clock, timer } = setUp();
  setTimer(
    world,
    timer("bad", () => {
      throw new Error("broken");
    }),
    1,
  );
  setTimer(world, timer("good"), 1);
  rig.time = 1;
  assertEquals([runDueTimers(world, clock), rig.faults], [2, ['Timer "bad" failed: broken']]);
  drop(world, owner);
  assertEquals(isAlive(world, owner), false);
});

Deno.test("the board hears when the earliest deadline becomes earlier, and only then", () => {
  const { rig, world, timer } = setUp();
  const one = timer("one");
  setTimer(world, one, 10);
  setTimer(world, timer("two"), 20);
  setTimer(world, timer("three"), 5);
  setTimer(world, one, 7);
  assertEquals(rig.woken, [10, 5]);
});
