/**
 * Finds what a region consists of: the instructions that are reached from its head without leaving the page, as basic
 * blocks. Everything that is not translated ends a block: the interpreter runs it.
 */
import { countOperands } from "../../wasm/rewrite.ts";
import type { Decoded } from "../decode.ts";
import { directCsr } from "../direct_csrs.ts";
import type { Instruction } from "../instruction.ts";
import { PAGE_BYTES } from "../layout.ts";
import { hasStaticTarget } from "../opcodes.ts";

/** Instructions of a region at most; from so many on it takes in no further blocks. */
export const REGION_LIMIT = 512;
const BLOCKS_LIMIT = 200;

/** Instructions of a callee that becomes part of its callers' regions, at most. */
const LEAF_LIMIT = 40;

/** Far calls and jumps reach ±2 GiB. */
const CALL_SHIFT = 2 ** 34;

/** A place in the callee of a call; call 0 is the region's own code. */
export function placeOf(call: number, offset: number): number {
  return call * CALL_SHIFT + offset;
}

export function callOf(place: number): number {
  return Math.round(place / CALL_SHIFT);
}

/** The offset from the start of the page. */
export function offsetOf(place: number): number {
  return place - callOf(place) * CALL_SHIFT;
}

/** An instruction and its place in the page, in bytes. */
export interface Step {
  readonly offset: number;
  readonly decoded: Decoded;
  /** The halfword in the next page with which it ends: it has to be there still when the instruction runs. */
  readonly rest: number | undefined;
}

/**
 * How a block ends, and where it goes on. What ends a block is counted among its instructions but not among its steps.
 *
 * A place is an offset from the page's start, which may lie outside of the page; in a callee that is part of the region
 * it is that and the number of the call (`placeOf`).
 */
export type End =
  | { readonly kind: "goto"; readonly to: number }
  | { readonly kind: "branch"; readonly step: Step; readonly to: number; readonly otherwise: number }
  /** A call of a function that is part of the region, and the return from it to behind the call. */
  | { readonly kind: "call"; readonly step: Step; readonly to: number }
  | { readonly kind: "return"; readonly step: Step; readonly to: number }
  /** Calls, returns and jumps by register; `to` if it depends on the place only. */
  | {
    readonly kind: "jump";
    readonly step: Step;
    readonly to: number | undefined;
    /** Where a jump by register has been seen to go. */
    readonly seen: readonly number[];
  };

/** What a region is made from. */
export interface Shape {
  /** Address of the decoded page. */
  readonly page: number;
  /** The head's first. */
  readonly blocks: readonly Block[];
  /** Blocks where the region can be entered, by position; the head's first. */
  readonly entries: readonly number[];
  /** Base registers whose accesses are not to be checked together. */
  readonly apart: ReadonlySet<number>;
}

export interface Block {
  readonly place: number;
  readonly steps: readonly Step[];
  readonly end: End;
  /** Instructions that it retires. */
  readonly count: number;
}

/** All instructions of a block: what ends it, too. */
export function instructionsOf({ steps, end }: Block): readonly Step[] {
  return "step" in end ? [...steps, end.step] : steps;
}

/** Where the region can be entered, the head first. */
export function entriesOf({ blocks, entries }: Shape): readonly Block[] {
  return entries.flatMap((position) => blocks[position] ?? []);
}

/** From the head of a loop to the block that leads back there, as far as the order of the program tells. */
export function loopsOf(blocks: readonly Block[]): { from: number; to: number }[] {
  return blocks.flatMap(({ place, end }) =>
    (end.kind === "goto" || end.kind === "branch") && end.to <= place ? [{ from: end.to, to: place }] : []
  );
}

/** A register that holds a return address by convention (unprivileged specification, table "Return-address hints"). */
export const isLink = (register: number): boolean => register === 1 || register === 5;

/** Jumps that come back: to the next instruction, where the region goes on. */
export function isCall({ instruction, rd }: Decoded): boolean {
  return instruction.semantics.shape === "jump" && rd !== 0;
}

export function isReturn(decoded: Decoded): boolean {
  return decoded.rd === 0 && !hasStaticTarget(decoded.instruction) && isLink(decoded.rs1);
}

function isTranslated({ instruction: { semantics: s }, imm }: Decoded): boolean {
  if (s.shape === "csr") return directCsr(imm) !== undefined;
  if (s.shape === "cacheBlock") return s.action === "zero";
  return s.shape !== "system" || s.action === "fence" || s.action === "fence.i";
}

