/** Find: what is at an address, for those who go on without dispatch: TLB fills, debuggers. */
import { type AddressSpace, lookup, spaceOf } from "../ecs/address_space.ts";
import { roundDown } from "../ecs/address.ts";
import { isWritable, offsetIn } from "../ecs/flat_view.ts";
import { handleOf } from "../ecs/handle.ts";
import type { GuestMemory } from "../ecs/ram_block.ts";
import type { Region } from "../ecs/region.ts";
import { defineState, type World } from "../ecs/world.ts";

/** Bytes of the page that `pageInsideRange` speaks of. */
const PAGE = 0x1000;

/** What is at an address. Reused by the next call; it pins nothing, so its reader announces epochs (see `scope.ts`). */
export interface Found {
  /** undefined: unassigned. */
  region: Region | undefined;
  /** Whether a read reaches memory without a handler: RAM, ROM, and a ROM device in ROM mode. */
  isRam: boolean;
  /** Whether a write does not reach that memory directly. */
  readonly: boolean;
  /** The memory, if it is a guest memory; undefined: reach it through dispatch. */
  memory: GuestMemory | undefined;
  /** Offset of the address in `memory`, in bytes. */
  ramOffset: number;
  /** Whether the whole 4 KiB page around the address is in the range, and page-aligned in `memory`. */
  pageInsideRange: boolean;
}

const found = defineState((): Found => ({
  region: undefined,
  isRam: false,
  readonly: false,
  memory: undefined,
  ramOffset: 0,
  pageInsideRange: false,
}));

/** The range at the address (hi, lo), halves as int32. */
export function dispatchFind(world: World, space: AddressSpace, hi: number, lo: number): Found {
  const result = found(world);
  const range = lookup(spaceOf(world, space), hi, lo);
  const ram = range?.ram;
  result.region = range === undefined ? undefined : handleOf(world, range.region);
  result.isRam = ram !== undefined;
  result.readonly = range !== undefined && !isWritable(range);
  result.memory = ram?.memory;
  result.ramOffset = 0;
  result.pageInsideRange = false;
  if (range === undefined) return result;
  const page = roundDown(hi, lo & -PAGE);
  result.pageInsideRange = page >= range.start && page + PAGE <= range.end;
  if (ram === undefined) return result;
  result.ramOffset = ram.offset + offsetIn(range, hi, lo);
  result.pageInsideRange &&= (result.ramOffset & (PAGE - 1)) === (lo & (PAGE - 1));
  return result;
}
