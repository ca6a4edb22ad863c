/** Mappings: memory and bounce buffers that somebody holds, who waits for bounce buffers, and sections that were found. */
import { assert, assertEquals } from "@std/assert";
import { Permission } from "../../../ecs/iommu.ts";
import { findSection, releaseSection } from "../../../systems/find_section.ts";
import { map, type Mapping, unmap } from "../../../systems/map.ts";
import { cancelWait, waitForBudget } from "../../../systems/map_waiter.ts";
import { MemTx } from "../../../systems/access.ts";
import type { Machine, Room, Step } from "../machine.ts";
import { markStore } from "../model/dirty.ts";
import {
  guardOf,
  hasHandlers,
  type OwnerModel,
  type PinModel,
  type RangeModel,
  type RegionModel,
  type SpaceModel,
  type WaiterModel,
} from "../model/facts.ts";
import { drained } from "./coalescing.ts";
import { isQueued, newWork, queue, runHalf } from "./deferred.ts";
import { whileWriting } from "./handlers.ts";
import { bytesOf, expectedRead, locate, type Place, readsMemory, setBytes, writesMemory } from "./places.ts";
import { addressOf, living, nested, pick, PINS_MAX } from "../picks.ts";

export const BOUNCE_LIMIT = 8;
const WAITERS_MAX = 3;
const WORD = 4;

export const room: Room = {
  anywhere: [
    drained((machine, step) => mapSome(machine, pick(living(machine), step[1]), step)),
    (machine, [, a, b, c]) => {
      find(
        machine,
        pick(living(machine), a),
        addressOf(b),
        addressOf(c),
        b % 3 === 0 ? pick(machine.owners, c) : undefined,
      );
    },
    (machine, [, a, b]) => wait(machine, pick(living(machine), a), pick(machine.owners, b)),
    (machine, [, a]) => cancel(machine, pick(machine.waiters, a)),
  ],
  outside: [drained((machine, step) => mapSome(machine, pick(living(machine), step[1]), step))],
};

function mapSome(machine: Machine, space: SpaceModel | undefined, step: Step): void {
  const [, , b, c] = step;
  if (space === undefined || machine.pins.size > PINS_MAX) return;
  const isWrite = b % 2 === 0;
  const address = addressOf(c) + (b >> 4) % 4 * WORD;
  const wanted = (1 + (b >> 2) % 3) * WORD * (c % 3 === 0 ? 0x100 : 1);
  const holder = (b >> 6) % 2 === 0 ? pick(machine.owners, c) : undefined;
  const name = `map ${wanted} bytes of ${space.name} at ${address} to ${isWrite ? "write" : "read"} by ${holder?.name}`;
  machine.attempt(name, true, () => {
    const place = locate(machine, machine.view(space), address, isWrite ? Permission.WRITE : Permission.READ);
    const isDirect = reachesMemory(place, isWrite);
    const left = BOUNCE_LIMIT - space.bounce.used;
    const length = isDirect
      ? directLength(machine, space, address, wanted, isWrite)
      : Math.min(wanted, place.length, left);
    const mapping = map(machine.world, space.handle, address, wanted, { isWrite, holder: holder?.handle });
    assertEquals(mapping?.bytes.length ?? 0, Math.max(0, length), "bytes that are mapped");
    if (mapping === undefined) return;
    assertEquals(mapping.isDirect, isDirect);
    if (!isDirect) space.bounce.used += length;
    if (!isWrite) compareMapped(machine, mapping, place);
    machine.pins.add(pinOf(machine, space, mapping, place, holder, nested(step)));
  });
}

function reachesMemory({ range }: Place, isWrite: boolean): boolean {
  return range !== undefined && (isWrite ? writesMemory(range) : readsMemory(range));
}

/** A direct mapping goes on while what follows continues the same memory. */
function directLength(machine: Machine, space: SpaceModel, address: number, wanted: number, isWrite: boolean): number {
  const ranges = machine.view(space);
  const permission = isWrite ? Permission.WRITE : Permission.READ;
  const first = locate(machine, ranges, address, permission);
  let length = Math.min(wanted, first.length);
  while (length < wanted) {
    const next = locate(machine, ranges, address + length, permission);
    const continues = next.range?.region === first.range?.region && next.offset === first.offset + length;
    if (!continues || !reachesMemory(next, isWrite)) break;
    length += Math.min(wanted - length, next.length);
  }
  return length;
}

/** Memory is there as it is; a buffer is filled word by word. */
function compareMapped(machine: Machine, { isDirect, bytes, result: outcome }: Mapping, place: Place): void {
  let result: number = MemTx.OK;
  for (let at = 0; at < (isDirect ? WORD : bytes.length); at += WORD) {
    const [value, piece] = expectedRead(machine, { ...place, offset: place.offset + at }, WORD, 0);
    result |= piece;
    assertEquals([...bytes.subarray(at, at + WORD)], bytesOf(value, WORD), `mapped bytes at ${at}`);
  }
  assertEquals(outcome, result, "how the buffer was filled");
}

