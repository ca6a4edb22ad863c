/** How the interpreter enters translated regions, goes on behind them, and counts how they were left. */
import { call, callIndirect, choose, type Expr, i32, i64, type Prototype } from "../wasm/expression.ts";
import { readGlobal } from "../wasm/module.ts";
import { branch, type Label, run as callFor, set, type Statements, store, when } from "../wasm/statement.ts";
import { count, type Machine, refund, saved, slotField } from "./handlers.ts";
import type { HartImports } from "./imports.ts";
import * as at from "./layout.ts";
import { FIRST_ENTRY } from "./opcodes.ts";
import { CALL_DEPTH, INTERPRET } from "./translator/linkage.ts";

/** In `skip`: a region asks that the interpreter runs the next instruction, or was left for it. No slots lie there. */
const SKIP_NEXT = -1, JUST_LEFT = -2;

/** Runs the region that begins at the slot, or its first instruction if a region has asked for that. */
export function enterRegion(m: Machine, imports: HartImports, region: Prototype, start: Label): Statements {
  const index = i32.sub(m.opcode, i32.const(FIRST_ENTRY));
  return [
    when(i32.or(i32.eq(m.slot, m.skip), i32.eq(readGlobal(m.entering), i32.const(at.ENTER_NEVER))), [
      set(m.skip, i32.const(0)),
      set(m.opcode, originalOpcode(m)),
      branch(start),
    ]),
    // Mappings may have changed since translated code ran last.
    when(i64.ne(i64.load(m.base, at.WINDOWS_USED), i64.const(0)), [callFor(m.forget, m.base)]),
    ...refund(m),
    store.i32(m.base, i32.const(0), at.LAST_JUMP),
    ...saved(m, [
      when(
        readGlobal(m.entering),
        [
          set(m.kind, call(imports.checkRegion, m.base, index)),
          set(m.target, i64.or(i64.load(m.base, at.PC), i64.extend_i32_u(m.kind))),
        ],
        [set(
          m.target,
          callIndirect(region, index, m.base, i32.const(CALL_DEPTH), index, i64.load(m.base, at.PC)),
        )],
      ),
    ]),
    // SUM may have changed.
    set(m.tlb, i32.load(m.base, at.DATA_TLB)),
    set(
      m.skip,
      choose(i32.wrap_i64(i64.and(m.target, i64.const(INTERPRET))), i32.const(SKIP_NEXT), i32.const(JUST_LEFT)),
    ),
    set(m.target, i64.and(m.target, i64.const(~INTERPRET))),
    branch(m.labels.jump),
  ];
}

/** Control comes to the slot by way of the fetch TLB. */
export function arriveByFetch(m: Machine, imports: HartImports): Statements {
  const counted = count(m, saved(m, [callFor(imports.heat, m.slot)]));
  return [
    when(i32.lt_s(m.skip, i32.const(0)), [
      ...countExit(m),
      when(i32.eq(m.skip, i32.const(SKIP_NEXT)), [set(m.skip, m.slot)], [set(m.skip, i32.const(0)), ...counted]),
    ], counted),
  ];
}

/** Control comes to the slot behind a region. */
function countExit(m: Machine): Statements {
  const isAsked = i32.add(m.skip, i32.const(-JUST_LEFT));
  const field = i32.add(i32.mul(isAsked, i32.const(at.EXIT_OPCODES)), m.opcode);
  return [
    set(m.opcode, slotField(m, at.SLOT_OPCODE)),
    when(i32.ge_u(m.opcode, i32.const(FIRST_ENTRY)), [
      set(m.opcode, choose(isAsked, originalOpcode(m), i32.const(at.EXIT_TO_REGION))),
    ]),
    set(m.address, i32.add(m.base, i32.shl(field, i32.const(3)))),
    store.i64(m.address, i64.add(i64.load(m.address, at.EXITS), i64.const(1)), at.EXITS),
  ];
}

/** What the slot would hold without the region that begins there. */
function originalOpcode(m: Machine): Expr {
  const index = i32.sub(m.opcode, i32.const(FIRST_ENTRY));
  const entry = i32.add(i32.load(m.base, at.REGION_ENTRIES), i32.shl(index, i32.const(2)));
  return i32.load16_u(entry, at.ENTRY_OPCODE);
}
