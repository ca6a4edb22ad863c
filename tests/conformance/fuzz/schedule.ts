/** What the host does to harts that run a random program: turns of random length, interrupts, devices' stores, moved memory. */
import { Random } from "../random.ts";
import * as at from "./layout.ts";

export type Event =
  | { readonly kind: "line"; readonly line: number; readonly level: 0 | 1 }
  /** A device stores bytes at an offset of RAM. */
  | { readonly kind: "store"; readonly offset: number; readonly bytes: Uint8Array }
  /** The moved window shows another page of RAM, or none. */
  | { readonly kind: "window"; readonly offset: number | undefined }
  /** Everything is mapped as before, but harts are told that it is not. */
  | { readonly kind: "remap" };

export interface Turn {
  readonly hart: number;
  readonly budget: number;
  /** Before it. */
  readonly event?: Event;
}

/** Interrupts that nothing but their line raises. */
const LINES = [1, 3, 5, 9, 11] as const;

export function randomSchedule(seed: number, harts: number, turns: number): Turn[] {
  const random = new Random(seed ^ 0x5bd1e995);
  return Array.from({ length: turns }, () => {
    const hart = random.below(harts);
    const budget = 1 + random.below(random.pick([1, 8, 60, 60, 700, 700, 6000]));
    return random.chance(0.3) ? { hart, budget, event: randomEvent(random) } : { hart, budget };
  });
}

function randomEvent(random: Random): Event {
  const kind = random.below(10);
  if (kind < 5) return { kind: "line", line: random.pick(LINES), level: random.chance(0.6) ? 0 : 1 };
  if (kind < 8) {
    const bytes = Uint8Array.from({ length: random.pick([1, 2, 4, 64, 300]) }, () => random.below(256));
    const size = (at.CODE_PAGES + at.DATA_PAGES) * at.PAGE - bytes.length;
    // Rarely into code: what is there soon would be noise alone.
    const offset = random.chance(0.15) ? at.CODE + random.below(size) : at.DATA + random.below(size / 2);
    return { kind: "store", offset, bytes };
  }
  if (kind < 9) return { kind: "remap" };
  const pages = at.CODE_PAGES + at.DATA_PAGES;
  return { kind: "window", offset: random.chance(0.2) ? undefined : at.CODE + random.below(pages) * at.PAGE };
}
