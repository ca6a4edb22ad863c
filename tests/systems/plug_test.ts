import { assert, assertEquals, assertThrows } from "@std/assert";
import { claimant, type Device, deviceById, DeviceError, deviceRow, type Instance } from "../../ecs/device.ts";
import { countEntities, isAlive, StaleHandleError } from "../../ecs/handle.ts";
import { link, type Property } from "../../ecs/property.ts";
import { bottomHalfQueue } from "../../ecs/bottom_half.ts";
import { armTimer, atUnrealize, defineDevice, schedule, setLine } from "../../machines/devices/define.ts";
import { runBottomHalves } from "../../systems/bottom_half.ts";
import { createBus, createDevice, devicesOn } from "../../systems/create_device.ts";
import { write } from "../../systems/dma.ts";
import { drop, onFinalize } from "../../systems/finalize.ts";
import { connect, driveInput } from "../../systems/interrupts.ts";
import {
  deviceRegion,
  instance,
  isRealized,
  mapRegion,
  plug,
  realize,
  resetDevice,
  unplug,
  unrealize,
} from "../../systems/plug.ts";
import { closeScope, openScope } from "../../systems/scope.ts";
import { registerListener, unregisterListener } from "../../systems/address_spaces.ts";
import { createOwner } from "../../systems/create_region.ts";
import { addSubregion } from "../../systems/topology.ts";
import { type Rig, withRig } from "../machines/devices/rig.ts";

const powerOn = () => ({ value: 0, kept: 0, inputs: [0, 0], alarms: 0, work: 0 });
type Widget = Instance<ReturnType<typeof powerOn>, { readonly backend: object | undefined }>;

/** A device that uses everything that the kit offers. `fail` says where its realize breaks. */
function widgetType(
  log: string[] = [],
  fail?: "before" | "after",
  write: (d: Widget, value: number) => void = () => {},
) {
  const part = defineDevice({
    type: "part",
    description: "child of the widget",
    state: () => ({}),
    realize: () => void log.push("realize part"),
    unrealize: () => void log.push("unrealize part"),
  });
  return defineDevice<ReturnType<typeof powerOn>, { backend: ReturnType<typeof backendProperty> }>({
    type: "widget",
    description: "device of these tests",
    properties: { backend: backendProperty() },
    state: powerOn,
    survivesReset: ["kept"],
    outputs: { irq: 1 },
    inputs: { in: { count: 2, set: (d, index, level) => d.state.inputs[index] = level } },
    timers: { alarm: { fire: (d) => void d.state.alarms++ } },
    bottomHalves: { work: { guarded: true, run: (d) => void d.state.work++ } },
    children: { part: { type: part } },
    regions: {
      registers: {
        size: 16,
        registers: [
          { name: "value", offset: 0, bytes: 4, field: "value", write },
          {
            name: "inputs",
            offset: 4,
            bytes: 4,
            access: "ro",
            read: (d) => (d.state.inputs[0] ?? 0) | (d.state.inputs[1] ?? 0) << 1,
          },
        ],
      },
      window: { size: 16, registers: [{ name: "kept", offset: 0, bytes: 4, field: "kept" }] },
    },
    realize(d) {
      log.push("realize widget");
      setLine(d, "irq", 1);
      armTimer(d, "alarm", 100);
      schedule(d, "work");
      const listener = registerListener(d.world, d.addressSpace, { name: "probe", owner: d.device });
      atUnrealize(d, () => unregisterListener(d.world, listener));
      if (fail === "before") throw new DeviceError("breaks in the middle");
      atUnrealize(d, () => log.push("undo widget"));
    },
    unrealize: () => void log.push("unrealize widget"),
  });
}

function backendProperty() {
  return link<object>("what it drives", { optional: true });
}

function baseline(rig: Rig): number {
  return countEntities(rig.world);
}

Deno.test(
  "realize publishes last; unrealize withdraws first, and both can be repeated (LC16)",
  withRig((rig) => {
    const log: string[] = [];
    const device = createDevice(rig.world, widgetType(log), {
      id: "w0",
      owner: rig.machine,
      addressSpace: rig.space,
      clock: rig.clock,
    });
    mapRegion(rig.world, device, "registers", rig.system, 0x1000);
    const levels = rig.watch(device, "irq");
    assertEquals(rig.write(0x1000, 7) !== 0, true, "not mapped before realize");
    for (let round = 0; round < 2; round++) {
      realize(rig.world, device);
      assertEquals([rig.write(0x1000, 7), rig.read(0x1000)], [0, 7]);
      unrealize(rig.world, device);
      assert(rig.write(0x1000, 7) !== 0, "still mapped after unrealize");
    }
    const once = ["realize widget", "realize part", "unrealize part", "undo widget", "unrealize widget"];
    assertEquals(log.toSorted(), [...once, ...once].toSorted());
    assertEquals(log.slice(0, 5), [
      "realize widget",
      "realize part",
      "unrealize part",
      "unrealize widget",
      "undo widget",
    ]);
    assertEquals(levels, [1, 0, 1, 0]);
    assertEquals(rig.clock.armed.length + bottomHalfQueue(rig.world).length, 0);
  }),
);

