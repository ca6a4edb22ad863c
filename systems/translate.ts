/**
 * Translate: one hop through an IOMMU. Each hop uses the view that its target space has at that time (1.17). Hops may
 * follow each other only so often, and a table walk must not go through itself: a cycle is a decode error.
 */
import { onwardSpace, type Space } from "../ecs/address_space.ts";
import { highHalf, lowHalf } from "../ecs/address.ts";
import { offsetIn, type Range } from "../ecs/flat_view.ts";
import { nameOf } from "../ecs/handle.ts";
import { type Iommu, minPageSize, Permission, type Translation } from "../ecs/iommu.ts";
import { regions } from "../ecs/region.ts";
import { defineState, type World } from "../ecs/world.ts";
import { MemTx } from "./access.ts";
import { enterScope, leaveScope } from "./epoch.ts";
import { commit } from "./transaction.ts";

/** A translation failed in the model: it threw, or what it said makes no sense. */
export class TranslationError extends Error {
  override readonly name = "TranslationError";
}

/** Where one access goes on. Reused by the next hop of the same depth. */
export interface Hop {
  /** undefined: nowhere, `result` says why. */
  space: Space | undefined;
  hi: number;
  lo: number;
  /** Bytes from the address to the end of its page, rounded above 2^53. */
  length: number;
  result: number;
}

/** Read scopes that may be open around a hop: the handlers and hops that led to it. */
const DEPTH_MAX = 64;

const hopsByDepth = defineState(() => [] as Hop[]);

/** The IOMMU that a range leads through, if any. */
export function iommuIn(world: World, range: Range | undefined): Iommu | undefined {
  return range === undefined ? undefined : regions(world).iommu[range.region];
}

/** The hop of the address (hi, lo) in an IOMMU's range, inside a scope that {@linkcode leaveHop} closes. */
export function enterHop(
  world: World,
  range: Range,
  iommu: Iommu,
  hi: number,
  lo: number,
  wanted: number,
  attrs: number,
): Hop {
  const scope = enterScope(world, range.region);
  const hop = hopsByDepth(world)[scope.depth] ??= { space: undefined, hi: 0, lo: 0, length: 0, result: 0 };
  const offset = offsetIn(range, hi, lo);
  const isLow = offset < 0x100000000;
  const low = isLow ? offset | 0 : (lo - lowHalf(range.base)) | 0;
  const high = isLow ? 0 : (hi - highHalf(range.base) - ((lo >>> 0) < (lowHalf(range.base) >>> 0) ? 1 : 0)) | 0;
  hop.space = undefined;
  hop.result = MemTx.DECODE_ERROR;
  hop.length = 0;
  if (iommu.isTranslating || scope.depth > DEPTH_MAX) warnCycle(world, range, iommu);
  else follow(world, hop, range, iommu, high, low, wanted, attrs);
  if (hop.length === 0) setLength(hop, high, low, minPageSize(iommu)); // nowhere: as far as the smallest page goes
  return hop;
}

/** Ends the hop's scope. To be called in a `finally`. */
export function leaveHop(world: World): void {
  const { epochs } = world;
  leaveScope(epochs);
  if (epochs.depth === 0 && epochs.oldestRetired !== 0) commit(world);
}

function follow(
  world: World,
  hop: Hop,
  range: Range,
  iommu: Iommu,
  high: number,
  low: number,
  wanted: number,
  attrs: number,
): void {
  const { ops, state } = iommu;
  let translation: Translation | undefined;
  iommu.isTranslating = true;
  try {
    const index = ops.indexOf === undefined ? 0 : ops.indexOf(attrs);
    translation = ops.translate(state, high, low, wanted, index);
    if (translation !== undefined) apply(world, hop, translation, high, low, wanted);
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    hop.space = undefined;
    hop.result = MemTx.ERROR;
    const message = `IOMMU "${nameOf(world, range.region)}" failed to translate: ${reason}`;
    world.reportFault(new TranslationError(message, { cause }));
  } finally {
    iommu.isTranslating = false;
  }
}

function apply(world: World, hop: Hop, translation: Translation, high: number, low: number, wanted: number): void {
  const { pageSize, permission } = translation;
  const isLarge = pageSize > 0x100000000;
  const lowMask = isLarge ? -1 : (pageSize - 1) | 0;
  const highMask = isLarge ? (pageSize / 0x100000000 - 1) | 0 : 0;
  const isWhole = pageSize >= 1 && Number.isInteger(isLarge ? pageSize / 0x100000000 : pageSize);
  if (!isWhole || (lowMask & (lowMask + 1)) !== 0 || (highMask & (highMask + 1)) !== 0) {
    throw new TranslationError(`a page of ${pageSize} bytes is not a power of two`);
  }
  setLength(hop, high, low, pageSize);
  const needed = wanted === Permission.NONE ? Permission.READ : wanted;
  if ((permission & needed) !== needed) return;
  hop.space = onwardSpace(world, translation.target);
  hop.lo = (translation.lo & ~lowMask) | (low & lowMask);
  hop.hi = (translation.hi & ~highMask) | (high & highMask);
}

function setLength(hop: Hop, high: number, low: number, pageSize: number): void {
  const inPage = pageSize <= 0x100000000
    ? (low & ((pageSize - 1) | 0)) >>> 0
    : ((high & ((pageSize / 0x100000000 - 1) | 0)) >>> 0) * 0x100000000 + (low >>> 0);
  hop.length = pageSize - inPage;
}

/** One line per IOMMU, ever. */
function warnCycle(world: World, range: Range, iommu: Iommu): void {
  if (iommu.warned) return;
  iommu.warned = true;
  world.trace(`IOMMU "${nameOf(world, range.region)}" leads to itself: refused`);
}
