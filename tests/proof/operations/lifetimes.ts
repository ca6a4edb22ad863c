/** Lifetimes: owners and devices, pins, scopes that outlive the stack, and destructors that drop others. */
import type { Device } from "../../../ecs/device.ts";
import {
  armTimer,
  cancelTimer,
  defineDevice,
  DeviceError,
  deviceRegion,
  instance,
  schedule,
} from "../../../machines/devices/define.ts";
import type { Reader } from "../../../systems/epoch.ts";
import { drop, onFinalize, reference, release } from "../../../systems/finalize.ts";
import { plug, unplug } from "../../../systems/plug.ts";
import { closeScope, openScope } from "../../../systems/scope.ts";
import { createOwner } from "../../../systems/create_region.ts";
import type { Machine, Room } from "../machine.ts";
import { newRegionModel, type OwnerModel, type PinModel, type RegionModel } from "../model/facts.ts";
import { endPin } from "../model/lives.ts";
import { detach } from "../model/views.ts";
import { drained } from "./coalescing.ts";
import { endWork, fire, newWork, runHalf } from "./deferred.ts";
import { handlersOf } from "./handlers.ts";
import { place } from "./topology.ts";
import { addressOf, OWNERS_MAX, pick, pickKind, PINS_MAX, REGIONS_MAX, usable } from "../picks.ts";

const SCOPES_MAX = 3;
const REGISTERS = 0x800;

const PIN_KINDS = ["map", "cache", "callback", "external"] as const;

const failing = defineDevice({
  type: "failing",
  description: "realize fails",
  state: () => ({}),
  regions: { registers: { size: 16, registers: [] } },
  realize() {
    throw new DeviceError("realize fails");
  },
});

export const room: Room = {
  anywhere: [
    (machine, [, a, b, c]) => {
      const target = b % 3 === 0 ? pick(machine.owners, a) : pick(usable(machine), a);
      pin(machine, target, pick(PIN_KINDS, c), b % 2 === 0 ? pick(machine.owners, c) : undefined);
    },
    (machine, [, a]) => giveUp(machine, openPins(machine, a)),
    (machine, [, a]) => giveUp(machine, openPins(machine, a)),
    drained((machine, [, a]) => void (a % 4 === 0 && dropOwner(machine, pick(machine.owners, a)))),
    (machine) => open(machine),
    (machine, [, a]) => close(machine, pick(machine.scopes, a)),
  ],
  outside: [
    (machine, [, a, b, c]) => {
      addOwner(machine, b % 4 === 0 ? undefined : pick(machine.owners, a), c % 2 === 0);
    },
    drained((machine, [, a]) => plugFailing(machine, pick(machine.owners, a))),
    drained((machine, [, a, b, c]) => {
      plugDevice(machine, pick(machine.owners, a), pickKind(machine, b, "container"), addressOf(c));
    }),
    (machine, [, a, b]) => bequeath(machine, pick(machine.owners, a), pick(machine.owners, b)),
  ],
};

function openPins(machine: Machine, index: number): PinModel | undefined {
  return pick([...machine.pins].filter((pin) => pin.release !== undefined && !machine.closing.has(pin)), index);
}

export function addOwner(machine: Machine, above: OwnerModel | undefined, isDevice: boolean): void {
  if (machine.owners.size >= OWNERS_MAX) return;
  const { world } = machine;
  const name = machine.newName("owner");
  machine.attempt(`${name} below ${above?.name}`, true, () => {
    const handle = createOwner(world, { name, owner: above?.handle, device: isDevice });
    const owner: OwnerModel = { handle, name, above, isDevice, dropped: false, finalized: 0 };
    machine.owners.add(owner);
    onFinalize(world, handle, () => owner.finalized++);
  });
}

/** The end of one owner drops another. */
function bequeath(machine: Machine, owner: OwnerModel | undefined, heir: OwnerModel | undefined): void {
  if (owner === undefined || heir === undefined || heir.registers !== undefined) return;
  machine.attempt(`the destructor of ${owner.name} drops ${heir.name}`, true, () => {
    onFinalize(machine.world, owner.handle, () => {
      machine.callbacks++;
      if (machine.owners.has(heir)) dropOwner(machine, heir);
      machine.callbacks--;
    });
  });
}

