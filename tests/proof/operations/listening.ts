/** Listening: spaces, listeners whose callbacks do what they like, transactions, and scopes on the stack. */
import { readScope } from "../../../systems/scope.ts";
import {
  createAddressSpace,
  destroyAddressSpace,
  registerListener,
  unregisterListener,
} from "../../../systems/address_spaces.ts";
import { setBounceLimit } from "../../../systems/map.ts";
import { transaction } from "../../../systems/transaction.ts";
import type { Machine, Room, Step } from "../machine.ts";
import type { ListenerModel, OwnerModel, RegionModel, SpaceModel } from "../model/facts.ts";
import { Fold, type Follows } from "../model/folds.ts";
import { drained } from "./coalescing.ts";
import { reportStore } from "./logging.ts";
import { BOUNCE_LIMIT } from "./mappings.ts";
import { living, nested, pick, usable } from "../picks.ts";

const SPACES_MAX = 3;
const LISTENERS_MAX = 4;

export const room: Room = {
  anywhere: [
    drained((machine, [, a]) => unregister(machine, pick(hearing(machine), a))),
    drained((machine, [, a, b, c]) => listen(machine, pick(living(machine), a), pick(machine.owners, b), c)),
    (machine, [, a, b]) => addSpace(machine, pick(usable(machine), a), pick(machine.owners, b)),
    (machine, [, a]) => destroySpace(machine, pick(living(machine), a)),
    drained((machine, step) => nest(machine, "transaction", step)),
    (machine, step) => nest(machine, "scope", step),
  ],
  outside: [
    (machine, step) => void (machine.nextCallback = nested(step)),
    (machine, step) => void (machine.nextCallback = nested(step)),
    drained((machine, step) => nest(machine, "transaction", step)),
  ],
};

function hearing(machine: Machine): ListenerModel[] {
  return [...machine.listeners].filter(({ dropped }) => !dropped);
}

export function addSpace(machine: Machine, root: RegionModel | undefined, owner: OwnerModel | undefined): void {
  if (root === undefined || owner === undefined || machine.spaces.size >= SPACES_MAX) return;
  const { world } = machine;
  const name = machine.newName("space");
  machine.attempt(`${name} of ${owner.name} on ${root.name}`, undefined, () => {
    const handle = createAddressSpace(world, { name, root: root.handle, owner: owner.handle });
    setBounceLimit(world, handle, BOUNCE_LIMIT);
    machine.spaces.add({ handle, name, root, owner, bounce: { used: 0 }, published: [], dropped: false });
  });
}

function destroySpace(machine: Machine, space: SpaceModel | undefined): void {
  if (space === undefined) return;
  const isHeard = [...machine.listeners].some((listener) => listener.space === space && listener.registered);
  const isUsed = isHeard || [...machine.pins].some((pin) => pin.maps === space && !machine.closing.has(pin));
  machine.attempt(`destroy ${space.name}`, !isUsed, () => {
    destroyAddressSpace(machine.world, space.handle);
    space.dropped = true;
  });
}

function listen(
  machine: Machine,
  space: SpaceModel | undefined,
  owner: OwnerModel | undefined,
  traits: number,
): void {
  if (space === undefined || owner === undefined || machine.listeners.size >= LISTENERS_MAX) return;
  const { world } = machine;
  const name = machine.newName("listener");
  const follows: Follows = {
    logs: traits % 2 === 0,
    isGlobal: traits % 8 === 0,
    ioEvents: (traits >> 1) % 2 === 0,
    coalesced: (traits >> 2) % 2 === 0,
    nops: (traits >> 3) % 4 === 0,
    prepares: (traits >> 5) % 4 === 0,
  };
  const fold = new Fold(name, follows, {
    heard: () => machine.runCallback(),
    report: (section) => reportStore(machine, section),
  });
  machine.attempt(`${name} of ${owner.name} on ${space.name}`, true, () => {
    const options = { name, owner: owner.handle, priority: traits % 3, ...fold.callbacks() };
    const handle = registerListener(world, space.handle, options);
    machine.listeners.add({ handle, name, space, owner, fold, registered: true, dropped: false });
  });
}

function unregister(machine: Machine, listener: ListenerModel | undefined): void {
  if (listener === undefined) return;
  const isHeard = listener.registered && machine.callbacks === 0;
  machine.attempt(`unregister ${listener.name}`, true, () => {
    unregisterListener(machine.world, listener.handle);
    listener.registered = false;
    listener.dropped = true;
    if (isHeard) listener.fold.assertEmpty();
  });
}

/** Several steps inside of a transaction or a scope. */
function nest(machine: Machine, where: "transaction" | "scope", step: Step): void {
  const inner = nested(step);
  const body = () => {
    for (let at = 0; at <= step[3] % 4; at++) {
      machine.inside("block", [inner[0] + at * 7, inner[1], inner[2] + at, inner[3] + at * 3]);
    }
  };
  machine.attempt(where, true, () => {
    if (where === "transaction") return transaction(machine.world, () => machine.inTransaction(body));
    machine.depth++;
    readScope(machine.world, "step", body);
    machine.depth--;
  });
}
