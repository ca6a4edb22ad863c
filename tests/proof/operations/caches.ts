/** Caches: views that somebody keeps, and goes on accessing after they were superseded. */
import { assertEquals } from "@std/assert";
import { Permission } from "../../../ecs/iommu.ts";
import { MemTx } from "../../../systems/access.ts";
import { cacheRead, cacheWrite, createCache, destroyCache } from "../../../systems/cache.ts";
import type { Machine, Room, Step } from "../machine.ts";
import {
  type CacheModel,
  guardOf,
  hasHandlers,
  type OwnerModel,
  type PinModel,
  type RegionModel,
  type SpaceModel,
} from "../model/facts.ts";
import { drained } from "./coalescing.ts";
import { whileWriting } from "./handlers.ts";
import { bytesOf, expectedRead, locate, storeModel } from "./places.ts";
import { addressOf, living, nested, pick, PINS_MAX } from "../picks.ts";

const WORD = 4;
const CACHED = 0x800;
const CACHES_MAX = 3;

export const room: Room = {
  anywhere: [
    (machine, [, a, b, c]) => {
      const holder = b % 2 === 0 ? pick(machine.owners, c) : undefined;
      make(machine, pick(living(machine), a), addressOf(b), holder);
    },
    drained((machine, [, a, b]) => read(machine, pick(machine.caches, a), (b % (CACHED / WORD)) * WORD)),
  ],
  outside: [
    (machine, step) => {
      write(machine, pick(machine.caches, step[1]), (step[2] % (CACHED / WORD)) * WORD, nested(step));
    },
  ],
};

function make(
  machine: Machine,
  space: SpaceModel | undefined,
  address: number,
  holder: OwnerModel | undefined,
): void {
  if (space === undefined || machine.caches.size >= CACHES_MAX || machine.pins.size > PINS_MAX) return;
  const name = machine.newName("cache");
  machine.attempt(`${name} of ${space.name} at ${address} by ${holder?.name}`, true, () => {
    const ranges = machine.view(space);
    const cache = createCache(machine.world, space.handle, address, CACHED, { holder: holder?.handle });
    const pin: PinModel = {
      name,
      targets: [...new Set<RegionModel>(ranges.map(({ region }) => region))],
      holder,
      holding: cache,
      release: () => destroyCache(machine.world, cache),
      ended: () => machine.caches.delete(made),
    };
    const made: CacheModel = { pin, cache, ranges, address };
    machine.caches.add(made);
    machine.pins.add(pin);
  });
}

function read(machine: Machine, cached: CacheModel | undefined, offset: number): void {
  if (cached === undefined || machine.closing.has(cached.pin)) return;
  machine.attempt(`read ${cached.pin.name} at ${offset}`, true, () => {
    const place = locate(machine, cached.ranges, cached.address + offset, Permission.READ);
    const [value, result] = expectedRead(machine, place, WORD, 0);
    const bytes = new Uint8Array(WORD);
    assertEquals(cacheRead(machine.world, cached.cache, offset, bytes), result);
    assertEquals([...bytes], bytesOf(value, WORD), `bytes ${offset} of ${cached.pin.name}`);
  });
}

function write(machine: Machine, cached: CacheModel | undefined, offset: number, step: Step): void {
  if (cached === undefined || machine.closing.has(cached.pin)) return;
  const value = ++machine.values;
  const bytes = new Uint8Array(bytesOf(value, WORD));
  machine.attempt(`write to ${cached.pin.name} at ${offset}`, true, () => {
    const place = locate(machine, cached.ranges, cached.address + offset, Permission.WRITE);
    const region = place.range?.region;
    if (region === undefined || !hasHandlers(region)) {
      const result = cacheWrite(machine.world, cached.cache, offset, bytes);
      return assertEquals(result, storeModel(machine, place, bytes), "a write to a cache");
    }
    const isRefused = machine.engaged.has(guardOf(region));
    const writes = [{ offset: place.offset, size: WORD, value }];
    machine.depth++;
    const left = whileWriting(machine, { region, writes, step }, () => {
      const result = cacheWrite(machine.world, cached.cache, offset, bytes);
      assertEquals(result, isRefused ? MemTx.ACCESS_ERROR : MemTx.OK, "a write to a cache");
    });
    machine.depth--;
    assertEquals(left.length, isRefused ? 1 : 0, "words that nobody saw");
  });
}