const FAULTS: [string, (rig: Rig) => Device, string][] = [
  ["own realize", (rig) => rig.plug(widgetType([], "before"), 0x1000), "breaks in the middle"],
  ["a child", (rig) => rig.plug(withBrokenChild(), 0x1000), "child breaks"],
  [
    "claiming the backend",
    (rig) => rig.plug(widgetType(), 0x1000, { backend: BACKEND }),
    "names a backend that device",
  ],
  ["publication on the bus", (rig) => plugOnRefusingBus(rig), "no room"],
  ["mapping", (rig) => plugTwiceMapped(rig), "cannot add"],
  ["properties", (rig) => rig.plug(widgetType(), 0x1000, { colour: "red" }), 'no property "colour"'],
  ["creating a child", (rig) => rig.plug(withUnfitChild(), 0x1000), 'needs a value for property "needed"'],
  [
    "plain state",
    (rig) => rig.plug(defineDevice({ type: "odd", description: "", state: () => ({ f: () => {} }) }), 0),
    "not plain",
  ],
];
const BACKEND = {};

function withBrokenChild() {
  const broken = defineDevice({
    type: "broken",
    description: "its realize throws",
    state: () => ({}),
    realize: () => {
      throw new DeviceError("child breaks");
    },
  });
  const type = widgetType();
  return { ...type, children: { ...type.children, broken: { type: broken } } };
}

function withUnfitChild() {
  const type = widgetType();
  const unfit = defineDevice<object, { needed: Property<object> }>({
    type: "unfit",
    description: "needs what nobody gives",
    properties: { needed: link<object>("backend") },
    state: () => ({}),
  });
  return { ...type, children: { ...type.children, unfit: { type: unfit } } };
}

function plugOnRefusingBus(rig: Rig): Device {
  const bus = createBus(rig.world, {
    name: "bus",
    owner: rig.machine,
    type: "widgets",
    plugged: () => {
      throw new DeviceError("no room");
    },
    unplugged: undefined,
  });
  const { machine: owner, space: addressSpace, clock } = rig;
  try {
    return plug(rig.world, { ...widgetType(), bus: "widgets" }, { id: "widget", owner, addressSpace, clock, bus });
  } finally {
    assertEquals(devicesOn(bus), []);
  }
}

function plugTwiceMapped(rig: Rig): Device {
  const { machine: owner, space: addressSpace, clock } = rig;
  const at = { region: "registers", container: rig.system, offset: 0x1000 };
  return plug(rig.world, widgetType(), { id: "widget", owner, addressSpace, clock, at: [at, at] });
}

for (const [step, attempt, sentence] of FAULTS) {
  Deno.test(
    `a realize that fails at ${step} leaves nothing behind, and the id is free (S148, S149)`,
    withRig((rig) => {
      const user = plug(rig.world, widgetType(), {
        id: "user",
        owner: rig.machine,
        properties: { backend: BACKEND },
        addressSpace: rig.space,
        clock: rig.clock,
      });
      runBottomHalves(rig.world);
      const before = baseline(rig);
      const armed = rig.clock.armed.length;
      const error = assertThrows(() => attempt(rig), Error);
      assert(error.message.includes(sentence), error.message);
      assertEquals(baseline(rig), before, "entities are left");
      assertEquals(rig.clock.armed.length, armed, "timers are left");
      assertEquals(bottomHalfQueue(rig.world).length, 0, "bottom halves are left");
      assertEquals(claimant(rig.world, BACKEND), user);
      rig.plug(widgetType(), 0x1000);
    }),
  );
}

Deno.test(
  "a device unplugs itself in its own handler; it is finalized after the access, once (LC20)",
  withRig((rig) => {
    const log: string[] = [];
    const type = widgetType([], undefined, (d, value) => {
      unplug(d.world, d.device);
      setLine(d, "irq", 1);
      armTimer(d, "alarm", 1);
      schedule(d, "work");
      d.state.value = value + 1;
      log.push(`alive ${isAlive(d.world, d.device)}`);
    });
    const before = baseline(rig);
    const device = rig.plug(type, 0x1000);
    const levels = rig.watch(device, "irq");
    onFinalize(rig.world, device, () => log.push("finalized"));
    assertEquals(rig.write(0x1000, 7), 0);
    assertEquals([log, levels], [["alive true", "finalized"], [1, 0]]);
    assertEquals([baseline(rig), rig.clock.armed.length, bottomHalfQueue(rig.world).length], [before, 0, 0]);
    assert(rig.write(0x1000, 7) !== 0, "still mapped");
  }),
);

