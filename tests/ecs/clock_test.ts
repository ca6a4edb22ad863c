import { assertEquals } from "@std/assert";
import fc from "fast-check";
import { type Clock, dueTimers, enterTimer, leaveTimer, newClock, newTimer, type Timer } from "../../ecs/clock.ts";
import type { Owner } from "../../ecs/owner.ts";

const owner = 1 as Owner;

function timers(clock: Clock, count: number): Timer[] {
  return Array.from({ length: count }, (_, index) => newTimer(`t${index}`, owner, clock, () => {}));
}

Deno.test("the earliest deadline is on top, whatever enters and leaves", () => {
  const action = fc.record({ timer: fc.nat(15), deadline: fc.nat(20), leaves: fc.boolean() });
  fc.assert(fc.property(fc.array(action, { minLength: 50, maxLength: 200 }), (actions) => {
    const clock = newClock("virtual", () => 0);
    const all = timers(clock, 16);
    const armed = new Set<Timer>();
    for (const { timer: index, deadline, leaves } of actions) {
      const timer = all[index];
      if (timer === undefined) continue;
      if (armed.delete(timer)) leaveTimer(clock, timer);
      if (!leaves) {
        enterTimer(clock, timer, deadline);
        armed.add(timer);
      }
      const expected = [...armed].sort((a, b) => a.deadline - b.deadline || a.order - b.order);
      assertEquals(clock.armed[0], expected[0]);
      assertEquals(dueTimers(clock, 20), expected);
      const misplaced = clock.armed.filter((child, at) =>
        at > 0 && clock.armed[(at - 1) >> 1]!.deadline > child.deadline
      );
      assertEquals(misplaced, [], "a parent is due after its child");
    }
  }));
});

Deno.test("a timer that is not in the heap has no position", () => {
  const clock = newClock("virtual", () => 0);
  const [first, second] = timers(clock, 2) as [Timer, Timer];
  enterTimer(clock, first, 1);
  enterTimer(clock, second, 2);
  leaveTimer(clock, first);
  assertEquals([first.position, second.position, clock.armed.length], [-1, 0, 1]);
});
