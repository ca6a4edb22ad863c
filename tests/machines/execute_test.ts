import { assert, assertEquals } from "@std/assert";
import { createWorld } from "../../ecs/world.ts";
import { drop } from "../../systems/finalize.ts";
import { createClock, createTimer, deleteTimer, nextDeadline, setTimer } from "../../systems/timers.ts";
import { createOwner } from "../../systems/create_region.ts";
import { CallbackBackend, type CharacterFrontend } from "../../machines/backends/character.ts";
import { Execution, type Processor } from "../../machines/execute.ts";
import { type GuestClock, HostClock, InstructionClock } from "../../machines/guest_clock.ts";

/** A hart that waits, except for `work` instructions that it has to do. */
class FakeHart implements Processor {
  work = 0;
  runs = 0;
  retired = 0;
  requestExit(): void {}
  get waiting(): boolean {
    return this.work === 0;
  }
  run(maxInstructions: number): number {
    this.runs++;
    const done = Math.min(this.work, maxInstructions);
    this.work -= done;
    this.retired += done;
    return done;
  }
}

function setUp(options: { harts: FakeHart[]; time?: GuestClock; input?: CallbackBackend }) {
  const { harts, time = new HostClock(), input } = options;
  const world = createWorld();
  const owner = createOwner(world, { name: "machine" });
  const clock = createClock(world, { name: "virtual", now: () => time.now() });
  const execution = new Execution({
    world,
    timers: clock,
    time,
    harts,
    deadline: () => nextDeadline(world, clock),
    inputs: input ? [input] : [],
    repeatable: time instanceof InstructionClock,
  });
  /** Calls `fire` at a time of the guest; returns what undoes it all. */
  const at = (nanoseconds: number, fire: () => void) => {
    const timer = createTimer(world, { name: "timer", owner, clock, callback: fire });
    setTimer(world, timer, nanoseconds);
    return () => {
      deleteTimer(world, timer);
      drop(world, owner);
    };
  };
  return { execution, at, time };
}

Deno.test("a machine whose harts wait sleeps until the next timer, and looks at them only a few times", async () => {
  const hart = new FakeHart();
  const { execution, at } = setUp({ harts: [hart] });
  const started = performance.now();
  const undo = at(120e6, () => execution.stop());
  await execution.run();
  const took = performance.now() - started;
  assert(took >= 90 && hart.runs < 20, `${took} ms, ${hart.runs} runs`);
  undo();
});

Deno.test("input ends a sleep at once", async () => {
  const hart = new FakeHart();
  const input = new CallbackBackend();
  const { execution, at } = setUp({ harts: [hart], input });
  input.frontend = { acceptable: () => 16, receive: () => execution.stop() } as unknown as CharacterFrontend;
  const undo = at(60e9, () => {});
  const started = performance.now();
  setTimeout(() => input.type("x"), 20);
  await execution.run();
  assert(performance.now() - started < 1000);
  undo();
});

Deno.test("harts take turns of equal length when runs must repeat", async () => {
  const harts = [new FakeHart(), new FakeHart()];
  const order: number[] = [];
  for (const [id, hart] of harts.entries()) {
    hart.work = 25_000;
    const run = hart.run.bind(hart);
    hart.run = (max) => {
      const done = run(max);
      if (done > 0) order.push(id, done);
      return done;
    };
  }
  const time = new InstructionClock(0, false, () => harts.reduce((sum, hart) => sum + hart.retired, 0));
  const { execution, at } = setUp({ harts, time });
  const undo = at(1e9, () => execution.stop());
  await execution.run();
  assertEquals(order, [0, 10_000, 1, 10_000, 0, 10_000, 1, 10_000, 0, 5000, 1, 5000]);
  undo();
});

Deno.test("with an instruction clock a turn ends at the next deadline, to the instruction", async () => {
  const hart = new FakeHart();
  hart.work = 1e6;
  const time = new InstructionClock(3, true, () => hart.retired);
  const { execution, at } = setUp({ harts: [hart], time });
  const undo = at(8 * 12_345, () => execution.stop());
  await execution.run();
  assertEquals(hart.retired, 12_345);
  undo();
});

Deno.test("with an instruction clock that sleeps, idle guest time passes as the host's, and ends on the deadline", async () => {
  const time = new InstructionClock(0, true, () => 0);
  const { execution, at } = setUp({ harts: [new FakeHart()], time });
  const started = performance.now();
  const undo = at(50e6, () => execution.stop());
  await execution.run();
  assert(performance.now() - started >= 40);
  assertEquals(time.now(), 50e6);
  undo();
});

Deno.test("a busy machine leaves the host's timers and files their turn", async () => {
  const hart = new FakeHart();
  hart.work = Infinity;
  const { execution } = setUp({ harts: [hart] });
  let timers = 0;
  const interval = setInterval(() => timers++, 10);
  const impatience = setTimeout(() => execution.stop(), 10_000);
  const started = performance.now();
  const file = await Deno.open(new URL(import.meta.url));
  const reading = (async () => {
    for (let reads = 0; reads < 2000; reads++) await file.read(new Uint8Array(1));
    execution.stop();
  })();
  await execution.run();
  const took = performance.now() - started;
  await reading;
  clearTimeout(impatience);
  clearInterval(interval);
  file.close();
  // On a quiet machine it takes about 0.1 s; where the event loop gets no turn it takes for ever.
  assert(took < 5000 && timers >= took / 100, `2000 reads took ${took} ms, in which ${timers} timers fired`);
});
