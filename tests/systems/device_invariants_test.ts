import { assert, assertEquals, assertThrows } from "@std/assert";
import { addDeviceRow, claim, type DeviceRow, deviceRow, freeDeviceId, releaseClaim } from "../../ecs/device.ts";
import { reference, release } from "../../systems/finalize.ts";
import { audit, AuditError } from "../../systems/inspect.ts";
import { connect } from "../../systems/interrupts.ts";
import { deviceRegion, unplug, unrealize } from "../../systems/plug.ts";
import { addSubregion, delSubregion } from "../../systems/topology.ts";
import { defineDevice } from "../../machines/devices/define.ts";
import { type Rig, withRig } from "../machines/devices/rig.ts";

const widget = defineDevice({
  type: "widget",
  description: "device of these tests",
  state: () => ({}),
  outputs: { out: 1 },
  inputs: { in: { set() {} } },
  timers: { timer: { fire() {} } },
  bottomHalves: { work: { guarded: false, run() {} } },
  regions: { registers: { size: 4, registers: [{ name: "none", offset: 0, bytes: 4 }] } },
});

/** What a bug would do, and what takes it back, with what the audit says of it. */
const BUGS: [string, (rig: Rig, row: DeviceRow) => () => void][] = [
  ['device "widget" is created, but its line out is high', (_, row) => {
    const line = row.outputs["out"]![0]!;
    line.level = 1;
    return () => line.level = 0;
  }],
  ['device "widget" is created, but its timer timer is armed', (rig, row) => {
    const timer = row.timers["timer"]![0]!;
    timer.position = rig.clock.armed.push(timer) - 1;
    return () => {
      rig.clock.armed.pop();
      timer.position = -1;
    };
  }],
  ['timer "widget.timer" is not where its clock looks for it', (_, row) => {
    const timer = row.timers["timer"]![0]!;
    timer.position = 3;
    return () => timer.position = -1;
  }],
  ['device "widget" is created, but its bottom half work is queued', (_, row) => {
    const half = row.bottomHalves["work"]!;
    half.queued = true;
    return () => half.queued = false;
  }],
  ['device "widget" is created, but has a backend in use', (rig, row) => {
    const backend = {};
    claim(rig.world, backend, row.device);
    return () => releaseClaim(rig.world, backend);
  }],
  ["input widget.in[0] has miscounted its sources", (_, row) => {
    const line = row.inputs["in"]![0]!;
    line.high++;
    return () => line.high--;
  }],
];

for (const [sentence, plant] of BUGS) {
  Deno.test(
    `the audit finds a planted bug: ${sentence}`,
    withRig((rig) => {
      const device = rig.plug(widget, 0x1000);
      connect(rig.world, { device, line: "out" }, { device, line: "in" });
      audit(rig.world);
      unrealize(rig.world, device);
      audit(rig.world);
      const repair = plant(rig, deviceRow(rig.world, device));
      const error = assertThrows(() => audit(rig.world), AuditError);
      assert(error.findings.some((finding) => finding.endsWith(sentence)), error.message);
      repair();
      audit(rig.world);
    }),
  );
}

Deno.test(
  "the audit finds an unplugged device that can still be found",
  withRig((rig) => {
    const { world, system } = rig;
    const device = rig.plug(widget, 0x1000);
    const row = deviceRow(world, device);
    reference(world, device, "external");
    unplug(world, device);
    const findings = () => assertThrows(() => audit(world), AuditError).findings;
    addSubregion(world, system, 0x1000, deviceRegion(world, device, "registers"));
    assertEquals(findings(), ['LC16: device "widget" is unplugged, but its region "registers" is mapped']);
    delSubregion(world, system, deviceRegion(world, device, "registers"));
    addDeviceRow(row);
    assertEquals(findings(), ['LC16: device "widget" is unplugged, but found by its id']);
    freeDeviceId(row);
    release(world, device, "external");
  }),
);
