/** Picks: what a step is about, out of its operands and of what there is. */
import type { Machine, Step } from "./machine.ts";
import type { RegionKind, RegionModel, SpaceModel } from "./model/facts.ts";

/** Worlds are small, so that what happens concerns what happened before. */
export const OWNERS_MAX = 8;
export const REGIONS_MAX = 24;
export const PINS_MAX = 12;

export function pick<T>(from: Iterable<T>, index: number): T | undefined {
  const list = [...from];
  return list[index % Math.max(1, list.length)];
}

/** Where and how large things are: in steps that pages of dirty logs begin and end between. */
export const STEP = 0x400;

export function addressOf(operand: number): number {
  return (operand % 32) * STEP;
}

/** Regions that nobody dropped. */
export function usable(machine: Machine): RegionModel[] {
  return [...machine.regions].filter((region) => !region.dropped);
}

/** Regions that nobody dropped, of some kinds. */
export function pickKind(machine: Machine, index: number, ...kinds: readonly RegionKind[]): RegionModel | undefined {
  return pick(usable(machine).filter(({ kind }) => kinds.includes(kind)), index);
}

/** Spaces that nobody dropped. */
export function living(machine: Machine): SpaceModel[] {
  return [...machine.spaces].filter(({ dropped }) => !dropped);
}

/** The step that is taken inside of one. */
export function nested([, a, b, c]: Step): Step {
  return [c, b, (a * 31 + c) & 0xffff, (b * 17 + a) & 0xffff];
}