export function dropOwner(machine: Machine, owner: OwnerModel | undefined): void {
  if (owner === undefined || owner.dropped) return;
  const { registers } = owner;
  machine.attempt(`drop ${owner.name}`, true, () => {
    if (registers !== undefined) {
      unplug(machine.world, owner.handle as Device);
      detach(registers);
      endWork(machine, owner);
      for (const pin of machine.pins) if (pin.holder === owner && pin.holding !== undefined) endPin(machine, pin);
      for (const waiter of machine.waiters) if (waiter.owner === owner) machine.waiters.delete(waiter);
    } else drop(machine.world, owner.handle);
    owner.dropped = true;
  });
}

function pin(
  machine: Machine,
  target: OwnerModel | RegionModel | undefined,
  kind: typeof PIN_KINDS[number] | undefined,
  holder: OwnerModel | undefined,
): void {
  if (target === undefined || kind === undefined || machine.pins.size > PINS_MAX) return;
  const { world } = machine;
  const name = `${kind} pin on ${target.name} by ${holder?.name}`;
  machine.attempt(name, true, () => {
    reference(world, target.handle, kind, holder?.handle);
    const targets = [target];
    machine.pins.add({ name, targets, holder, release: () => release(world, target.handle, kind, holder?.handle) });
  });
}

/** Nobody gives up a pin twice, not even what runs while it is given up. */
export function giveUp(machine: Machine, pin: PinModel | undefined): void {
  if (pin === undefined) return;
  machine.attempt(`no ${pin.name}`, true, () => {
    machine.closing.add(pin);
    try {
      pin.release?.();
      endPin(machine, pin);
      pin.ended?.();
    } finally {
      machine.closing.delete(pin);
    }
  });
}

function open(machine: Machine): void {
  if (machine.scopes.size >= SCOPES_MAX) return;
  machine.attempt("open a scope", true, () => {
    const scope = openScope(machine.world, "model");
    machine.scopes.add(scope);
    if (machine.callbacks > 0) machine.lateScopes.add(scope);
  });
}

export function close(machine: Machine, scope: Reader | undefined): void {
  if (scope === undefined) return;
  machine.scopes.delete(scope);
  machine.attempt("close a scope", true, () => closeScope(machine.world, scope));
}

/** What a refused device leaves is there until scopes close, so there must be none. */
function plugFailing(machine: Machine, owner: OwnerModel | undefined): void {
  if (owner === undefined || machine.nesting > 0) return;
  machine.nextCallback = undefined;
  if (machine.scopes.size > 0) return;
  const options = { id: machine.newName("device"), owner: owner.handle };
  machine.attempt(`plug ${options.id}, which fails`, false, () => plug(machine.world, failing, options));
}

function plugDevice(
  machine: Machine,
  owner: OwnerModel | undefined,
  container: RegionModel | undefined,
  offset: number,
): void {
  if (owner === undefined || container === undefined || machine.owners.size >= OWNERS_MAX) return;
  if (machine.scopes.size > 0 || machine.nesting > 0 || machine.regions.size >= REGIONS_MAX) return;
  const { world } = machine;
  const name = machine.newName("device");
  machine.attempt(`plug ${name} of ${owner.name} into ${container.name} at ${offset}`, undefined, () => {
    const made: { region?: RegionModel } = {};
    const type = defineDevice({
      type: "plugged",
      description: "its handler does what the step says",
      state: () => ({}),
      regions: { registers: { size: REGISTERS, ops: handlersOf(machine, () => made.region) } },
      timers: { tick: { fire: () => fire(machine, tick) } },
      bottomHalves: { work: { guarded: true, run: () => runHalf(machine, work) } },
    });
    const at = [{ region: "registers", container: container.handle, offset }];
    const device = plug(world, type, { id: name, owner: owner.handle, clock: machine.clock, at });
    const plugged: OwnerModel = { handle: device, name, above: owner, isDevice: true, dropped: false, finalized: 0 };
    machine.owners.add(plugged);
    onFinalize(world, device, () => plugged.finalized++);
    const row = instance(world, device, type);
    const tick = newWork(`timer of ${name}`, plugged, {
      arm: (deadline) => armTimer(row, "tick", deadline),
      cancel: () => cancelTimer(row, "tick"),
    });
    const work = newWork(`bottom half of ${name}`, plugged, { arm: () => schedule(row, "work"), guard: plugged });
    machine.timers.add(tick);
    machine.halves.add(work);
    const handle = deviceRegion(world, device, "registers");
    made.region = plugged.registers = newRegionModel({
      handle,
      name: `registers of ${name}`,
      kind: "mmio",
      owner: plugged,
      size: REGISTERS,
    });
    machine.regions.add(made.region);
    place(machine, container, made.region, offset, 0);
  });
}