Deno.test(
  "a device that unrealizes itself in its own handler can't raise its lines or arm its timers any more",
  withRig((rig) => {
    const type = widgetType([], undefined, (d) => {
      unrealize(d.world, d.device);
      setLine(d, "irq", 1);
      armTimer(d, "alarm", 1);
      schedule(d, "work");
    });
    const levels = rig.watch(rig.plug(type, 0x1000), "irq");
    rig.write(0x1000, 7);
    assertEquals([levels, rig.clock.armed.length, bottomHalfQueue(rig.world).length], [[1, 0], 0, 0]);
  }),
);

Deno.test(
  "a timer callback unplugs its device and arms its timer again: it does not fire again (S11)",
  withRig((rig) => {
    let fired = 0;
    const type = defineDevice<object>({
      type: "bomb",
      description: "unplugs itself when its time has come",
      state: () => ({}),
      timers: {
        fuse: {
          fire(d) {
            fired++;
            unplug(d.world, d.device);
            armTimer(d, "fuse", 20);
            assert(isAlive(d.world, d.device), "callback must return on live state");
          },
        },
      },
      realize: (d) => armTimer(d, "fuse", 10),
      regions: { registers: { size: 4, registers: [{ name: "none", offset: 0, bytes: 4 }] } },
    });
    const before = baseline(rig);
    rig.plug(type, 0x1000);
    rig.runUntil(100);
    assertEquals([fired, baseline(rig)], [1, before]);
  }),
);

Deno.test(
  "DMA of a guarded bottom half does not reach its own device's registers; an unguarded one's does (S47)",
  withRig((rig) => {
    const results: number[] = [];
    const poke = (d: Instance<object, object>) =>
      void results.push(write(d.world, d.addressSpace, 0x1000, Uint8Array.of(1, 2, 3, 4)));
    const type = defineDevice<{ value: number }>({
      type: "self",
      description: "writes its own registers",
      state: () => ({ value: 0 }),
      bottomHalves: { guarded: { guarded: true, run: poke }, open: { guarded: false, run: poke } },
      regions: { registers: { size: 4, registers: [{ name: "value", offset: 0, bytes: 4, field: "value" }] } },
    });
    const device = rig.plug(type, 0x1000);
    const d = instance(rig.world, device, type);
    schedule(d, "guarded");
    runBottomHalves(rig.world);
    assertEquals([results.map((bits) => bits !== 0), d.state.value], [[true], 0]);
    schedule(d, "open");
    runBottomHalves(rig.world);
    assertEquals([results[1], d.state.value], [0, 0x04030201]);
  }),
);

Deno.test(
  "interrupt lines fall when the device is unplugged, and the sink's input is free again",
  withRig((rig) => {
    const { world, machine: owner, space: addressSpace, clock } = rig;
    const [source, sink, other] = ["source", "sink", "other"].map((id) =>
      plug(world, widgetType(), { id, owner, addressSpace, clock })
    ) as [Device, Device, Device];
    mapRegion(world, sink, "registers", rig.system, 0x1000);
    const to = { device: sink, line: "in", index: 1 };
    connect(world, { device: source, line: "irq" }, to);
    assertEquals(rig.read(0x1004), 2, "the level that stands is passed on");
    assertThrows(
      () => connect(world, { device: other, line: "irq" }, to),
      DeviceError,
      "Input sink.in[1] has a source already",
    );
    assertThrows(
      () => connect(world, { device: source, line: "irq" }, () => {}),
      DeviceError,
      "Output source.irq[0] is connected",
    );
    assertThrows(
      () => connect(world, { device: sink, line: "out" }, () => {}),
      DeviceError,
      'Device "sink" (widget) has no output out[0]',
    );
    unplug(world, source);
    assertEquals(rig.read(0x1004), 0);
    connect(world, { device: other, line: "irq" }, to);
    assertEquals(rig.read(0x1004), 2);
    unplug(world, sink);
    unplug(world, other);
  }),
);

Deno.test(
  "a backend has one user at a time and is free after unrealize",
  withRig((rig) => {
    const { world, machine: owner, space: addressSpace, clock } = rig;
    const options = { owner, addressSpace, clock, properties: { backend: BACKEND } };
    const first = plug(world, widgetType(), { ...options, id: "first" });
    const error = assertThrows(() => plug(world, widgetType(), { ...options, id: "second" }), DeviceError);
    assertEquals(error.message, 'Property "backend" of device "second" names a backend that device "first" uses');
    assertEquals(claimant(world, BACKEND), first);
    unrealize(world, first);
    assertEquals(claimant(world, BACKEND), undefined);
    plug(world, widgetType(), { ...options, id: "second" });
  }),
);