function pinOf(
  machine: Machine,
  space: SpaceModel,
  mapping: Mapping,
  place: Place,
  holder: OwnerModel | undefined,
  step: Step,
): PinModel {
  const region = place.range?.region;
  const { bytes, isDirect, isWrite } = mapping;
  let isUnmapped = false;
  return {
    name: machine.newName("mapping"),
    targets: region === undefined ? [] : [region],
    holder,
    holding: mapping,
    maps: space,
    release: () => {
      const value = ++machine.values;
      if (isWrite) { for (let at = 0; at < bytes.length; at += WORD) bytes.set(bytesOf(value, WORD), at); }
      if (isWrite && isDirect && region !== undefined) setBytes(region, place.offset, bytes);
      const accessed = value % 3 === 0 ? Math.floor(bytes.length / 2 / WORD) * WORD : bytes.length;
      if (region === undefined || !isWrite || (!isDirect && !hasHandlers(region))) {
        return void unmap(machine.world, mapping, accessed);
      }
      if (!isDirect) return writeBack(machine, mapping, accessed, { region, offset: place.offset, value, step });
      unmap(machine.world, mapping, accessed);
      isUnmapped = true;
      markStore(machine, region, place.offset, accessed);
    },
    ended: () => {
      if (!isDirect) return giveBudget(machine, space, bytes.length);
      // What ends with its holder may have been written anywhere.
      if (isWrite && !isUnmapped && region !== undefined) markStore(machine, region, place.offset, bytes.length);
    },
  };
}

/** The handlers of what was mapped see what was accessed of the buffer, word by word. */
function writeBack(
  machine: Machine,
  mapping: Mapping,
  accessed: number,
  { region, offset, value, step }: { region: RegionModel; offset: number; value: number; step: Step },
): void {
  const count = accessed / WORD;
  const writes = Array.from({ length: count }, (_, at) => ({ offset: offset + at * WORD, size: WORD, value }));
  const isRefused = machine.engaged.has(guardOf(region));
  machine.depth++;
  const left = whileWriting(machine, { region, writes, step }, () => {
    const result = unmap(machine.world, mapping, accessed);
    assertEquals(result, isRefused && count > 0 ? MemTx.ACCESS_ERROR : MemTx.OK, "how the buffer was written back");
  });
  machine.depth--;
  assertEquals(left.length, isRefused ? count : 0, "words that were not written back");
}

/** A bounce buffer ended: what it took is there again, and all who wait are told. */
function giveBudget(machine: Machine, space: SpaceModel, bytes: number): void {
  space.bounce.used -= bytes;
  for (const waiter of machine.waiters) if (waiter.space === space) wake(machine, waiter);
}

/** Who is dying meanwhile is not told; whether that is so is for the world to say, since it depends on the batch. */
function wake(machine: Machine, waiter: WaiterModel): void {
  const isTold = isQueued(machine, waiter.name);
  const mayBeDying = machine.callbacks > 0 || machine.closing.size === 0;
  assert(!waiter.holding.isOpen && (isTold || mayBeDying), `${waiter.name} is not told of budget`);
  machine.waiters.delete(waiter);
  if (isTold) waiter.woken();
}

function wait(machine: Machine, space: SpaceModel | undefined, owner: OwnerModel | undefined): void {
  if (space === undefined || owner === undefined || machine.waiters.size >= WAITERS_MAX) return;
  const name = machine.newName("waiter");
  machine.attempt(`${name} of ${owner.name} waits for budget of ${space.name}`, true, () => {
    const half = newWork(name, owner);
    const run = () => runHalf(machine, half);
    const holding = waitForBudget(machine.world, space.handle, { name, owner: owner.handle, run });
    const waiter: WaiterModel = {
      name,
      holding,
      owner,
      space,
      woken: () => void machine.woken.add(queue(machine, half)),
    };
    if (space.bounce.used < BOUNCE_LIMIT) {
      assert(isQueued(machine, name), `${name} is told at once`);
      return waiter.woken();
    }
    machine.waiters.add(waiter);
  });
}

function cancel(machine: Machine, waiter: WaiterModel | undefined): void {
  if (waiter === undefined) return;
  machine.attempt(`${waiter.name} waits no more`, true, () => {
    cancelWait(machine.world, waiter.holding);
    machine.waiters.delete(waiter);
  });
}

function find(
  machine: Machine,
  space: SpaceModel | undefined,
  address: number,
  size: number,
  holder: OwnerModel | undefined,
): void {
  if (space === undefined || machine.pins.size > PINS_MAX) return;
  machine.attempt(`find ${size} bytes of ${space.name} at ${address} by ${holder?.name}`, true, () => {
    const isIn = ({ start, end }: RangeModel) => size > 0 && end > address && start < address + size;
    const expected = machine.view(space).find(isIn);
    const found = findSection(machine.world, space.handle, address, size, { holder: holder?.handle });
    assertEquals(found === undefined, expected === undefined, "whether something is found");
    if (found === undefined || expected === undefined) return;
    const { region, start, end, base } = expected;
    const from = Math.max(start, address);
    const { section } = found;
    assertEquals(
      [section.region, section.address, section.size, section.offset],
      [region.handle, from, Math.min(end, address + size) - from, from - base],
    );
    const name = machine.newName("section");
    const release = () => releaseSection(machine.world, found);
    machine.pins.add({ name, targets: [region], holder, holding: found, release });
  });
}
