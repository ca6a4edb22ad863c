/** Ticker: counts at a rate that is a property, and interrupts when the count reaches a limit. */
import {
  armTimer,
  bits,
  cancelTimer,
  defineDevice,
  type Instance,
  integer,
  now,
  type PropertiesOf,
  type Register,
  setLine,
} from "../../../machines/devices/define.ts";

const properties = { rate: integer("counts per second", { default: 1000, minimum: 1, maximum: 1e6 }) };
const powerOn = () => ({ control: 0, count: 0, limit: 10, reached: 0 });
type Ticker = Instance<ReturnType<typeof powerOn>, PropertiesOf<typeof properties>>;

const CONTROL = bits({ run: 0, interrupt: 1 });
const STATUS = bits({ reached: 0 });

const REGISTERS: readonly Register<Ticker>[] = [
  { name: "CONTROL", offset: 0x0, bytes: 4, fields: CONTROL, field: "control", write: control },
  { name: "COUNT", offset: 0x4, bytes: 4, access: "ro", field: "count" },
  { name: "LIMIT", offset: 0x8, bytes: 4, field: "limit" },
  { name: "STATUS", offset: 0xc, bytes: 4, access: "ro", fields: STATUS, field: "reached", afterRead: acknowledge },
];

/** Whoever sets `run` starts a period. */
function control(d: Ticker, value: number): void {
  if (value & CONTROL.run) armTimer(d, "period", now(d) + 1e9 / d.properties.rate);
  else cancelTimer(d, "period");
  signal(d);
}

function count(d: Ticker): void {
  if (++d.state.count === d.state.limit) d.state.reached = 1;
  armTimer(d, "period", now(d) + 1e9 / d.properties.rate);
  signal(d);
}

function acknowledge(d: Ticker): void {
  d.state.reached = 0;
  signal(d);
}

function signal(d: Ticker): void {
  setLine(d, "irq", d.state.reached === 1 && (d.state.control & CONTROL.interrupt) !== 0);
}

export const ticker = defineDevice<ReturnType<typeof powerOn>, typeof properties>({
  type: "ticker",
  description: "counter with an interrupt",
  properties,
  state: powerOn,
  outputs: { irq: 1 },
  timers: { period: { fire: count } },
  regions: { registers: { size: 0x10, registers: REGISTERS } },
});
