/** Io events: notifiers, and which writes set them. */
import { addIoEvent, closeNotifier, createNotifier, delIoEvent } from "../../../systems/io_event.ts";
import type { Machine, Room } from "../machine.ts";
import type { IoEventModel, NotifierModel, OwnerModel, RegionModel } from "../model/facts.ts";
import { signalled } from "./handlers.ts";
import { pick, pickKind, STEP } from "../picks.ts";

const NOTIFIERS_MAX = 4;
const EVENTS_MAX = 6;
const SIZES = [4, 0, 4, 1, 2] as const;

export const room: Room = {
  anywhere: [
    (machine, [, a]) => addNotifier(machine, pick(machine.owners, a)),
    (machine, [, a, b, c]) => addEvent(machine, pickKind(machine, a, "mmio", "romDevice"), b, c),
    (machine, [, a, b]) => {
      const region = pick([...machine.regions].filter(({ events }) => events.length > 0), a);
      delEvent(machine, region, pick(region?.events ?? [], b));
    },
  ],
  outside: [
    (machine, [, a]) => closeModel(machine, pick(machine.notifiers, a)),
    (machine, [, a, b, c]) => addEvent(machine, pickKind(machine, a, "mmio"), b, c),
  ],
};

function addNotifier(machine: Machine, owner: OwnerModel | undefined): void {
  if (owner === undefined || machine.notifiers.size >= NOTIFIERS_MAX) return;
  const name = machine.newName("notifier");
  machine.attempt(`${name} of ${owner.name}`, true, () => {
    const signal = () => signalled(machine, notifier);
    const handle = createNotifier(machine.world, { name, owner: owner.handle, signal });
    const notifier: NotifierModel = { handle, name, owner, order: machine.newOrder(), dropped: false };
    machine.notifiers.add(notifier);
  });
}

/** Refused while it is registered, or was in a transaction that has not ended. */
function closeModel(machine: Machine, notifier: NotifierModel | undefined): void {
  if (notifier === undefined || notifier.dropped) return;
  const isUsed = [...machine.regions].some(({ events }) => events.some((event) => event.notifier === notifier));
  const isCertain = isUsed ? false : machine.transactions === 0 ? true : undefined;
  machine.attempt(`close ${notifier.name}`, isCertain, () => {
    closeNotifier(machine.world, notifier.handle);
    notifier.dropped = true;
  });
}

function addEvent(machine: Machine, region: RegionModel | undefined, b: number, c: number): void {
  const notifier = pick([...machine.notifiers].filter(({ dropped }) => !dropped), c);
  if (region === undefined || notifier === undefined || region.events.length >= EVENTS_MAX) return;
  const size = pick(SIZES, b) ?? 4;
  const data = size === 0 || c % 2 === 0 ? undefined : (c >> 3) % 4;
  const event: IoEventModel = { offset: offsetOf(b >> 3), size, data, notifier };
  const isKnown = region.events.some((other) =>
    other.offset === event.offset && other.size === size && other.data === data && other.notifier === notifier
  );
  if (isKnown && machine.callbacks > 0) return; // the world may have ended what the model still sees
  const options = { ...event, notifier: notifier.handle };
  const what = `${notifier.name} for ${size} bytes of ${data ?? "anything"} at ${event.offset} of ${region.name}`;
  machine.attempt(what, !isKnown, () => {
    const before = region.events;
    region.events = [...before, event];
    try {
      addIoEvent(machine.world, region.handle, options);
    } catch (error) {
      region.events = before;
      throw error;
    }
  });
}

/** Where accesses begin, and sometimes just before, which may be across a border. */
function offsetOf(operand: number): number {
  return Math.max(0, (operand % 4) * STEP + ((operand >> 2) % 4) * 4 - (operand % 5 === 0 ? 2 : 0));
}

function delEvent(machine: Machine, region: RegionModel | undefined, event: IoEventModel | undefined): void {
  if (region === undefined || event === undefined) return;
  const { notifier, offset, size } = event;
  machine.attempt(`no ${notifier.name} for ${size} bytes at ${offset} of ${region.name}`, !region.dropped, () => {
    const before = region.events;
    region.events = before.filter((other) => other !== event);
    try {
      delIoEvent(machine.world, region.handle, { ...event, notifier: notifier.handle });
    } catch (error) {
      region.events = before;
      throw error;
    }
  });
}
