/**
 * Translation cache: a stretch of an address space as it was when the cache was made (U7). It pins that view, with all
 * that the view shows, so that what it reaches exists; whether it is still visible is for its user, who makes it anew in
 * the listener's commit callback (LC26).
 */
import { type AddressSpace, type Space, spaceOf } from "../ecs/address_space.ts";
import { bytesUntil, exactHalves, formatAddress, roundDown } from "../ecs/address.ts";
import { type FlatView, offsetIn, type Range, rangeAt, rangesOf } from "../ecs/flat_view.ts";
import { nameOf } from "../ecs/handle.ts";
import { type Holding, openHoldings } from "../ecs/holding.ts";
import { Life, owners } from "../ecs/owner.ts";
import { addReference } from "../ecs/ref_count.ts";
import { addViewPin, countViewPin, viewPinOf } from "../ecs/view_pin.ts";
import type { World } from "../ecs/world.ts";
import { joinBits, MemTx } from "./access.ts";
import { anchorOf, releasePin } from "./collect.ts";
import { plus } from "./dispatch.ts";
import { readView, storedTo, writeView } from "./dma.ts";
import { isStatic, LifetimeError } from "./finalize.ts";
import { ClosedError, closeHolding, openHolding, resolveHolder } from "./holding.ts";
import { isDirect } from "./locate.ts";
import { MappingError } from "./map.ts";

/** Made by {@linkcode createCache}. */
export class TranslationCache implements Holding {
  pin = undefined;
  isOpen = true;

  constructor(
    readonly holder: number,
    readonly space: Space,
    readonly view: FlatView,
    /** Halves of the guest address. */
    readonly hi: number,
    readonly lo: number,
    /** In bytes. */
    readonly length: number,
    /** The range that all of it is in; undefined: accesses look for it in the view, and translate. */
    readonly range: Range | undefined,
    readonly attrs: number,
  ) {}

  describe(): string {
    const where = `${formatAddress(joinBits(this.hi, this.lo))} of "${this.space.name}"`;
    return `a cache of ${this.length} bytes at ${where}`;
  }

  ended(world: World): void {
    unpinView(world, this.view);
  }
}

/**
 * Caches `length` bytes at `address`. Making one costs O(ranges of the view); another on the same view costs nothing more.
 *
 * @param options.holder Who keeps it: named by `whyAlive`; the cache ends with it, and a device's when it is unrealized.
 * @throws {MappingError} if the length is not a positive integer.
 * @throws {LifetimeError} if the view shows what is being finalized: its commit callback is the place to make caches.
 */
export function createCache(
  world: World,
  space: AddressSpace,
  address: number | bigint,
  length: number,
  { attrs = 0, holder }: { readonly attrs?: number; readonly holder?: number } = {},
): TranslationCache {
  if (!Number.isSafeInteger(length) || length <= 0) throw new MappingError(`cannot cache ${length} bytes`);
  const record = spaceOf(world, space);
  const by = resolveHolder(world, holder);
  const [hi, lo] = exactHalves(address);
  const { view } = record;
  pinView(world, view);
  const shown = rangeAt(view, roundDown(hi, lo));
  const range = shown !== undefined && bytesUntil(shown.end, hi, lo) >= length ? shown : undefined;
  const cache = new TranslationCache(by, record, view, hi, lo, length, range, attrs);
  openHolding(world, cache, "cache", 0);
  return cache;
}

/** Gives up the view. @throws {ClosedError} if that was done before, or the cache ended with its holder. */
export function destroyCache(world: World, cache: TranslationCache): void {
  closeHolding(world, cache);
}

/** Fills `bytes` from `offset` of the cache. Returns MemTx bits. @throws {MappingError} outside of the cache. */
export function cacheRead(world: World, cache: TranslationCache, offset: number, bytes: Uint8Array): number {
  checkBounds(world, cache, offset, bytes.length);
  const { view, range, hi, lo, attrs } = cache;
  if (range?.ram !== undefined) {
    const start = offsetIn(range, hi, lo) + offset;
    bytes.set(range.ram.bytes.subarray(start, start + bytes.length));
    return MemTx.OK;
  }
  const [high, low] = plus(hi, lo, offset);
  return readView(world, view, high, low, bytes, attrs);
}

/** Writes `bytes` at `offset` of the cache. Returns MemTx bits. @throws {MappingError} outside of the cache. */
export function cacheWrite(world: World, cache: TranslationCache, offset: number, bytes: Uint8Array): number {
  checkBounds(world, cache, offset, bytes.length);
  const { view, range, hi, lo, attrs } = cache;
  if (range?.ram !== undefined && isDirect(range, true, attrs)) {
    const start = offsetIn(range, hi, lo) + offset;
    range.ram.bytes.set(bytes, start);
    storedTo(range, start, bytes.length);
    return MemTx.OK;
  }
  const [high, low] = plus(hi, lo, offset);
  return writeView(world, view, high, low, bytes, attrs);
}

function checkBounds(world: World, cache: TranslationCache, offset: number, length: number): void {
  if (!openHoldings(world).has(cache)) throw new ClosedError(`${cache.describe()} is not open`);
  if (Number.isInteger(offset) && offset >= 0 && offset + length <= cache.length) return;
  throw new MappingError(`${length} bytes at ${offset} are not in ${cache.describe()}`);
}

/** Counts each region that the view shows once, however many keep the view. */
function pinView(world: World, view: FlatView): void {
  const present = viewPinOf(world, view);
  if (present !== undefined) return countViewPin(world, present, 1);
  const shown = new Set<number>();
  for (const { region } of rangesOf(view)) if (!isStatic(world, region)) shown.add(region);
  const { life } = owners(world);
  for (const region of shown) {
    if (life[region] !== Life.DYING) continue;
    throw new LifetimeError(`cannot keep a view that shows "${nameOf(world, region)}": it is being finalized`);
  }
  for (const region of shown) {
    addReference(world, region, "cache");
    const anchor = anchorOf(world, region);
    if (anchor !== region) addReference(world, anchor, "cache");
  }
  addViewPin(world, view, shown);
}

function unpinView(world: World, view: FlatView): void {
  const present = viewPinOf(world, view);
  if (present === undefined) return;
  countViewPin(world, present, -1);
  if (present.count > 0) return;
  for (const target of present.regions) releasePin(world, { target, kind: "cache", site: undefined });
}

/** The open caches whose view shows a region (by entity id), and which therefore pin it. */
export function cachesShowing(world: World, region: number): TranslationCache[] {
  return [...openHoldings(world)].filter((holding): holding is TranslationCache =>
    holding instanceof TranslationCache && viewPinOf(world, holding.view)?.regions.has(region) === true
  );
}