/** Reads the instruction at an offset of a page, if it may be translated. */
export type ReadStep = (offset: number) => Step | undefined;

/** `page` may have two bytes more, with which its last instruction ends; `stops` are places of breakpoints. */
export function stepsOf(
  page: DataView,
  decode: (word: number) => Decoded | undefined,
  stops: ReadonlySet<number>,
): ReadStep {
  return (offset) => {
    if (stops.has(offset) || offset < 0 || offset + 2 > PAGE_BYTES) return undefined;
    const low = page.getUint16(offset, true);
    const isLong = (low & 3) === 3;
    if (isLong && offset + 4 > page.byteLength) return undefined;
    const word = isLong ? page.getUint32(offset, true) : low;
    const decoded = decode(word), rest = isLong && offset + 4 > PAGE_BYTES ? word >>> 16 : undefined;
    return decoded && { offset, decoded, rest };
  };
}

/** What is known of a page besides its bytes. */
export interface Surroundings {
  /** Instructions of the region that is entered at an offset, or 0. */
  elsewhere(offset: number): number;
  /** Where the jump by register at an offset has gone. */
  seenOf(offset: number): readonly number[];
  readonly apart: ReadonlySet<number>;
  /** Whether control has ever come to an offset. What never ran is left out: see README. */
  hasRun(offset: number): boolean;
  /** A region of so many instructions ends where others begin; a smaller one has a copy of those that are half of that. */
  readonly copies: number;
}

/**
 * The region at `head`; none if its first instruction is not translated. It ends where others begin, unless it is small.
 *
 * Besides its head it is entered where control comes back to it after the interpreter has run something: at the heads
 * of loops, behind calls, and behind instructions that are not translated.
 */
export function discover(page: number, readStep: ReadStep, head: number, around: Surroundings): Shape | undefined {
  return new Discovery(page, readStep, head, around).shape();
}

class Discovery {
  readonly #page: number;
  readonly #readStep: ReadStep;
  readonly #head: number;
  readonly #around: Surroundings;
  readonly #steps: Map<number, Step> = new Map();
  readonly #leaders: Set<number> = new Set();
  readonly #entries: Set<number>;
  readonly #queue: number[];
  /** Where the calls go on whose callees are part of the region: the first is none. */
  readonly #returns: (number | undefined)[] = [undefined];
  /** Where those callees begin, by the places of the calls. */
  readonly #callees: Map<number, number> = new Map();

  constructor(page: number, readStep: ReadStep, head: number, around: Surroundings) {
    this.#page = page;
    this.#readStep = readStep;
    this.#head = head;
    this.#around = around;
    this.#entries = new Set([head]);
    this.#queue = [head];
  }

