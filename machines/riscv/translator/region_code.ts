/** The WebAssembly function of a region: control flow, budget, calls and exits around the code of its instructions. */
import { call, callIndirect, choose, type Expr, i32, i64, type Local, tee } from "../../wasm/expression.ts";
import type { FunctionBuilder } from "../../wasm/module.ts";
import {
  block,
  branchIf,
  branchTable,
  giveBack,
  label,
  set,
  type Statements,
  store,
  tailCall,
  when,
  whenRarely,
} from "../../wasm/statement.ts";
import * as at from "../layout.ts";
import { FIRST_ENTRY } from "../opcodes.ts";
import { parameter } from "../page_walk.ts";
import { fetchEntry } from "../translate.ts";
import { budgetChecks } from "./budget.ts";
import { registerFlow, writtenBy } from "./register_flow.ts";
import { CALL_DEPTH, type Linkage } from "./linkage.ts";
import { type Beginning, structured } from "./control_flow.ts";
import { type Block, entriesOf, isCall, isReturn, offsetOf, type Shape, type Step } from "./discovery.ts";
import { groupsOf, type Member } from "./groups.ts";
import { unrolled } from "./unroll.ts";
import { RegionState } from "./region_state.ts";
import { bound } from "./operands.ts";
import { type BlockState, stepCode } from "./step_code.ts";

export function regionCode(
  f: FunctionBuilder,
  shape: Shape,
  linkage: Linkage,
): Statements {
  const { page } = shape;
  const blocks = unrolled(shape.blocks).toSorted((a, b) => a.place - b.place);
  const entries = entriesOf(shape).map(({ place }) => blocks.findIndex((block) => block.place === place));
  const region = new RegionState(f, shape, linkage);
  const nodes = new Map(blocks.map(({ place }, node) => [place, node]));
  const inside = (...places: number[]) => places.map((place) => nodes.get(place)).filter((node) => node !== undefined);
  const graph = blocks.map(({ end }) => {
    if (end.kind === "branch") return inside(end.to, end.otherwise);
    if (end.kind !== "jump") return inside(end.to);
    return isCall(end.step.decoded) ? inside(end.step.offset + end.step.decoded.length) : inside(...end.seen);
  });
  const groups = groupsOf(blocks, graph, entries, shape.apart);
  const flow = registerFlow(blocks, graph);
  const liveAt = (node: number | undefined) => node === undefined ? 0n : flow.live[node] ?? 0n;
  const checks = budgetChecks(graph, entries, blocks.map(({ count }) => count));
  const code = (node: number, go: (to: number) => Statements): Statements => {
    const one = blocks[node];
    if (!one) throw new Error(`the region has no block ${node}`);
    const to = (place: number): Statements => {
      const target = nodes.get(place);
      if (target !== undefined) return go(target);
      return [set(region.target, region.addressOf(offsetOf(place))), region.leave()];
    };
    const callee = (place: number | undefined) => calleeCode(region, linkage, page, place);
    const liveBehind = (place: number) => liveAt(nodes.get(place));
    return blockCode(region, one, {
      to,
      callee,
      groups,
      liveBehind,
      dirty: flow.dirty[node] ?? 0n,
      need: checks.get(node),
    });
  };
  const { base, depth, target } = region;
  const index = parameter(f, 2);
  const begin = { entries, selector: index, ...chosenBy(region, index, offsetOf(blocks[entries[0] ?? 0]?.place ?? 0)) };
  const arrive = (entries: readonly number[]) => region.load(entries.reduce((set, entry) => set | liveAt(entry), 0n));
  const body = structured(graph, begin, code, arrive);
  const follow = [region.spillBudget(), tailCall(linkage.follow, base, depth, target)];
  // A caller on the host's stack, if there is one, goes on by itself.
  const back = [when(i32.eq(depth, i32.const(CALL_DEPTH)), follow, [region.spillBudget(), giveBack(target)])];
  const spill = (registers: bigint) => region.spill(registers);
  const leaving = region.leaves.around(region.returns.around(body, spill, back), spill, follow);
  return [
    ...region.enter(),
    ...region.exits.around(leaving, spill, region.settle()),
  ];
}

/** Calls enter a region at its head: that is found without the table of entries. */
function chosenBy({ base, pc }: RegionState, index: Local, head: number): Pick<Beginning, "isFirst" | "select"> {
  const ordinal = i32.load16_u(
    i32.add(i32.load(base, at.REGION_ENTRIES), i32.shl(index, i32.const(2))),
    at.ENTRY_ORDINAL,
  );
  return {
    isFirst: i32.eq(i32.and(i32.wrap_i64(pc), i32.const(at.PAGE_BYTES - 1)), i32.const(head)),
    select: ordinal,
  };
}

/** What the code of a block has to know besides its instructions. */
interface Surroundings {
  /** Goes on at a place. */
  to(place: number): Statements;
  /** Runs the callee at `target`, which is at a place in this page or anywhere, and sets `went`. */
  callee(place: number | undefined): Statements;
  readonly groups: ReadonlyMap<Step, Member>;
  /** Registers that may differ from the hart's state: at the head of the block, then at its end. */
  readonly dirty: bigint;
  /** Registers to load behind a call that comes back to a place. */
  liveBehind(place: number): bigint;
  /** What the budget must suffice for from here on, if that is to be made sure of here. */
  readonly need: number | undefined;
}

