/** Deferred: timers and bottom halves, which pin their owner until they have run, and end with a device's unplug. */
import { assert, assertEquals } from "@std/assert";
import { bottomHalfQueue } from "../../../ecs/bottom_half.ts";
import {
  cancelBottomHalf,
  createBottomHalf,
  runBottomHalves,
  scheduleBottomHalf,
} from "../../../systems/bottom_half.ts";
import { clearTimer, createTimer, runDueTimers, setTimer } from "../../../systems/timers.ts";
import type { Machine, Room, Step } from "../machine.ts";
import { deviceOf, type OwnerModel, type WorkModel } from "../model/facts.ts";
import { endPin } from "../model/lives.ts";
import { nested, pick } from "../picks.ts";

const WORKS_MAX = 6;

export const room: Room = {
  anywhere: [
    (machine, step) => arm(machine, pick(machine.timers, step[1]), step[2] % 8, nested(step)),
    (machine, [, a]) => cancel(machine, pick(machine.timers, a)),
    (machine, step) => arm(machine, pick(machine.halves, step[1]), 0, nested(step)),
    (machine, [, a]) => cancel(machine, pick(machine.halves, a)),
  ],
  outside: [
    (machine, [, a]) => addTimer(machine, pick(machine.owners, a)),
    (machine, [, a, b]) => addHalf(machine, pick(machine.owners, a), b % 2 === 0),
    (machine, [, a]) => runTimers(machine, a % 8),
    (machine) => runHalves(machine),
  ],
};

/** Work that is not due. */
export function newWork(
  name: string,
  owner: OwnerModel,
  acts: Partial<Pick<WorkModel, "arm" | "cancel" | "guard">> = {},
) {
  const none = { arm: () => {}, cancel: undefined, guard: undefined };
  const work: WorkModel = {
    name,
    owner,
    deadline: 0,
    order: undefined,
    pin: undefined,
    step: undefined,
    ...none,
    ...acts,
  };
  return work;
}

function addTimer(machine: Machine, owner: OwnerModel | undefined): void {
  prune(machine);
  if (owner === undefined || owner.registers !== undefined || machine.timers.size >= WORKS_MAX) return;
  const { world } = machine;
  const name = machine.newName("timer");
  machine.attempt(`${name} of ${owner.name}`, true, () => {
    const { clock } = machine;
    const timer = createTimer(world, { name, owner: owner.handle, clock, callback: () => fire(machine, work) });
    const work = newWork(name, owner, {
      arm: (deadline) => setTimer(world, timer, deadline),
      cancel: () => clearTimer(world, timer),
    });
    machine.timers.add(work);
  });
}

function addHalf(machine: Machine, owner: OwnerModel | undefined, guarded: boolean): void {
  prune(machine);
  if (owner === undefined || owner.registers !== undefined || machine.halves.size >= WORKS_MAX) return;
  const { world } = machine;
  const name = machine.newName("bottom half");
  machine.attempt(`${name} of ${owner.name}${guarded ? ", guarded" : ""}`, true, () => {
    const callback = () => runHalf(machine, work);
    const half = createBottomHalf(world, { name, owner: owner.handle, guarded, callback });
    const work = newWork(name, owner, {
      arm: () => scheduleBottomHalf(world, half),
      cancel: () => cancelBottomHalf(world, half),
      guard: guarded ? deviceOf(owner) : undefined,
    });
    machine.halves.add(work);
  });
}

/** Nobody uses what belongs to the dead. */
function prune(machine: Machine): void {
  for (const works of [machine.timers, machine.halves]) {
    for (const work of works) if (!machine.owners.has(work.owner)) works.delete(work);
  }
}

/** An unplugged device has none of its work done any more. */
export function endWork(machine: Machine, owner: OwnerModel): void {
  for (const work of [...machine.timers, ...machine.halves]) {
    if (work.owner !== owner || work.pin === undefined) continue;
    endPin(machine, work.pin);
    work.pin = undefined;
  }
}