  shape(): Shape | undefined {
    for (let from = this.#queue.shift(); from !== undefined; from = this.#queue.shift()) {
      if (
        this.#leaders.has(from) || (callOf(from) === 0 && this.#steps.size >= BLOCKS_LIMIT) ||
        (from !== this.#head && (this.#isElsewhere(from) || !this.#around.hasRun(offsetOf(from))))
      ) continue;
      this.#leaders.add(from);
      this.#follow(from);
    }
    if (!this.#steps.has(this.#head)) return undefined;
    const places = [...this.#leaders].filter((leader) => this.#steps.has(leader));
    const blocks = places.map((leader) => this.#blockAt(leader));
    const entries = [...this.#entries].map((place) => places.indexOf(place)).filter((block) => block >= 0);
    return { page: this.#page, blocks, entries, apart: this.#around.apart };
  }

  /** Whether the region ends where it comes to this place. */
  #isElsewhere(place: number): boolean {
    const { copies } = this.#around, size = this.#around.elsewhere(place);
    return size > copies / 2 || (size > 0 && this.#steps.size > copies);
  }

  /** Adds the instructions from here to the next jump. */
  #follow(from: number): void {
    const call = callOf(from);
    for (let place = from; this.#steps.size < REGION_LIMIT;) {
      // Where other code is met, perhaps from within one of its instructions, a block begins: no step is in two.
      if (this.#steps.has(place)) return void this.#leaders.add(place);
      const step = this.#readStep(offsetOf(place));
      if (!step) return;
      const { decoded } = step;
      const next = place + decoded.length;
      if (!isTranslated(decoded)) {
        if (comesBack(decoded.instruction)) this.#entries.add(next), this.#queue.push(next);
        return;
      }
      this.#steps.set(place, step);
      const targets = this.#targetsOf(step, call);
      if (!targets) {
        place = next;
        continue;
      }
      if (isCall(decoded)) this.#entries.add(next), this.#inline(place, step);
      for (const target of targets) if (target <= place && call === 0) this.#entries.add(target);
      this.#queue.push(...targets);
      return;
    }
  }

  /** Makes the callee part of the region if it is a small one in this page. */
  #inline(place: number, { offset, decoded }: Step): void {
    if (!hasStaticTarget(decoded.instruction)) return;
    const size = leafSize(this.#readStep, offset + decoded.imm);
    if (size === undefined || this.#steps.size + size > REGION_LIMIT) return;
    const callee = placeOf(this.#returns.length, offset + decoded.imm);
    this.#returns.push(place + decoded.length);
    this.#callees.set(place, callee);
    this.#queue.push(callee);
  }

  /** Where the region may go on after an instruction that ends a block; nothing if it does not end one. */
  #targetsOf({ offset, decoded }: Step, call: number): readonly number[] | undefined {
    const { shape } = decoded.instruction.semantics;
    const next = placeOf(call, offset + decoded.length), to = placeOf(call, offset + decoded.imm);
    if (shape === "branch") return [next, to];
    if (shape !== "jump") return undefined;
    if (isCall(decoded)) return [next];
    return hasStaticTarget(decoded.instruction) ? [to] : this.#around.seenOf(offset);
  }

  #blockAt(leader: number): Block {
    const steps: Step[] = [];
    let place = leader;
    for (let step = this.#steps.get(place); step; step = this.#steps.get(place)) {
      const end = this.#endAt(place, step, steps.at(-1));
      if (end) return { place: leader, steps, end, count: steps.length + 1 };
      steps.push(step);
      place += step.decoded.length;
      if (this.#leaders.has(place)) break;
    }
    return { place: leader, steps, end: { kind: "goto", to: place }, count: steps.length };
  }

  #endAt(place: number, step: Step, before: Step | undefined): End | undefined {
    const { offset, decoded } = step;
    const { shape } = decoded.instruction.semantics;
    const call = callOf(place), far = placeOf(call, offset + decoded.imm);
    if (shape === "branch") return { kind: "branch", step, to: far, otherwise: place + decoded.length };
    if (shape !== "jump") return undefined;
    const callee = this.#callees.get(place), returns = this.#returns[call];
    if (callee !== undefined) return { kind: "call", step, to: callee };
    if (returns !== undefined && isReturn(decoded)) return { kind: "return", step, to: returns };
    const isNear = hasStaticTarget(decoded.instruction);
    if (isCall(decoded)) {
      return { kind: "jump", step, to: isNear ? offset + decoded.imm : fused(before, step), seen: [] };
    }
    if (isNear) return { kind: "goto", to: far };
    const to = fused(before, step);
    return to === undefined
      ? { kind: "jump", step, to, seen: this.#around.seenOf(offset) }
      : { kind: "goto", to: placeOf(call, to) };
  }
}

/** Of instructions that are not translated: whether control is likely to come to the next one. */
function comesBack({ semantics: s }: Instruction): boolean {
  return s.shape === "csr" || s.shape === "cacheBlock" ||
    (s.shape === "system" && s.action !== "mret" && s.action !== "sret");
}

/** How many instructions a function has that calls no other, does not leave the page, and is worth its copy. */
function leafSize(readStep: ReadStep, start: number): number | undefined {
  const known = new Set<number>(), queue = [start];
  for (let offset = queue.pop(); offset !== undefined; offset = queue.pop()) {
    while (!known.has(offset)) {
      const step = readStep(offset);
      if (!step || !isTranslated(step.decoded) || known.size >= LEAF_LIMIT) return undefined;
      known.add(offset);
      const { decoded } = step;
      const { shape } = decoded.instruction.semantics;
      if (shape === "branch") queue.push(offset + decoded.imm);
      if (shape === "jump") {
        if (isReturn(decoded)) break;
        if (isCall(decoded) || !hasStaticTarget(decoded.instruction)) return undefined;
        queue.push(offset + decoded.imm);
        break;
      }
      offset += decoded.length;
    }
  }
  return known.size;
}

/** The target of a jump by a register that the instruction before it made from pc: a far call or jump. */
function fused(before: Step | undefined, { decoded }: Step): number | undefined {
  if (!before || decoded.rs1 === 0 || before.decoded.rd !== decoded.rs1) return undefined;
  const { semantics } = before.decoded.instruction;
  if (semantics.shape !== "compute" || !countOperands(semantics.result).has("pc")) return undefined;
  return Math.floor((before.offset + before.decoded.imm + decoded.imm) / 2) * 2;
}
