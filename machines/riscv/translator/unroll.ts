/**
 * Small loops get copies of their bodies, one behind the other: budget and interrupts of the host are looked at once for
 * all of them, and accesses of several rounds become one group.
 */
import { type Block, callOf, type End, loopsOf, offsetOf, placeOf } from "./discovery.ts";

/** Instructions of all copies of a loop, and bodies of one, at most. */
const LOOP_INSTRUCTIONS = 48, LOOP_BODIES = 4;

/** The blocks with further ones: places in copies belong to calls that are not made. */
export function unrolled(blocks: readonly Block[]): readonly Block[] {
  const made = [...blocks];
  const ends = new Map<number, number>();
  for (const { from, to } of loopsOf(blocks)) ends.set(from, Math.max(to, ends.get(from) ?? to));
  let free = 1 + Math.max(...blocks.map(({ place }) => callOf(place)));
  for (const [head, last] of ends) {
    const body = blocks.filter(({ place }) => place >= head && place <= last);
    const size = body.reduce((sum, { count }) => sum + count, 0);
    const bodies = Math.min(LOOP_BODIES, Math.floor(LOOP_INSTRUCTIONS / size));
    if (bodies < 2 || !body.every((block) => isPlain(block, head))) continue;
    const places = new Set(body.map(({ place }) => place));
    for (let number = 0; number < bodies; number++) {
      const inCopy = (place: number, copy: number) =>
        copy % bodies === 0 ? place : placeOf(free + copy % bodies, offsetOf(place));
      const next = (place: number) => {
        if (!places.has(place)) return place;
        return inCopy(place, place === head ? number + 1 : number);
      };
      for (const block of body) {
        const { steps, end, count } = block;
        const one = {
          place: inCopy(block.place, number),
          steps: steps.map((step) => ({ ...step })),
          end: led(end, next),
          count,
        };
        if (number === 0) made[made.indexOf(block)] = one;
        else made.push(one);
      }
    }
    free += bodies;
  }
  return made;
}

/** Whether a block of a loop goes on without calls, and back to nowhere but its head. */
function isPlain({ place, end }: Block, head: number): boolean {
  if (end.kind === "goto") return end.to > place || end.to === head;
  return end.kind === "branch" && (end.to > place || end.to === head);
}

function led(end: End, next: (place: number) => number): End {
  if (end.kind === "goto") return { ...end, to: next(end.to) };
  return end.kind === "branch" ? { ...end, to: next(end.to), otherwise: next(end.otherwise) } : end;
}
