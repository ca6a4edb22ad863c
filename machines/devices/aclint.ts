/**
 * CLINT: software interrupts between harts and the machine timer, in one register window.
 *
 * Source: RISC-V ACLINT specification 1.0-rc4, chapters 2 (MTIMER) and 3 (MSWI), at the offsets of the SiFive CLINT
 * (FU540-C000 manual, chapter 9), as on QEMU's `virt` (device tree: `riscv,clint0`).
 */
import { armTimer, bits, cancelTimer, defineDevice, type Device, type Instance, instance } from "./define.ts";
import { integer, now, type PropertiesOf, type Register, setLine } from "./define.ts";
import type { World } from "../../ecs/world.ts";

const properties = {
  harts: integer("number of harts", { default: 1, minimum: 1, maximum: 4095 }),
  frequency: integer("ticks of mtime per second", { default: 10_000_000, minimum: 1, maximum: 1e9 }),
};

type Properties = PropertiesOf<typeof properties>;

const powerOn = ({ harts }: Properties) => ({
  msip: new Array<number>(harts).fill(0),
  mtimecmp: new Array<bigint>(harts).fill(0n),
  /** mtime at time 0 of the clock. */
  origin: 0n,
});

type Clint = Instance<ReturnType<typeof powerOn>, Properties>;

const MSIP = bits({ MSIP: 0 });
const MTIMECMP = 0x4000;

const registers = ({ harts }: Properties): readonly Register<Clint>[] => [
  { name: "msip", offset: 0, bytes: 4, count: harts, fields: MSIP, field: "msip", write: sendSoftwareInterrupt },
  {
    name: "mtimecmp",
    offset: MTIMECMP,
    bytes: 8,
    count: harts,
    field: "mtimecmp",
    write: (d, _, hart) => compare(d, hart),
  },
  { name: "mtime", offset: 0xbff8, bytes: 8, read: (d) => ticks(d) + d.state.origin, write: setTime },
];

function sendSoftwareInterrupt(d: Clint, value: number, hart: number): void {
  setLine(d, "software", value === 1, hart);
}

function ticks(d: Clint): bigint {
  return BigInt(Math.floor(now(d) / nanosecondsPerTick(d)));
}

function nanosecondsPerTick(d: Clint): number {
  return 1e9 / d.properties.frequency;
}

function setTime(d: Clint, value: bigint): void {
  d.state.origin = value - ticks(d);
  for (let hart = 0; hart < d.properties.harts; hart++) compare(d, hart);
}

/** The timer interrupt is pending while mtime ≥ mtimecmp; both are unsigned. */
function compare(d: Clint, hart: number): void {
  const time = BigInt.asUintN(64, ticks(d) + d.state.origin);
  const target = d.state.mtimecmp[hart] ?? 0n;
  setLine(d, "timer", time >= target, hart);
  if (time >= target) return cancelTimer(d, "compare", hart);
  const deadline = (Number(target - d.state.origin)) * nanosecondsPerTick(d);
  // A deadline that the clock can't reach (104 days) is no deadline; guests write all ones for "never".
  if (deadline > Number.MAX_SAFE_INTEGER) return cancelTimer(d, "compare", hart);
  armTimer(d, "compare", Math.max(deadline, now(d) + 1), hart);
}

/** mtime of a CLINT in ticks: what its harts read as `time`. */
export function mtime(world: World, device: Device): bigint {
  const d = instance(world, device, clint);
  return BigInt.asUintN(64, ticks(d) + d.state.origin);
}

export const clint = defineDevice<ReturnType<typeof powerOn>, typeof properties>({
  type: "riscv.clint",
  description: "core-local interruptor: software and timer interrupts of harts",
  properties,
  state: powerOn,
  outputs: { software: (p) => p.harts, timer: (p) => p.harts },
  timers: { compare: { count: (p) => p.harts, fire: compare } },
  regions: {
    registers: {
      size: 0xc000,
      registers,
      // No byte or halfword accesses; the software interrupt registers take words only.
      valid: { min: 4, max: 8, accepts: (_, offset, size) => size === 4 || offset >= MTIMECMP },
    },
  },
  realize: (d) => setTime(d, 0n),
  reset: (d) => setTime(d, 0n),
});
