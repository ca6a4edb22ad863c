/**
 * Finds what a region consists of: the instructions that are reached from its head without leaving the page, as basic
 * blocks. Everything that is not translated ends a block: the interpreter runs it.
 */
import { countOperands } from "../../wasm/rewrite.ts";
import type { Decoded } from "../decode.ts";
import type { Instruction } from "../instruction.ts";
import { PAGE_BYTES } from "../layout.ts";
import { hasStaticTarget } from "../opcodes.ts";

/** Instructions of a region at most. */
export const REGION_LIMIT = 512;

/** An instruction and its place in the page, in bytes. */
export interface Step {
  readonly offset: number;
  readonly decoded: Decoded;
}

/**
 * How a block ends. Places are offsets from the page's start; they may lie outside of it. What ends a block is counted
 * among its instructions but not among its steps.
 */
export type End =
  | { readonly kind: "goto"; readonly to: number; readonly link?: undefined }
  | { readonly kind: "branch"; readonly step: Step; readonly to: number; readonly otherwise: number }
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
  /** Places of accesses that are not to be checked together with later ones. */
  readonly apart: ReadonlySet<number>;
}

export interface Block {
  readonly offset: number;
  readonly steps: readonly Step[];
  readonly end: End;
  /** Instructions that it retires. */
  readonly count: number;
}

/** Where the region can be entered, the head first. */
export function entriesOf({ blocks, entries }: Shape): readonly Block[] {
  return entries.flatMap((position) => blocks[position] ?? []);
}

/** From the head of a loop to the block that leads back there, as far as the order of the program tells. */
export function loopsOf(blocks: readonly Block[]): { from: number; to: number }[] {
  return blocks.flatMap(({ offset, end }) =>
    end.kind !== "jump" && end.to <= offset ? [{ from: end.to, to: offset }] : []
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

function isTranslated({ semantics: s }: Instruction): boolean {
  if (s.shape === "cacheBlock") return s.action === "zero";
  return s.shape !== "csr" && (s.shape !== "system" || s.action === "fence" || s.action === "fence.i");
}

/**
 * The region at `head`; none if its first instruction is not translated. It ends where others begin.
 *
 * Besides its head it is entered where control comes back to it after the interpreter has run something: at the heads
 * of loops, behind calls, and behind instructions that are not translated.
 */
export function discover(
  page: number,
  bytes: DataView,
  head: number,
  isElsewhere: (offset: number) => boolean,
  seenOf: (offset: number) => readonly number[],
  decode: (word: number) => Decoded | undefined,
  { apart, stops }: { readonly apart: ReadonlySet<number>; readonly stops: ReadonlySet<number> },
): Shape | undefined {
  const steps = new Map<number, Step>();
  const leaders = new Set<number>(), entries = new Set([head]);
  const queue = [head];
  for (let from = queue.shift(); from !== undefined; from = queue.shift()) {
    if (leaders.has(from) || (from !== head && isElsewhere(from))) continue;
    leaders.add(from);
    for (let offset = from; !steps.has(offset) && steps.size < REGION_LIMIT;) {
      const step = stops.has(offset) ? undefined : stepAt(bytes, offset, decode);
      if (!step) break;
      const next = offset + step.decoded.length;
      if (!isTranslated(step.decoded.instruction)) {
        if (comesBack(step.decoded.instruction)) entries.add(next), queue.push(next);
        break;
      }
      steps.set(offset, step);
      const targets = targetsOf(step, seenOf);
      if (targets) {
        if (isCall(step.decoded)) entries.add(next);
        for (const target of targets) if (target <= offset) entries.add(target);
        queue.push(...targets);
        break;
      }
      offset = next;
    }
  }
  const places = [...leaders].filter((leader) => steps.has(leader));
  const blocks = places.map((leader) => blockAt(leader, steps, leaders, seenOf));
  if (!steps.has(head)) return undefined;
  const positions = [...entries].map((offset) => places.indexOf(offset)).filter((block) => block >= 0);
  return { page, blocks, entries: positions, apart };
}

function stepAt(
  page: DataView,
  offset: number,
  decode: (word: number) => Decoded | undefined,
): Step | undefined {
  if (offset < 0 || offset + 2 > PAGE_BYTES) return undefined;
  const low = page.getUint16(offset, true);
  if ((low & 3) === 3 && offset + 4 > PAGE_BYTES) return undefined;
  const decoded = decode((low & 3) === 3 ? page.getUint32(offset, true) : low);
  return decoded && { offset, decoded };
}

/** Of instructions that are not translated: whether control is likely to come to the next one. */
function comesBack({ semantics: s }: Instruction): boolean {
  return s.shape === "csr" || s.shape === "cacheBlock" ||
    (s.shape === "system" && s.action !== "mret" && s.action !== "sret");
}

/** Where the region may go on after an instruction that ends a block; nothing if it does not end one. */
function targetsOf(
  { offset, decoded }: Step,
  seenOf: (offset: number) => readonly number[],
): readonly number[] | undefined {
  const { shape } = decoded.instruction.semantics;
  const next = offset + decoded.length;
  if (shape === "branch") return [next, offset + decoded.imm];
  if (shape !== "jump") return undefined;
  if (isCall(decoded)) return [next];
  return hasStaticTarget(decoded.instruction) ? [offset + decoded.imm] : seenOf(offset);
}

function blockAt(
  leader: number,
  all: ReadonlyMap<number, Step>,
  leaders: ReadonlySet<number>,
  seenOf: (offset: number) => readonly number[],
): Block {
  const steps: Step[] = [];
  let offset = leader;
  for (let step = all.get(offset); step; step = all.get(offset)) {
    const { decoded } = step;
    const { shape } = decoded.instruction.semantics;
    const count = steps.length + 1;
    if (shape === "branch") {
      const end: End = { kind: "branch", step, to: offset + decoded.imm, otherwise: offset + decoded.length };
      return { offset: leader, steps, end, count };
    }
    if (shape === "jump") {
      const to = hasStaticTarget(decoded.instruction) ? offset + decoded.imm : fused(steps.at(-1), step);
      const end: End = to !== undefined && !isCall(decoded)
        ? { kind: "goto", to }
        : { kind: "jump", step, to, seen: isCall(decoded) ? [] : seenOf(offset) };
      return { offset: leader, steps, end, count };
    }
    steps.push(step);
    offset += decoded.length;
    if (leaders.has(offset)) break;
  }
  return { offset: leader, steps, end: { kind: "goto", to: offset }, count: steps.length };
}

/** The target of a jump by a register that the instruction before it made from pc: a far call or jump. */
function fused(before: Step | undefined, { decoded }: Step): number | undefined {
  if (!before || decoded.rs1 === 0 || before.decoded.rd !== decoded.rs1) return undefined;
  const { semantics } = before.decoded.instruction;
  if (semantics.shape !== "compute" || !countOperands(semantics.result).has("pc")) return undefined;
  return Math.floor((before.offset + before.decoded.imm + decoded.imm) / 2) * 2;
}
