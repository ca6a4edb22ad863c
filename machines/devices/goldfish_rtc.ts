/**
 * Goldfish RTC: nanoseconds since the Unix epoch, and one alarm.
 *
 * Source: Android emulator, goldfish virtual hardware guide, section "Goldfish RTC" (device tree: `google,goldfish-rtc`).
 */
import { armTimer, bits, cancelTimer, defineDevice, type Instance, integer, now } from "./define.ts";
import { type PropertiesOf, type Register, setLine } from "./define.ts";

const properties = {
  epoch: integer("milliseconds since 1970 at time 0 of the clock", { default: 0, maximum: Number.MAX_SAFE_INTEGER }),
};

type Properties = PropertiesOf<typeof properties>;

const powerOn = ({ epoch }: Properties) => ({
  /** Time of day at time 0 of the clock, in ns. */
  origin: BigInt(epoch) * 1_000_000n,
  /** TIME_HIGH as it was when TIME_LOW was read. */
  latched: 0,
  alarm: 0n,
  armed: 0,
  enabled: 0,
  pending: false,
});

type Rtc = Instance<ReturnType<typeof powerOn>, Properties>;

const FLAG = bits({ set: 0 });

const REGISTERS: readonly Register<Rtc>[] = [
  { name: "TIME_LOW", offset: 0x00, bytes: 4, read: (d) => low(time(d)), afterRead: latch, write: setTimeLow },
  { name: "TIME_HIGH", offset: 0x04, bytes: 4, read: (d) => d.state.latched, write: setTimeHigh },
  { name: "ALARM_LOW", offset: 0x08, bytes: 4, read: (d) => low(d.state.alarm), write: setAlarm },
  { name: "ALARM_HIGH", offset: 0x0c, bytes: 4, read: (d) => high(d.state.alarm), write: setAlarmHigh },
  { name: "IRQ_ENABLED", offset: 0x10, bytes: 4, fields: FLAG, field: "enabled", write: update },
  { name: "CLEAR_ALARM", offset: 0x14, bytes: 4, access: "wo", write: clearAlarm },
  { name: "ALARM_STATUS", offset: 0x18, bytes: 4, access: "ro", field: "armed" },
  { name: "CLEAR_INTERRUPT", offset: 0x1c, bytes: 4, access: "wo", write: clearInterrupt },
];

function time(d: Rtc): bigint {
  return BigInt.asUintN(64, d.state.origin + BigInt(Math.floor(now(d))));
}

function low(value: bigint): number {
  return Number(value & 0xffff_ffffn);
}

function high(value: bigint): number {
  return Number(value >> 32n & 0xffff_ffffn);
}

function latch(d: Rtc): void {
  d.state.latched = high(time(d));
}

function setTimeLow(d: Rtc, value: number): void {
  const old = time(d);
  d.state.origin += BigInt(value) - (old & 0xffff_ffffn);
}

function setTimeHigh(d: Rtc, value: number): void {
  const old = time(d);
  d.state.origin += (BigInt(value) << 32n) - (old >> 32n << 32n);
}

function setAlarmHigh(d: Rtc, value: number): void {
  d.state.alarm = BigInt(value) << 32n | (d.state.alarm & 0xffff_ffffn);
}

/** Writing the low half sets the alarm; one in the past rings at once. */
function setAlarm(d: Rtc, value: number): void {
  const { state } = d;
  state.alarm = (state.alarm >> 32n << 32n) | BigInt(value);
  if (state.alarm <= time(d)) return ring(d);
  state.armed = 1;
  const deadline = Number(state.alarm - state.origin);
  if (deadline <= Number.MAX_SAFE_INTEGER) armTimer(d, "alarm", deadline);
  else cancelTimer(d, "alarm");
}

function ring(d: Rtc): void {
  clearAlarm(d);
  d.state.pending = true;
  update(d);
}

function clearAlarm(d: Rtc): void {
  d.state.armed = 0;
  cancelTimer(d, "alarm");
}

function clearInterrupt(d: Rtc): void {
  d.state.pending = false;
  update(d);
}

function update(d: Rtc): void {
  setLine(d, "irq", d.state.pending && d.state.enabled === 1);
}

export const goldfishRtc = defineDevice<ReturnType<typeof powerOn>, typeof properties>({
  type: "goldfish_rtc",
  description: "real-time clock in nanoseconds, with an alarm",
  properties,
  state: powerOn,
  // The time of day goes on through a reset.
  survivesReset: ["origin"],
  outputs: { irq: 1 },
  timers: { alarm: { fire: ring } },
  regions: { registers: { size: 0x24, registers: REGISTERS, valid: { min: 4, max: 4 } } },
});
