/** Device invariants: what must be true of every device between two verbs. Part of the audit. */
import { bottomHalfQueue } from "../ecs/bottom_half.ts";
import { containers } from "../ecs/container.ts";
import { claimedTargets, deviceById, type DeviceRow, deviceRows } from "../ecs/device.ts";
import { resolve } from "../ecs/handle.ts";
import type { InputLine } from "../ecs/irq.ts";
import { RegionKind } from "../ecs/region.ts";
import type { World } from "../ecs/world.ts";

/** Told of each violation: the rule, and a sentence. */
type Report = (rule: string, finding: string) => void;

export function checkDevices(world: World, report: Report): void {
  for (const row of deviceRows(world)) {
    if (!isRunning(row)) checkRest(row, report);
    if (row.stage === "unplugged") checkGone(row, report);
    for (const timer of Object.values(row.timers).flat()) {
      if (timer.position >= 0 && timer.clock.armed[timer.position] !== timer) {
        report("LC24", `timer "${timer.name}" is not where its clock looks for it`);
      }
    }
  }
  checkLines(world, report);
  const rows = new Map([...deviceRows(world)].map((row) => [row.device, row]));
  for (const [, user] of claimedTargets(world)) {
    const row = rows.get(user);
    if (row === undefined) report("LC16", "a backend is in use by a device that is gone");
    else if (!isRunning(row)) report("LC16", `device "${row.id}" is ${row.stage}, but has a backend in use`);
  }
}

function isRunning({ stage }: DeviceRow): boolean {
  return stage === "realized" || stage === "realizing";
}

/** LC16, LC24: a device that is not realized does nothing. */
function checkRest({ world, id, stage, outputs, timers, bottomHalves }: DeviceRow, report: Report): void {
  const flag = (fact: string) => report("LC16", `device "${id}" is ${stage}, but ${fact}`);
  for (const [name, lines] of Object.entries(outputs)) {
    if (lines.some(({ level }) => level === 1)) flag(`its line ${name} is high`);
  }
  for (const [name, named] of Object.entries(timers)) {
    if (named.some(({ position }) => position >= 0)) flag(`its timer ${name} is armed`);
  }
  for (const [name, half] of Object.entries(bottomHalves)) {
    if (half.queued || bottomHalfQueue(world).includes(half)) flag(`its bottom half ${name} is queued`);
  }
}

/** An unplugged device can't be found, though it may still be reached. */
function checkGone({ world, id, device, bus, regions }: DeviceRow, report: Report): void {
  if (deviceById(world, id) === device) report("LC16", `device "${id}" is unplugged, but found by its id`);
  if (bus?.children.includes(device)) report("LC16", `device "${id}" is unplugged, but on bus "${bus.name}"`);
  for (const [name, region] of Object.entries(regions)) {
    if (containers(world).container[resolve(world, region, RegionKind)] !== 0) {
      report("LC16", `device "${id}" is unplugged, but its region "${name}" is mapped`);
    }
  }
}

/** An input counts the outputs that lead to it, and those of them that are high. */
function checkLines(world: World, report: Report): void {
  const sources = new Map<unknown, { count: number; high: number }>();
  for (const { outputs } of deviceRows(world)) {
    for (const { sink, level } of Object.values(outputs).flat()) {
      const { count, high } = sources.get(sink) ?? { count: 0, high: 0 };
      sources.set(sink, { count: count + 1, high: high + level });
    }
  }
  const isRight = (line: InputLine) => {
    const { count, high } = sources.get(line) ?? { count: 0, high: 0 };
    return line.sources === count && line.high === high;
  };
  for (const { id, inputs } of deviceRows(world)) {
    for (const line of Object.values(inputs).flat()) {
      if (!isRight(line)) report("lines", `input ${id}.${line.name}[${line.index}] has miscounted its sources`);
    }
  }
}
