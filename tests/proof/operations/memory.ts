/** Memory: RAM that is resized, RAM that is discarded and populated again, and who follows all of it. */
import { assert, assertEquals } from "@std/assert";
import type { RamBlock } from "../../../ecs/ram_block.ts";
import {
  addDiscardListener,
  createDiscardManager,
  discard,
  isPopulated,
  populate,
  removeDiscardListener,
} from "../../../systems/discard.ts";
import { resizeRam } from "../../../systems/ram_kinds.ts";
import { addRamNotifier, removeRamNotifier } from "../../../systems/ram_notifier.ts";
import { ramOf } from "../../../systems/create_region.ts";
import type { Machine, Room } from "../machine.ts";
import { allPages, markStore } from "../model/dirty.ts";
import type { DiscardModel, FollowerModel, OwnerModel, RegionModel } from "../model/facts.ts";
import { pick, pickKind, PINS_MAX } from "../picks.ts";

const GRANULE = 0x400;

export const room: Room = {
  anywhere: [
    (machine, [, a, b]) => resize(machine, pick(memories(machine), a), (b % 16) * 2 * GRANULE + (b % 3) * 4),
    (machine, [, a, b, c]) => change(machine, discardable(machine, a), b % 2 === 0, b, c),
    (machine, [, a, b, c]) => change(machine, discardable(machine, a), true, b, c),
    (machine, [, a, b, c]) => follow(machine, discardable(machine, a), b, c),
  ],
  outside: [
    (machine, [, a]) => manage(machine, pickKind(machine, a, "ram")),
    (machine, [, a, b]) => void (a % 4 === 0 && followAll(machine, b % 2 === 0 ? pick(machine.owners, b) : undefined)),
  ],
};

/** RAM, also that which was dropped and is pinned. */
function memories(machine: Machine): RegionModel[] {
  return [...machine.regions].filter(({ kind }) => kind === "ram");
}

function discardable(machine: Machine, index: number): RegionModel | undefined {
  return pick(memories(machine).filter(({ memory }) => memory?.discard !== undefined), index);
}

/** What was dropped is not resized any more, and nothing has changed. */
function resize(machine: Machine, region: RegionModel | undefined, size: number): void {
  const memory = region?.memory;
  if (region === undefined || memory === undefined) return;
  const isRight = memory.isResizable && size <= memory.capacity && !region.dropped;
  machine.attempt(`${region.name} is resized to ${size} bytes`, isRight, () => {
    const { used, dirty } = memory;
    const before = [...dirty];
    const note = () => {
      if (!isRight || size === used) return;
      memory.used = region.size = size;
      dirty.fill(allPages(size));
    };
    try {
      machine.change(region, note, () => resizeRam(machine.world, region.handle, size));
    } catch (error) {
      memory.used = used;
      Object.assign(dirty, before);
      throw error;
    }
  });
}

/** It must not be visible anywhere. */
function manage(machine: Machine, region: RegionModel | undefined): void {
  if (region?.memory === undefined) return;
  const { memory } = region;
  const isShown = region.container !== undefined || [...machine.regions].some(({ target }) => target === region) ||
    [...machine.spaces].some(({ root }) => root === region);
  const isRight = !isShown && memory.discard === undefined && memory.capacity % GRANULE === 0;
  machine.attempt(`${region.name} can be discarded`, isRight, () => {
    createDiscardManager(machine.world, region.handle, { granularity: GRANULE });
    const populated = Array.from({ length: memory.capacity / GRANULE }, () => false);
    memory.discard = { granularity: GRANULE, populated, followers: new Set() };
  });
}

function change(machine: Machine, region: RegionModel | undefined, on: boolean, b: number, c: number): void {
  const { memory } = region ?? {};
  if (region === undefined || memory?.discard === undefined) return;
  const { populated, followers } = memory.discard;
  const first = b % populated.length;
  const end = Math.min(populated.length, first + (c % 4));
  const [offset, size] = [first * GRANULE, (end - first) * GRANULE];
  const refusing = on && b % 8 === 0 ? pick(followers, c) : undefined;
  const isRefused = refusing !== undefined && changes(memory.discard, refusing, false, first, end);
  if (refusing !== undefined) refusing.refuses = true;
  const what = `${size} bytes at ${offset} of ${region.name} are ${on ? "populated" : "discarded"}`;
  machine.attempt(isRefused ? `${what}, which ${refusing.name} refuses` : what, !isRefused, () => {
    (on ? populate : discard)(machine.world, region.handle, offset, size);
    populated.fill(on, first, end);
    if (on) return;
    for (const at of memory.bytes.keys()) if (at >= offset && at < offset + size) memory.bytes.delete(at);
    markStore(machine, region, offset, size);
  });
  if (refusing !== undefined) refusing.refuses = false;
  const isWhole = populated.slice(first, end).every((one) => one);
  assertEquals(isPopulated(machine.world, region.handle, offset, size), isWhole, what);
}

