import { assertEquals } from "@std/assert";
import { goldfishRtc } from "../../../machines/devices/goldfish_rtc.ts";
import { resetDevice } from "../../../systems/plug.ts";
import { type Rig, withRig } from "./rig.ts";

const BASE = 0x101000;
const REG = { LOW: 0, HIGH: 4, ALARM_LOW: 8, ALARM_HIGH: 12, ENABLED: 16, CLEAR_ALARM: 20, STATUS: 24, CLEAR_IRQ: 28 };

function time(rig: Rig): bigint {
  const low = rig.read(BASE + REG.LOW);
  return BigInt(rig.read(BASE + REG.HIGH)) << 32n | BigInt(low);
}

function setAlarm(rig: Rig, at: bigint): void {
  rig.write(BASE + REG.ALARM_HIGH, at >> 32n);
  rig.write(BASE + REG.ALARM_LOW, at & 0xffffffffn);
}

Deno.test(
  "time is nanoseconds since 1970, from the epoch that was given",
  withRig((rig) => {
    rig.plug(goldfishRtc, BASE, { epoch: 1_700_000_000_123 });
    rig.time = 5_000_000_007;
    assertEquals(time(rig), 1_700_000_005_123_000_007n);
  }),
);

Deno.test(
  "the high half belongs to the low half that was read before it",
  withRig((rig) => {
    rig.plug(goldfishRtc, BASE);
    rig.time = 2 ** 32 - 1;
    const low = rig.read(BASE + REG.LOW);
    rig.time = 2 ** 32 + 5;
    assertEquals([low, rig.read(BASE + REG.HIGH)], [0xffffffff, 0]);
    assertEquals(time(rig), 2n ** 32n + 5n);
  }),
);

Deno.test(
  "a time that was set goes on from there, also through a reset",
  withRig((rig) => {
    const device = rig.plug(goldfishRtc, BASE, { epoch: 1000 });
    rig.time = 1e9;
    rig.write(BASE + REG.HIGH, 3);
    rig.write(BASE + REG.LOW, 0xfffffffe);
    rig.time += 10;
    resetDevice(rig.world, device);
    assertEquals(time(rig), (3n << 32n) + 0xfffffffen + 10n);
  }),
);

Deno.test(
  "the alarm rings once at its time, if interrupts are enabled",
  withRig((rig) => {
    const irq = rig.watch(rig.plug(goldfishRtc, BASE), "irq");
    setAlarm(rig, 2n ** 32n + 100n);
    assertEquals(rig.read(BASE + REG.STATUS), 1);
    rig.runUntil(2 ** 32 + 99);
    assertEquals(rig.read(BASE + REG.STATUS), 1);
    rig.runUntil(2 ** 32 + 100);
    assertEquals([rig.read(BASE + REG.STATUS), irq], [0, []], "pending, but not enabled");
    rig.write(BASE + REG.ENABLED, 1);
    assertEquals(irq, [1]);
    rig.write(BASE + REG.CLEAR_IRQ, 1);
    assertEquals(irq, [1, 0]);
  }),
);

Deno.test(
  "an alarm in the past rings at once; a cleared one never",
  withRig((rig) => {
    const irq = rig.watch(rig.plug(goldfishRtc, BASE), "irq");
    rig.time = 1000;
    rig.write(BASE + REG.ENABLED, 1);
    setAlarm(rig, 999n);
    assertEquals(irq, [1]);
    rig.write(BASE + REG.CLEAR_IRQ, 1);
    setAlarm(rig, 2000n);
    rig.write(BASE + REG.CLEAR_ALARM, 1);
    rig.runUntil(3000);
    assertEquals([irq, rig.read(BASE + REG.STATUS)], [[1, 0], 0]);
  }),
);

Deno.test(
  "an alarm beyond the clock's range is armed and never rings",
  withRig((rig) => {
    rig.plug(goldfishRtc, BASE);
    setAlarm(rig, 2n ** 64n - 1n);
    assertEquals([rig.read(BASE + REG.STATUS), rig.clock.armed.length], [1, 0]);
    assertEquals(rig.read(BASE + REG.ALARM_HIGH), 0xffffffff);
  }),
);