function blockCode(region: RegionState, { place, steps, end, count }: Block, around: Surroundings): Statements {
  const { groups, need } = around;
  const state: BlockState = { isFloatOn: false, isFloatDirty: false, groups };
  const { budget } = region;
  let { dirty } = around;
  region.reach(dirty);
  const code = [
    ...(need === undefined ? [] : region.exitIf(i32.lt_s(budget, i32.const(need)), offsetOf(place), 0)),
    set(budget, i32.sub(budget, i32.const(count))),
  ];
  for (const [i, step] of steps.entries()) {
    code.push(...straddlingCode(region, step, count - i), ...stepCode(region, step, count - i, state));
    region.reach(dirty |= writtenBy(step));
  }
  if ("step" in end) {
    code.push(...straddlingCode(region, end.step, 1));
    dirty |= writtenBy(end.step);
  }
  return [...code, ...endCode(region, end, { ...around, dirty })];
}

/** Leaves the region unless the instruction goes on in the next page as it did: that may be any page, and may be written. */
function straddlingCode(region: RegionState, { offset, rest }: Step, left: number): Statements {
  if (rest === undefined) return [];
  const { base, entry } = region;
  const next = region.addressOf(at.PAGE_BYTES);
  const tag = i64.load(tee(entry, fetchEntry(base, next)), at.FETCH_TABLE);
  return [
    ...region.exitIf(i64.ne(tag, next), offset, left),
    ...region.exitIf(i32.ne(i32.load16_u(i32.load(entry, at.FETCH_TABLE + 12)), i32.const(rest)), offset, left),
  ];
}

function endCode(region: RegionState, end: Block["end"], around: Surroundings): Statements {
  const { dirty, callee } = around;
  // The code of a block that follows may stand here, too: it leaves the state elsewhere.
  const to = (place: number) => {
    region.reach(dirty);
    return around.to(place);
  };
  region.reach(dirty);
  if (end.kind === "goto") return to(end.to);
  const { step } = end;
  const { decoded, offset } = step;
  const s = decoded.instruction.semantics;
  if (end.kind === "branch") {
    if (s.shape !== "branch") throw new Error(`${decoded.instruction.name} does not branch`);
    return [when(bound(region, step, s.taken), to(end.to), to(end.otherwise))];
  }
  if (s.shape !== "jump") throw new Error(`${decoded.instruction.name} does not jump`);
  if (end.kind === "call") {
    return [...region.write("x", decoded.rd, region.addressOf(offset + decoded.length)), ...to(end.to)];
  }
  if (end.kind === "return") {
    return [
      set(region.target, bound(region, step, s.target)),
      region.goBackIf(i64.ne(region.target, region.addressOf(offsetOf(end.to)))),
      ...to(end.to),
    ];
  }
  const target = end.to === undefined ? bound(region, step, s.target) : region.addressOf(end.to);
  if (isReturn(decoded)) return [set(region.target, target), region.goBack()];
  if (!isCall(decoded)) return jumpCode(region, target, end.seen, region.slotOf(offset), to);
  return callCode(region, step, target, callee(end.to), around);
}

/** Goes on in the region if the target is one of those that were seen before, by a table over the page's halfwords. */
function jumpCode(
  region: RegionState,
  target: Expr,
  seen: readonly number[],
  slot: number,
  to: (place: number) => Statements,
): Statements {
  const { base, page } = region;
  const first = Math.min(...seen), elsewhere = label("elsewhere");
  const leave = [store.i32(base, i32.const(slot), at.LAST_JUMP), region.leave()];
  if (seen.length === 0) return [set(region.target, target), ...leave];
  const labels = new Map(seen.map((place) => [place, label(`place ${place}`)]));
  const places = Array.from({ length: (Math.max(...seen) - first) / 2 + 1 }, (_, i) => first + 2 * i);
  const halfword = i32.shr_u(i32.sub(i32.wrap_i64(i64.sub(region.target, page)), i32.const(first)), i32.const(1));
  let nest: Statements = [
    branchIf(elsewhere, i64.ne(i64.and(region.target, i64.const(-at.PAGE_BYTES)), page)),
    branchTable(places.map((place) => labels.get(place) ?? elsewhere), elsewhere, halfword),
  ];
  for (const [place, here] of labels) nest = [block(here, nest), ...to(place)];
  return [set(region.target, target), block(elsewhere, nest), ...leave];
}

/** Runs the callee's region, if there is one, and goes on behind the call if it comes back there. */
function callCode(
  region: RegionState,
  { offset, decoded }: Step,
  target: Expr,
  callee: Statements,
  { to, liveBehind }: Surroundings,
): Statements {
  const { went } = region;
  const returns = offset + decoded.length;
  const back = region.addressOf(returns);
  const code = [
    set(region.target, target),
    ...region.write("x", decoded.rd, back),
    ...region.spill(),
    region.spillBudget(),
    ...callee,
    whenRarely(i64.ne(went, back), [giveBack(went)]),
    ...region.resume(),
    ...region.load(liveBehind(returns)),
  ];
  region.reach(0n);
  return [...code, ...to(returns)];
}

function calleeCode(region: RegionState, linkage: Linkage, page: number, place: number | undefined): Statements {
  const { base, depth, target, went, entry } = region;
  if (place === undefined || place < 0 || place >= at.PAGE_BYTES) {
    return [set(went, call(linkage.enter, base, depth, target))];
  }
  // What is in this page is mapped as this region is, and its slot is known.
  const slot = page + (place << at.SLOT_SHIFT);
  const index = i32.sub(i32.load16_u(i32.const(slot), at.SLOT_OPCODE), i32.const(FIRST_ENTRY));
  const next = i32.sub(depth, i32.const(1));
  return [
    set(entry, index),
    set(went, target),
    when(choose(i32.ge_s(entry, i32.const(0)), depth, i32.const(0)), [
      set(went, callIndirect(linkage.region, entry, base, next, entry, target)),
    ]),
  ];
}