/** Whether a follower hears that granules in a state change. */
function changes(
  { populated, granularity }: DiscardModel,
  { start, end }: FollowerModel,
  state: boolean,
  first: number,
  last: number,
): boolean {
  return populated.some((one, at) =>
    one === state && first <= at && at < last && at * granularity < end && start < (at + 1) * granularity
  );
}

/** Sometimes from the middle of a granule to the middle of another. */
function follow(machine: Machine, region: RegionModel | undefined, b: number, c: number): void {
  const { memory } = region ?? {};
  if (region === undefined || memory?.discard === undefined || machine.pins.size > PINS_MAX) return;
  const { followers } = memory.discard;
  const offset = (b % 16) * (GRANULE / 2) % memory.capacity;
  const size = Math.min(memory.capacity - offset, (1 + c % 9) * (GRANULE / 2));
  const name = machine.newName("follower");
  const holder = c % 2 === 0 ? pick(machine.owners, c) : undefined;
  const follower: FollowerModel = {
    name,
    start: offset,
    end: offset + size,
    told: new Set(),
    refuses: false,
    isOver: false,
  };
  machine.attempt(`${name} of ${holder?.name} follows ${size} bytes at ${offset} of ${region.name}`, true, () => {
    const listener = addDiscardListener(machine.world, region.handle, {
      name,
      offset,
      size,
      holder: holder?.handle,
      populated: (from, bytes) => hear(follower, from, bytes, true),
      discarded: (from, bytes) => hear(follower, from, bytes, false),
    });
    followers.add(follower);
    machine.pins.add({
      name,
      targets: [region],
      holder,
      holding: listener,
      release: () => {
        removeDiscardListener(machine.world, listener);
        assertEquals(follower.told.size, 0, `${name}: all that it was told is taken back`);
      },
      ended: () => follower.isOver = followers.delete(follower),
    });
  });
}

function hear(follower: FollowerModel, offset: number, size: number, on: boolean): void {
  const { name, start, end, told, isOver } = follower;
  assert(!isOver, `${name} hears on after its end`);
  assert(offset >= start && offset + size <= end, `${name} hears of what it does not follow`);
  if (on && follower.refuses) throw new Error(`${name} refuses`);
  for (let at = Math.floor(offset / GRANULE); at * GRANULE < offset + size; at++) {
    assert(told.has(at) !== on, `${name} hears twice of granule ${at}`);
    if (on) told.add(at);
    else told.delete(at);
  }
}

/** One at a time hears of every block that there is. */
function followAll(machine: Machine, holder: OwnerModel | undefined): void {
  if (machine.blocks !== undefined) return;
  const name = machine.newName("follower of memory");
  const blocks = new Set<RamBlock>();
  const hears = (what: boolean | Set<RamBlock>, fault: string) => assert(machine.blocks === blocks && what, fault);
  machine.attempt(`${name} of ${holder?.name}`, true, () => {
    machine.blocks = blocks;
    const notifier = addRamNotifier(machine.world, {
      name,
      holder: holder?.handle,
      added: (block) => hears(!blocks.has(block) && blocks.add(block), "a block is added twice, or after the end"),
      removed: (block) => hears(blocks.delete(block), "an unknown block goes, or after the end"),
      resized: (block) => hears(blocks.has(block), "an unknown block is resized, or after the end"),
    });
    machine.pins.add({
      name,
      targets: [],
      holder,
      holding: notifier,
      release: () => removeRamNotifier(machine.world, notifier),
      ended: () => machine.blocks = undefined,
    });
  });
}

/** Followers know what there is. */
export function compareMemory(machine: Machine): void {
  const { blocks } = machine;
  let count = 0;
  for (const { memory, handle, name } of machine.regions) {
    if (memory === undefined) continue;
    count++;
    if (blocks !== undefined) assert(blocks.has(ramOf(machine.world, handle)), `nobody heard of the memory of ${name}`);
    for (const follower of memory.discard?.followers ?? []) compareFollower(memory.discard, follower);
  }
  if (blocks === undefined) return;
  for (const { of } of machine.graves) if ("memory" in of && of.memory !== undefined) count++;
  assertEquals(blocks.size, count, "blocks of memory that there are");
}

function compareFollower(state: DiscardModel | undefined, follower: FollowerModel): void {
  const { name, told } = follower;
  for (const at of state?.populated.keys() ?? []) {
    const isTold = state !== undefined && changes(state, follower, true, at, at + 1);
    if (told.has(at) !== isTold) throw new Error(`${name} knows something else of granule ${at}`);
  }
}