function arm(machine: Machine, work: WorkModel | undefined, later: number, step: Step): void {
  if (work === undefined || !machine.owners.has(work.owner)) return;
  // A device that is being unplugged, or was, ignores this.
  if (work.owner.registers !== undefined && (machine.callbacks > 0 || work.owner.dropped)) return;
  machine.attempt(`${work.name} is due in ${later}`, true, () => {
    const deadline = machine.time + later;
    work.arm(deadline);
    const isHalf = machine.halves.has(work);
    if (isHalf && work.pin !== undefined) return;
    Object.assign(work, { deadline, step, order: machine.newOrder() });
    if (work.pin === undefined) queue(machine, work);
  });
}

/** It pins its owner from now on. */
export function queue(machine: Machine, work: WorkModel): WorkModel {
  work.pin = { name: `${work.name}, which is due`, targets: [work.owner], holder: undefined };
  machine.pins.add(work.pin);
  return work;
}

function cancel(machine: Machine, work: WorkModel | undefined): void {
  if (work?.pin === undefined || work.cancel === undefined) return;
  const { pin, cancel } = work;
  machine.attempt(`${work.name} is cancelled`, true, () => {
    work.pin = undefined;
    cancel();
    endPin(machine, pin);
  });
}

/** Whether the world has a bottom half of that name in its queue. */
export function isQueued({ world }: Machine, name: string): boolean {
  return bottomHalfQueue(world).some((half) => half.name === name);
}

export function runTimers(machine: Machine, advance: number): void {
  if (machine.due !== undefined) return; // no timer of these fires another
  machine.time += advance;
  const due = [...machine.timers].filter(({ pin, deadline }) => pin !== undefined && deadline <= machine.time);
  due.sort((a, b) => a.deadline - b.deadline || (a.order ?? 0) - (b.order ?? 0));
  machine.due = due.map((work) => ({ work, order: work.order }));
  runWork(machine, "timers", () => runDueTimers(machine.world, machine.clock));
  const left = machine.due.filter(isStillDue);
  assertEquals(left.map(({ work }) => work.name), [], "timers that were due and did not fire");
  machine.due = undefined;
}

export function runHalves(machine: Machine): void {
  if (machine.isRunningHalves) return;
  machine.isRunningHalves = true;
  runWork(machine, "bottom halves", () => runBottomHalves(machine.world));
  machine.isRunningHalves = false;
}

function runWork(machine: Machine, what: string, run: () => number): void {
  machine.attempt(`run ${what}`, true, () => {
    const working = { count: 0, finish: () => {} };
    machine.working.push(working);
    const ran = run();
    working.finish();
    machine.working.pop();
    assertEquals(ran, working.count, `${what} that ran`);
  });
}

/** It was neither cancelled nor armed anew. */
function isStillDue({ work, order }: { readonly work: WorkModel; readonly order: number | undefined }): boolean {
  return work.pin !== undefined && work.order === order;
}

/** A timer fires: it is the first that is still due as it was. */
export function fire(machine: Machine, work: WorkModel): void {
  const { due = [] } = machine;
  const first = due.find(isStillDue);
  assert(first?.work === work, `${work.name} fires instead of ${first?.work.name}`);
  due.splice(due.indexOf(first), 1);
  doWork(machine, work);
}

/** A bottom half runs: no other was queued before. */
export function runHalf(machine: Machine, work: WorkModel): void {
  for (const { pin, order, name } of machine.halves) {
    const isOlder = pin !== undefined && order !== undefined && order < (work.order ?? 0);
    assert(!isOlder, `${work.name} runs before ${name}`);
  }
  doWork(machine, work);
  machine.woken.delete(work);
}

/** Its pin is given up after the callback has returned: when the next one begins, or all have run. */
function doWork(machine: Machine, work: WorkModel): void {
  const { pin, step, guard } = work;
  const working = machine.working.at(-1);
  assert(pin !== undefined && working !== undefined, `${work.name} is not due`);
  working.finish();
  working.count++;
  work.pin = undefined;
  const isNew = guard !== undefined && !machine.engaged.has(guard);
  if (isNew) machine.engaged.add(guard);
  working.finish = () => {
    endPin(machine, pin);
    machine.after();
  };
  if (step !== undefined) machine.inside("handler", step);
  if (isNew) machine.engaged.delete(guard);
}
