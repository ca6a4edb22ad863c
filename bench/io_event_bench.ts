/** Numbers of io events: many in one transaction, one by one, and what a doorbell costs beside a handler. */
import type { Notifier } from "../ecs/io_event.ts";
import type { Region } from "../ecs/region.ts";
import { createWorld } from "../ecs/world.ts";
import { dispatchRead, dispatchWrite } from "../systems/dispatch.ts";
import { addIoEvent, createNotifier, delIoEvent } from "../systems/io_event.ts";
import { createAddressSpace, registerListener } from "../systems/address_spaces.ts";
import { createContainer, createMmio, createOwner } from "../systems/create_region.ts";
import { addSubregion } from "../systems/topology.ts";
import { transaction } from "../systems/transaction.ts";

let seed = 1;
Deno.bench("calibration: 1000 steps of a 32-bit generator", { group: "calibration" }, () => {
  for (let i = 0; i < 1000; i++) seed = (Math.imul(seed, 1664525) + 1013904223) | 0;
});

const EVENTS = 192;
const REGIONS = 1000;

/** 1000 device regions; the first has the doorbells, and a listener follows io events. */
function machine() {
  const world = createWorld();
  const owner = createOwner(world, { name: "machine" });
  const root = createContainer(world, { name: "system", size: 2 ** 40, owner });
  const ops = { read: () => 0, write: () => {} };
  const regions: Region[] = [];
  transaction(world, () => {
    for (let i = 0; i < REGIONS; i++) {
      const region = createMmio(world, { name: "registers", size: 0x1000, owner, ops, state: undefined });
      addSubregion(world, root, i * 0x2000, region);
      regions.push(region);
    }
  });
  const space = createAddressSpace(world, { name: "memory", root, owner });
  let told = 0;
  registerListener(world, space, { name: "accelerator", ioEventAdd: () => told++, ioEventDel: () => told++ });
  const notifiers: Notifier[] = [];
  for (let i = 0; i < EVENTS; i++) notifiers.push(createNotifier(world, { name: "kick", owner, signal: () => told++ }));
  const bell = regions[0]!; // there are many
  const events = notifiers.map((notifier, i) => ({ offset: 4 * i, size: 4, notifier }) as const);
  return { world, space, bell, events };
}

{
  const { world, bell, events } = machine();
  const group = `${EVENTS} io events, ${REGIONS} regions, one listener`;
  const add = () => events.forEach((event) => addIoEvent(world, bell, event));
  const del = () => events.forEach((event) => delIoEvent(world, bell, event));
  Deno.bench("added in one transaction", { group }, (b) => {
    b.start();
    transaction(world, add);
    b.end();
    transaction(world, del);
  });
  Deno.bench("taken out in one transaction", { group }, (b) => {
    transaction(world, add);
    b.start();
    transaction(world, del);
    b.end();
  });
  Deno.bench("added one by one", { group }, (b) => {
    b.start();
    add();
    b.end();
    transaction(world, del);
  });
}

{
  const { world, space, bell, events } = machine();
  transaction(world, () => events.forEach((event) => addIoEvent(world, bell, event)));
  const group = "100 accesses";
  Deno.bench("writes that set one of 192 notifiers", { group }, () => {
    for (let i = 0; i < 100; i++) dispatchWrite(world, space, 0, 4 * i, 4, i);
  });
  Deno.bench("writes beside them, to the handler", { group }, () => {
    for (let i = 0; i < 100; i++) dispatchWrite(world, space, 0, 0x800 + 4 * i, 4, i);
  });
  Deno.bench("writes to a region without io events", { group }, () => {
    for (let i = 0; i < 100; i++) dispatchWrite(world, space, 0, 0x2800 + 4 * i, 4, i);
  });
  Deno.bench("reads of the region with io events", { group }, () => {
    for (let i = 0; i < 100; i++) dispatchRead(world, space, 0, 0x800 + 4 * i, 4);
  });
  Deno.bench("reads of a region without", { group }, () => {
    for (let i = 0; i < 100; i++) dispatchRead(world, space, 0, 0x2800 + 4 * i, 4);
  });
}