Deno.test(
  "a device that dies with its owner, without unplug, gives its backend back",
  withRig((rig) => {
    const { world, machine, space: addressSpace, clock } = rig;
    const owner = createOwner(world, { name: "board", owner: machine });
    const quiet = defineDevice<object, { backend: ReturnType<typeof backendProperty> }>({
      type: "quiet",
      description: "arms nothing",
      properties: { backend: backendProperty() },
      state: () => ({}),
    });
    plug(world, quiet, { id: "first", owner, addressSpace, clock, properties: { backend: BACKEND } });
    drop(world, owner);
    assertEquals([claimant(world, BACKEND), deviceById(world, "first")], [undefined, undefined]);
  }),
);

Deno.test(
  "reset gives power-on state but for what survives, and tells inputs that are high again",
  withRig((rig) => {
    const device = rig.plug(widgetType(), 0x1000);
    mapRegion(rig.world, device, "window", rig.system, 0x2000);
    const levels = rig.watch(device, "irq");
    const source = plug(rig.world, widgetType(), {
      id: "s",
      owner: rig.machine,
      addressSpace: rig.space,
      clock: rig.clock,
    });
    connect(rig.world, { device: source, line: "irq" }, { device, line: "in" });
    driveInput(rig.world, device, "in", 1, 1);
    rig.write(0x1000, 5);
    rig.write(0x2000, 6);
    resetDevice(rig.world, device);
    assertEquals([rig.read(0x1000), rig.read(0x2000), rig.read(0x1004)], [0, 6, 1]);
    assertEquals([levels, rig.clock.armed.length], [[1, 0], 1], "only the source's timer is armed");
  }),
);

Deno.test(
  "unplugging a bridge unplugs what is on its bus first, and ends when the leaf's access ends (S150)",
  withRig((rig) => {
    const { world, machine: owner, space: addressSpace, clock } = rig;
    const bridgeType = defineDevice<object>({ type: "bridge", description: "offers a bus", state: () => ({}) });
    const bridge = plug(world, bridgeType, { id: "bridge", owner });
    const bus = createBus(world, {
      name: "slots",
      owner: bridge,
      type: "slots",
      capacity: 1,
    });
    const log: string[] = [];
    const leafType = {
      ...widgetType([], undefined, (d) => (unplug(d.world, bridge), log.push(`handler ${isAlive(world, d.device)}`))),
      bus: "slots",
    };
    const at = [{ region: "registers", container: rig.system, offset: 0x1000 }];
    const leaf = plug(world, leafType, { id: "leaf", owner, addressSpace, clock, bus, at });
    assertThrows(
      () => createDevice(world, leafType, { id: "leaf2", owner, bus }),
      DeviceError,
      'finds no free place on bus "slots"',
    );
    assertThrows(
      () => createDevice(world, leafType, { id: "leaf2", owner }),
      DeviceError,
      "must be on a bus of type slots",
    );
    for (const [name, device] of [["bridge", bridge], ["leaf", leaf]] as const) {
      onFinalize(world, device, () => log.push(`end of ${name}`));
    }
    rig.write(0x1000, 1);
    assertEquals(log, ["handler true", "end of leaf", "end of bridge"]);
  }),
);

Deno.test(
  "an open scope keeps an unplugged device's memory, though its id is free at once",
  withRig((rig) => {
    const device = rig.plug(widgetType(), 0x1000);
    const scope = openScope(rig.world, "reader");
    unplug(rig.world, device);
    assertEquals([isAlive(rig.world, device), deviceById(rig.world, "widget")], [true, undefined]);
    assertThrows(() => unplug(rig.world, device), DeviceError, 'Device "widget" is unplugged');
    const next = rig.plug(widgetType(), 0x1000);
    closeScope(rig.world, scope);
    assertEquals([isAlive(rig.world, device), isRealized(rig.world, next)], [false, true]);
    assertThrows(() => deviceRow(rig.world, device), StaleHandleError, '"widget" is stale');
    assertThrows(() => unplug(rig.world, rig.machine as Device), DeviceError, '"machine" is not a device');
  }),
);

Deno.test(
  "a region that the board mapped by hand is unmapped by unrealize too",
  withRig((rig) => {
    const device = rig.plug(widgetType(), 0x1000);
    addSubregion(rig.world, rig.system, 0x2000, deviceRegion(rig.world, device, "window"));
    assertEquals(rig.write(0x2000, 1), 0);
    unrealize(rig.world, device);
    assert(rig.write(0x2000, 1) !== 0);
  }),
);

Deno.test(
  "100 plug and unplug cycles grow nothing",
  withRig((rig) => {
    const before = baseline(rig);
    for (let cycle = 0; cycle < 100; cycle++) unplug(rig.world, rig.plug(widgetType(), 0x1000));
    assertEquals(baseline(rig), before);
    assertEquals(rig.world.capacity, 64);
  }),
);
