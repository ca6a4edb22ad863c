/** Scenario S144 and issue-grade provenance: who keeps what, since where; what a life looked like. */
import { assert, assertEquals, assertThrows } from "@std/assert";
import { createWorld } from "../../ecs/world.ts";
import { drop, reference, release } from "../../systems/finalize.ts";
import { type Reason, whyAlive } from "../../systems/inspect.ts";
import { leaks } from "../../systems/leaks.ts";
import { closeScope, openScope } from "../../systems/scope.ts";
import { NoTimelineError, timeline, timelineText, timelineTrace } from "../../systems/timeline.ts";
import { createAddressSpace, registerListener } from "../../systems/address_spaces.ts";
import { createContainer, createMmio, createOwner, createRam } from "../../systems/create_region.ts";
import { addSubregion, delSubregion } from "../../systems/topology.ts";

const HERE = "tests/scenarios/provenance_test.ts:";

function setting(options: { debug?: boolean; timeline?: number } = { debug: true }) {
  const world = createWorld(options);
  const machine = createOwner(world, { name: "machine" });
  const root = createContainer(world, { name: "system", size: 2 ** 32, owner: machine });
  const space = createAddressSpace(world, { name: "memory", root, owner: machine });
  const device = createOwner(world, { name: "device", owner: machine, device: true });
  const bar = createMmio(world, { name: "bar", size: 0x1000, owner: device, ops: {}, state: undefined });
  const holder = createOwner(world, { name: "holder", owner: machine });
  return { world, machine, root, space, device, bar, holder };
}

/** What a reason says, its site cut to whether it is a line of this file. */
function told(reason: Reason | undefined) {
  return [reason?.name, reason?.kind, reason?.site?.includes(HERE)];
}

Deno.test("S144 a leaked pin of every kind: kind, holder, call site and the path to a root", () => {
  for (const kind of ["map", "cache", "listener", "callback", "external"] as const) {
    for (const named of [true, false]) {
      const { world, device, bar, holder } = setting();
      reference(world, bar, kind, named ? holder : undefined);
      drop(world, device);
      const [leak, ...others] = leaks(world);
      assertEquals([leak?.name, leak?.state, others.length], ["device", "pinned", 0]);
      assertEquals(leak?.holders.map(told), [["device", kind, true]]);
      assertEquals(leak?.holders[0]?.holder, named ? holder : undefined);
      const path = named ? [["device", kind], ["holder", "owned"], ["machine", "external"]] : [["device", kind]];
      assertEquals(leak?.chain.map((reason) => [reason.name, reason.kind]), path);
      assert(leak?.text.includes(`${kind} ${named ? 'pin on "bar"' : "reference(s)"}`), leak?.text);
      assert(named || leak?.text.includes('"bar" has 1'), "the region is named, not only its owner");
      release(world, bar, kind, named ? holder : undefined);
      assertEquals(leaks(world), []);
    }
  }
});

Deno.test("S144 edges and creation references are leaks with call sites too", () => {
  const { world, machine, root, device, bar, holder } = setting();
  addSubregion(world, root, 0x4000, bar);
  const foreign = createContainer(world, { name: "view", size: 0x1000, owner: device });
  createAddressSpace(world, { name: "spy", root: foreign, owner: holder });
  drop(world, device);
  const [leak] = leaks(world);
  assertEquals(leak?.holders.map(told), [["device", "container", true], ["device", "addressSpace", true]]);
  assertEquals(leak?.holders.map((reason) => reason.holder), [machine, holder]);
  assertEquals(leak?.chain.map(told), [["device", "container", true], ["machine", "external", true]]);
  assert(leak?.text.includes('"bar" of "device" is in "system" at 0x4000'));
  assertEquals(told(whyAlive(world, holder).chain[0]), ["holder", "owned", true]);
});

Deno.test("whyAlive takes the shortest of several chains, and holders of any kind are named", () => {
  const { world, machine, space, device, bar, holder } = setting();
  const deep = createOwner(world, { name: "deep", owner: holder });
  const listener = registerListener(world, space, { name: "accelerator", owner: deep });
  reference(world, bar, "listener", listener);
  reference(world, bar, "cache", machine);
  drop(world, device);
  assertEquals(whyAlive(world, device).chain.map(({ kind }) => kind), ["cache", "external"]);
  release(world, bar, "cache", machine);
  assertEquals(
    whyAlive(world, device).chain.map(({ name, kind }) => [name, kind]),
    [["device", "listener"], ["accelerator", "owned"], ["deep", "owned"], ["holder", "owned"], ["machine", "external"]],
  );
});

Deno.test("leaks tells what is pinned from what only waits for a reader, and names the reader", () => {
  const { world, device, bar, root } = setting({});
  addSubregion(world, root, 0, bar);
  const scope = openScope(world, "slow DMA");
  delSubregion(world, root, bar);
  drop(world, device);
  const [leak, ...others] = leaks(world);
  assertEquals([leak?.name, leak?.state, others.length], ["device", "retired", 0]);
  assertEquals(leak?.holders.map(({ kind }) => kind), ["reader"]);
  assert(leak?.text.includes('waits for reader "slow DMA"'), leak?.text);
  closeScope(world, scope);
  assertEquals(leaks(world), []);
});

