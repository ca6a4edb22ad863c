/**
 * From the virtual address of a load or store to guest memory: by the TLB, or by what earlier accesses found there.
 * A *window* is the page that the last access by a base register went to.
 */
import { call, type Expr, i32, i64, type Local, tee } from "../../wasm/expression.ts";
import { set, type Statements, store, when, whenRarely } from "../../wasm/statement.ts";
import * as at from "../layout.ts";
import { page, tlbOffset } from "../translate.ts";
import { type Block, loopsOf, type Step } from "./discovery.ts";
import type { Access, Group, Member } from "./groups.ts";
import type { RegionState } from "./region_state.ts";
import { fieldOf, openWindow, windowOf } from "./windows.ts";

const STACK = 2;

/** Leaves the guest memory address of an access in `entry`, or leaves the region if the TLB does not know it. */
export function locate(region: RegionState, step: Step, access: Access, left: number, member?: Member): Statements {
  const { register } = access;
  // What the stack pointer points to is in the same page nearly always.
  if (!member || (member.group.count === 1 && register !== STACK)) {
    return !access.isAligned && region.isLooping(step)
      ? locateByWindow(region, step, access, left)
      : locateByTlb(region, step, access, left);
  }
  const { group, distance } = member;
  const check = group.leader === step ? claimGroup(region, step, register, left, group) : [];
  return [...check, set(region.entry, i32.add(region.anchor(register), i32.const(distance)))];
}

/** Moves and constants are written as additions: without the zero, the baseline tier does nothing for them either. */
export function plus(base: Expr, distance: number): Expr {
  return distance === 0 ? base : i64.add(base, i64.const(distance));
}

const low = (region: RegionState, { register, distance }: Access): Expr =>
  i32.wrap_i64(plus(region.read("x", register), distance));

/** The page of an access's last byte; with what a misaligned address differs by from any page, if it must not be. */
function pageOf(region: RegionState, { register, distance, bytes, isAligned }: Access): Expr {
  const last = plus(region.read("x", register), distance + (isAligned ? 0 : bytes - 1));
  return isAligned ? i64.and(last, i64.const(-at.PAGE_BYTES | (bytes - 1))) : page(last);
}

/** Leaves the region if the TLB can't be made to know the page; else `entry` is its entry. */
function lookUp(region: RegionState, step: Step, access: Access, left: number): Statements {
  const { register, distance, table } = access;
  const { base, entry, tlb, linkage } = region;
  const address = plus(region.read("x", register), distance), page = pageOf(region, access);
  const tag = i64.load(tee(entry, i32.add(tlb, tlbOffset(address))), table);
  const isThere = call(linkage.refill, base, address, page, i32.add(tlb, i32.const(table)));
  return [whenRarely(i64.ne(tag, page), region.exitIf(i32.eqz(isThere), step.offset, left))];
}

function locateByTlb(region: RegionState, step: Step, access: Access, left: number): Statements {
  const { entry } = region;
  const distance = i32.load(entry, access.table + 8);
  return [...lookUp(region, step, access, left), set(entry, i32.add(low(region, access), distance))];
}

function locateByWindow(region: RegionState, step: Step, access: Access, left: number): Statements {
  const { base, distance, entry } = region;
  const { register, bytes, table } = access;
  const window = windowOf(register, table), field = fieldOf(window);
  const first = plus(region.read("x", register), access.distance);
  const aligned = i64.and(first, i64.const(-at.PAGE_BYTES | (bytes - 1)));
  return [
    set(distance, i32.load(base, field + at.WINDOW_DISTANCE)),
    // What is misaligned, too, has to be looked up: it may lie in two pages.
    whenRarely(i64.ne(aligned, i64.load(base, field + at.WINDOW_PAGE)), [
      ...lookUp(region, step, access, left),
      store.i64(base, page(first), field + at.WINDOW_PAGE),
      // Most pages have the same distance: unless it changes, the access need not wait for the TLB.
      when(i32.ne(distance, i32.load(entry, table + 8)), [
        set(distance, i32.load(entry, table + 8)),
        store.i32(base, distance, field + at.WINDOW_DISTANCE),
      ]),
      ...openWindow(base, base, i32.const(window), field),
    ]),
    set(entry, i32.add(low(region, access), distance)),
  ];
}

/** Leaves in the group's anchor where its base register points to in guest memory. */
function claimGroup(region: RegionState, step: Step, register: number, left: number, group: Group): Statements {
  const { base, tlb, linkage } = region;
  const table = group.isWritten ? at.WRITE_TABLE : at.READ_TABLE;
  const window = windowOf(register, table), pointer = region.read("x", register);
  const first = plus(pointer, group.first), last = plus(pointer, group.last);
  const slot = i32.const(region.slotOf(step.offset));
  const isServed = call(linkage.claim, base, i32.add(tlb, i32.const(table)), i32.const(window), slot, first, last);
  return [
    whenRarely(
      isOutside(base, window, first, group.last - group.first + 1),
      region.exitIf(i32.eqz(isServed), step.offset, left),
    ),
    set(region.anchor(register), i32.add(i32.wrap_i64(pointer), i32.load(base, fieldOf(window) + at.WINDOW_DISTANCE))),
  ];
}

/** Whether some of these bytes are not in the window's page. */
function isOutside(base: Local, window: number, first: Expr, bytes: number): Expr {
  const field = fieldOf(window), place = i64.sub(first, i64.load(base, field + at.WINDOW_PAGE));
  const missing = i64.load32_u(base, field + at.WINDOW_MISSING);
  return i64.gt_u(i64.or(place, missing), i64.const(at.PAGE_BYTES - bytes));
}

/** The distance of a loop's end from its head, in bytes, up to which what it does is worth more code. */
const LOOP_BYTES = 256;

/** Places of instructions that small loops run. */
export function loopingPlaces(blocks: readonly Block[]): ReadonlySet<number> {
  const loops = loopsOf(blocks).filter(({ from, to }) => to - from < LOOP_BYTES);
  const looping = blocks.filter(({ place }) => loops.some(({ from, to }) => place >= from && place <= to));
  return new Set(looping.flatMap(({ steps }) => steps.map(({ offset }) => offset)));
}
