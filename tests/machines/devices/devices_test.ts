/** What every device of the board has in common. */
import { assertEquals } from "@std/assert";
import { deviceRow, type DeviceType } from "../../../ecs/device.ts";
import { countEntities } from "../../../ecs/handle.ts";
import type { PropertyValues } from "../../../ecs/property.ts";
import { CallbackBackend } from "../../../machines/backends/character.ts";
import { clint } from "../../../machines/devices/aclint.ts";
import { fwCfg } from "../../../machines/devices/fw_cfg.ts";
import { goldfishRtc } from "../../../machines/devices/goldfish_rtc.ts";
import { ns16550a } from "../../../machines/devices/ns16550a.ts";
import { plic } from "../../../machines/devices/plic.ts";
import { testFinisher } from "../../../machines/devices/test_finisher.ts";
import { peek, read, write } from "../../../systems/dma.ts";
import { resetDevice, unplug } from "../../../systems/plug.ts";
import { closeScope, openScope } from "../../../systems/scope.ts";
import { withRig } from "./rig.ts";

const host = { shutdown() {}, reset() {} };
const DEVICES: [DeviceType, PropertyValues][] = [
  [clint as DeviceType, { harts: 2 }],
  [fwCfg as DeviceType, {}],
  [goldfishRtc as DeviceType, { epoch: 1e12 }],
  [ns16550a as DeviceType, { chardev: new CallbackBackend() }],
  [plic as DeviceType, { harts: 2 }],
  [testFinisher as DeviceType, { host }],
];

/** Writes every word of the first pages, so that timers are armed, lines are up and queues are filled. */
function disturb(rig: Parameters<Parameters<typeof withRig>[0]>[0]): void {
  for (let offset = 0; offset < 0x5000; offset += 4) rig.write(offset, 0x12345678 + offset);
}

for (const [type, properties] of DEVICES) {
  Deno.test(
    `${type.type}: unplugged in use, it leaves nothing behind, and the next of its kind is as new`,
    withRig((rig) => {
      const before = countEntities(rig.world);
      const looks: Uint8Array[] = [];
      for (let round = 0; round < 3; round++) {
        const device = rig.plug(type, 0, properties);
        const look = new Uint8Array(0x80);
        peek(rig.world, rig.space, 0, look);
        looks.push(look);
        disturb(rig);
        const scope = openScope(rig.world, "a reader in flight");
        unplug(rig.world, device);
        closeScope(rig.world, scope);
        assertEquals([countEntities(rig.world), rig.clock.armed.length], [before, 0]);
      }
      assertEquals(looks[1], looks[0]);
      assertEquals(looks[2], looks[0]);
    }),
  );

  Deno.test(
    `${type.type}: reset gives the state of power-on`,
    withRig((rig) => {
      const device = rig.plug(type, 0, properties);
      const { state, outputs } = deviceRow(rig.world, device);
      const levels = () => Object.values(outputs).flatMap((lines) => lines.map(({ level }) => level));
      const fresh = structuredClone({ state, levels: levels() });
      disturb(rig);
      resetDevice(rig.world, device);
      const kept = Object.fromEntries((type.survivesReset ?? []).map((name) => [name, Reflect.get(state, name)]));
      assertEquals(structuredClone({ state, levels: levels() }), { ...fresh, state: { ...fresh.state, ...kept } });
    }),
  );

  Deno.test(
    `${type.type}: a debugger's look changes nothing`,
    withRig((rig) => {
      const device = rig.plug(type, 0, properties);
      disturb(rig);
      const row = deviceRow(rig.world, device);
      const before = structuredClone(row.state);
      const traces = rig.traces.length;
      peek(rig.world, rig.space, 0, new Uint8Array(0x8000));
      assertEquals([row.state, rig.traces.length], [before, traces]);
    }),
  );

  Deno.test(
    `${type.type}: buffers of any length and place are survived`,
    withRig((rig) => {
      rig.plug(type, 0, properties);
      for (const [address, length] of [[0, 4096], [1, 63], [3, 5], [7, 1], [0x3ffd, 9], [2 ** 53, 16]] as const) {
        write(rig.world, rig.space, address, new Uint8Array(length).fill(0xff));
        read(rig.world, rig.space, address, new Uint8Array(length));
      }
    }),
  );
}