Deno.test("pinned RAM that left its dead owner is a leak of its own", () => {
  const { world, device, holder } = setting();
  const ram = createRam(world, { name: "bar2", size: 0x1000, owner: device });
  reference(world, ram, "map", holder);
  drop(world, device);
  assertEquals(leaks(world).map(({ name, state }) => [name, state]), [["bar2", "pinned"]]);
  assertEquals(told(leaks(world)[0]?.holders[0]), ["bar2", "map", true]);
});

Deno.test("the timeline of a life, also after its end and not of its successor with the same id", () => {
  const { world, root, device, bar, holder } = setting({ timeline: 1000 });
  addSubregion(world, root, 0x4000, bar);
  reference(world, bar, "map", holder);
  delSubregion(world, root, bar);
  drop(world, device);
  drop(world, holder);
  const heir = createMmio(world, { name: "heir", size: 1, ops: {}, state: undefined });
  assertEquals(heir % 2 ** 24 <= holder % 2 ** 24, true, "an id is used again");
  assertEquals(timeline(world, bar).map(({ kind, otherName, detail }) => [kind, otherName, detail]), [
    ["created", undefined, "region"],
    ["attached", "system", "0x4000"],
    ["pinned", "holder", "map"],
    ["detached", "system", undefined],
    ["released", "holder", "map"],
    ["retired", undefined, timeline(world, bar).at(-2)?.detail],
    ["finalized", undefined, undefined],
  ]);
  const order = timeline(world).map(({ sequence }) => sequence);
  assertEquals(order, order.map((_, index) => index));
  assert(timelineText(world, bar).includes('"bar" attached to "system" (0x4000)'));
  assertEquals(timeline(world, holder).map(({ kind }) => kind).slice(0, 2), ["created", "pinned"]);
});

Deno.test("the trace has a life for each entity, begun and ended once, times ascending", () => {
  const { world, device, bar, root } = setting({ timeline: 1000 });
  drop(world, device);
  const trace = timelineTrace(world);
  assertValidTrace(trace);
  const phases = trace.traceEvents.filter(({ id }) => id === String(bar)).map(({ ph, name }) => [ph, name]);
  assertEquals(phases, [["b", "bar"], ["n", "retired"], ["e", "bar"]]);
  const last = trace.traceEvents.findLast(({ id }) => id === String(root));
  assertEquals([last?.ph, last?.args.detail], ["e", "still there"]);
  assertValidTrace(timelineTrace(world, bar));
});

/** What the Trace Event Format asks for, in its JSON object form, of the events that are used here. */
function assertValidTrace(trace: unknown): void {
  const { traceEvents } = JSON.parse(JSON.stringify(trace)) as { traceEvents: Record<string, unknown>[] };
  const open = new Map<string, string[]>();
  let latest = 0;
  for (const event of traceEvents) {
    const { name, ph, ts, pid, tid, cat, id, args } = event;
    assert(
      typeof name === "string" && name !== "" && Number.isInteger(pid) && Number.isInteger(tid),
      "name, process, thread",
    );
    assert(
      args === undefined || (typeof args === "object" && args !== null && !Array.isArray(args)),
      "arguments are an object",
    );
    if (ph === "M") {
      assert(
        name === "process_name" && typeof (args as { name: unknown }).name === "string",
        "metadata names something",
      );
      continue;
    }
    assert(
      typeof ts === "number" && Number.isFinite(ts) && ts >= latest,
      `times in microseconds ascend: ${ts}, ${latest}`,
    );
    latest = ts;
    assert(
      typeof cat === "string" && cat !== "" && typeof id === "string" && id !== "",
      "asynchronous events have both",
    );
    // Nestable asynchronous events of one category and id are one stack; an end closes the innermost begin by name.
    const stack = open.get(`${cat} ${id}`) ?? [];
    open.set(`${cat} ${id}`, stack);
    if (ph === "b") stack.push(name);
    else if (ph === "e") assertEquals(stack.pop(), name, "an end has its begin");
    else assert(ph === "n" && stack.length > 0, `an instant lies in its life: ${JSON.stringify(event)}`);
  }
  assertEquals([...open.values()].flat(), [], "every begin has its end");
}

Deno.test("a trace out of a ring that has forgotten beginnings is whole, for any size of the ring", () => {
  for (const size of [1, 2, 3, 5, 8, 13, 40, 200]) {
    const { world, machine, root, holder } = setting({ timeline: size });
    for (let i = 0; i < 8; i++) {
      const device = createOwner(world, { name: `device ${i}`, owner: machine, device: true });
      const bar = createMmio(world, { name: "bar", size: 0x1000, owner: device, ops: {}, state: undefined });
      addSubregion(world, root, i * 0x1000, bar);
      reference(world, bar, "map", holder);
      if (i % 2 === 0) delSubregion(world, root, bar);
      if (i % 3 !== 0) drop(world, device);
      assertValidTrace(timelineTrace(world));
      assertValidTrace(timelineTrace(world, bar));
      assertValidTrace(timelineTrace(world, device));
    }
  }
});

Deno.test("the ring is bounded and keeps the latest; a world without it says how to get one", () => {
  const { world, root, bar } = setting({ timeline: 4 });
  for (let i = 0; i < 50; i++) {
    addSubregion(world, root, i * 0x1000, bar);
    delSubregion(world, root, bar);
  }
  assertEquals(timeline(world).map(({ kind }) => kind), ["attached", "detached", "attached", "detached"]);
  assertEquals(timeline(world)[2]?.detail, "0x31000");
  const error = assertThrows(() => timeline(createWorld()), NoTimelineError);
  assert(error.message.includes("timeline"));
});
