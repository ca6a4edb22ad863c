/** What each form of an instruction does in the interpreter: statements made from the semantics in the table. */
import { call, type Callee, choose, type Expr, i32, i64, type Local } from "../wasm/expression.ts";
import { type Global, readGlobal } from "../wasm/module.ts";
import { branch, branchIf, type Label, set, type Statement, type Statements, store, when } from "../wasm/statement.ts";
import { countOperands, replaceOperands } from "../wasm/rewrite.ts";
import { CSR_OPERATIONS } from "./direct_csrs.ts";
import type { Semantics } from "./instruction.ts";
import * as at from "./layout.ts";
import { type Mmu, NO_ADDRESS } from "./mmu.ts";
import { type Form, hasStaticTarget } from "./opcodes.ts";
import type { StatusCode } from "./status_code.ts";
import { READ, WRITE } from "./page_walk.ts";
import { tlbOffset } from "./translate.ts";

/** What an instruction's operands and its result are found by. */
export interface OperandLocals {
  readonly base: Local;
  /** The current slot. */
  readonly slot: Local;
  /** Scratch: i64. */
  readonly first: Local;
  readonly second: Local;
  readonly third: Local;
}

/** The interpreter's registers. */
export interface Machine extends OperandLocals {
  /** i64: pc − (slot >> SLOT_SHIFT), constant within a page. */
  readonly anchor: Local;
  readonly budget: Local;
  /** The TLB context for loads and stores. */
  readonly tlb: Local;
  /** i64: where to go on, for `jump`; the address of a memory access, for `loadSlow` and `storeSlow`. */
  readonly target: Local;
  /** i32: the kind of a slow access. */
  readonly kind: Local;
  /** Scratch: two i32. */
  readonly address: Local;
  readonly rm: Local;
  /** i32: of the current slot. */
  readonly opcode: Local;
  /**
   * i32: of an instruction on a slow path, which may undecode it: address of its rd, and its length. What writes memory
   * may write over the instruction itself, and a device may while it is read.
   */
  readonly rd: Local;
  readonly length: Local;
  /** i32: the slot whose instruction must run here even if a region begins there; SKIP_NEXT: the next one fetched. */
  readonly skip: Local;
  readonly labels: Readonly<
    Record<
      "next" | "jump" | "reload" | "illegal" | "execute" | "csr" | "loadSlow" | "storeSlow" | "hot" | "region",
      Label
    >
  >;
  /** How often control comes to a place until it is translated. */
  readonly threshold: Global;
  /** How regions are entered: `ENTER_…` of the layout. */
  readonly entering: Global;
  readonly mmu: Mmu;
  readonly status: StatusCode;
  /** (base): empties the windows. */
  readonly forget: Callee;
  /** Accrued exception flags of the soft-float functions. */
  readonly flags: Global;
}

export const slotField = (m: OperandLocals, offset: number) => i32.load16_u(m.slot, offset);
export const register = (m: OperandLocals, field: number) => i32.add(m.base, slotField(m, field));
export const readOperand = (m: OperandLocals, field: number) => i64.load(register(m, field));
const immediate = (m: OperandLocals) => i64.load32_s(m.slot, at.SLOT_IMM);
export const currentPc = (m: Machine): Expr =>
  i64.add(m.anchor, i64.extend_i32_u(i32.shr_u(m.slot, i32.const(at.SLOT_SHIFT))));

/** Writes rd. The address is taken before the value, as the emitter does: values may not change it. */
export const writeRd = (m: OperandLocals, value: Expr): Statement => store.i64(register(m, at.SLOT_RD), value);

/** Before a slow path. */
export const keepOperands = (m: Machine): Statements => [
  set(m.rd, register(m, at.SLOT_RD)),
  set(m.length, i32.load8_u(m.slot, at.SLOT_LENGTH)),
];

/** Goes on at the current slot, to which control has just come from elsewhere. */
export function arrive(m: Machine): Statements {
  return [...count(m, [branch(m.labels.hot)]), branch(m.labels.next)];
}

export function count(m: Machine, hot: Statements): Statements {
  return [
    set(m.address, i32.add(slotField(m, at.SLOT_COUNT), i32.const(1))),
    store.i32_16(m.slot, m.address, at.SLOT_COUNT),
    when(i32.eq(m.address, readGlobal(m.threshold)), hot),
  ];
}

/** Gives the budget back for what was no instruction. */
export const refund = (m: Machine): Statements => [set(m.budget, i32.add(m.budget, i32.const(1)))];

/** On to the instruction behind this one. */
export function advance(m: Machine, length: number): Statements {
  return [set(m.slot, i32.add(m.slot, i32.const((length / 2) * at.SLOT_BYTES))), branch(m.labels.next)];
}

const OPERAND_FIELDS: Readonly<Record<string, number>> = {
  rs1: at.SLOT_RS1,
  fs1: at.SLOT_RS1,
  rs2: at.SLOT_RS2,
  fs2: at.SLOT_RS2,
  fs3: at.SLOT_RS3,
};

/** Gives an expression its operands: those used more than once are read into scratch locals first. */
export function bind(
  m: OperandLocals,
  e: Expr,
  others: Readonly<Record<string, Expr>> = {},
): { code: Statement[]; value: Expr } {
  const code: Statement[] = [];
  const scratch = [m.first, m.second, m.third];
  const meanings = new Map<string, Expr>();
  for (const [name, count] of countOperands(e)) {
    const field = OPERAND_FIELDS[name];
    const meaning = others[name] ??
      (field !== undefined ? readOperand(m, field) : name === "imm" ? immediate(m) : undefined);
    if (meaning === undefined) throw new Error(`operand "${name}" has no meaning in the interpreter`);
    const local = count > 1 && field !== undefined ? scratch.pop() : undefined;
    if (local) code.push(set(local, meaning));
    meanings.set(name, local ?? meaning);
  }
  return { code, value: replaceOperands(e, (name) => meanings.get(name) ?? e) };
}

/** Tag compare of a TLB entry: the entry is that of the first byte, the page that of the last. */
function tlbHit(m: Machine, table: number, bytes: number): { hit: Expr; address: Expr } {
  const entry = i32.add(m.tlb, tlbOffset(m.target));
  const last = bytes === 1 ? m.target : i64.add(m.target, i64.const(bytes - 1));
  return {
    hit: i64.eq(
      i64.load({ kind: "tee", type: "i32", local: m.address, value: entry }, table),
      i64.and(last, i64.const(-at.PAGE_BYTES)),
    ),
    address: i32.add(i32.wrap_i64(m.target), i32.load(m.address, table + 8)),
  };
}

export const requireFloat = (m: Machine): Statement => branchIf(m.labels.illegal, i32.eqz(i32.load(m.base, at.FS)));
/** mstatus.FS becomes Dirty with every write of a float register or flag (privileged specification, 3.1.6.6). */
export const dirtyFloat = (m: OperandLocals): Statement => store.i32(m.base, i32.const(3), at.FS);

function loadHandler(m: Machine, { length }: Form, s: Extract<Semantics, { shape: "load" }>): Statements {
  const size = Math.log2(s.bytes);
  const isFloat = s.file === "f";
  const kind = size | (s.signed ? at.KIND_SIGNED : 0) | (isFloat ? at.KIND_FLOAT : 0);
  const { hit, address } = tlbHit(m, at.READ_TABLE, s.bytes);
  const loads = s.signed && !isFloat
    ? [i64.load8_s, i64.load16_s, i64.load32_s, i64.load]
    : [i64.load8_u, i64.load16_u, i64.load32_u, i64.load];
  const load = (loads[size] ?? i64.load)(address);
  return [
    ...(isFloat ? [requireFloat(m)] : []),
    set(m.target, i64.add(readOperand(m, at.SLOT_RS1), immediate(m))),
    when(i32.eqz(hit), [set(m.kind, i32.const(kind)), branch(m.labels.loadSlow)]),
    writeRd(m, isFloat && size === 2 ? i64.or(load, i64.const(-1n << 32n)) : load),
    ...(isFloat ? [dirtyFloat(m)] : []),
    ...advance(m, length),
  ];
}

function storeHandler(m: Machine, { length }: Form, s: Extract<Semantics, { shape: "store" }>): Statements {
  const { hit, address } = tlbHit(m, at.WRITE_TABLE, s.bytes);
  const stores = { 1: store.i64_8, 2: store.i64_16, 4: store.i64_32, 8: store.i64 };
  return [
    ...(s.file === "f" ? [requireFloat(m)] : []),
    set(m.target, i64.add(readOperand(m, at.SLOT_RS1), immediate(m))),
    when(i32.eqz(hit), [set(m.kind, i32.const(s.bytes)), branch(m.labels.storeSlow)]),
    stores[s.bytes](address, readOperand(m, at.SLOT_RS2)),
    ...advance(m, length),
  ];
}

/** Keeps what TypeScript may look at up to date around a call. */
export function saved(m: Machine, calls: Statements): Statements {
  return [
    store.i64(m.base, currentPc(m), at.PC),
    store.i32(m.base, m.budget, at.BUDGET),
    ...calls,
    set(m.budget, i32.load(m.base, at.BUDGET)),
  ];
}

/** Leaves in `address` where an atomic access at x[rs1] goes, in `rd` and `second` its operands, or reloads after an exception. */
function locateAtomic(m: Machine, bytes: 4 | 8, access: typeof READ | typeof WRITE): Statements {
  const { hit, address } = tlbHit(m, access === READ ? at.READ_TABLE : at.WRITE_TABLE, 1);
  const misaligned = i64.ne(i64.and(m.target, i64.const(bytes - 1)), i64.const(0));
  return [
    ...keepOperands(m),
    set(m.second, readOperand(m, at.SLOT_RS2)),
    set(m.target, readOperand(m, at.SLOT_RS1)),
    when(i32.or(misaligned, i32.eqz(hit)), [
      ...saved(m, [
        set(m.address, call(m.mmu.locateAtomic, m.base, m.target, i32.const(bytes), i32.const(access))),
      ]),
      branchIf(m.labels.reload, i32.eq(m.address, i32.const(NO_ADDRESS))),
    ], [set(m.address, address)]),
  ];
}

function atomicHandler(m: Machine, form: Form, s: Semantics): Statements {
  const storeAt = (bytes: 4 | 8, value: Expr) =>
    bytes === 8 ? store.i64(m.address, value) : store.i64_32(m.address, value);
  const loadAt = (bytes: 4 | 8) => bytes === 8 ? i64.load(m.address) : i64.load32_s(m.address);
  switch (s.shape) {
    case "atomic": {
      const { code, value } = bind(m, s.next, { old: m.first, rs2: m.second });
      return [
        ...locateAtomic(m, s.bytes, WRITE),
        set(m.first, loadAt(s.bytes)),
        ...code,
        storeAt(s.bytes, value),
        store.i64(m.rd, m.first),
        ...advance(m, form.length),
      ];
    }
    case "loadReserved":
      return [
        ...locateAtomic(m, s.bytes, READ),
        set(m.first, loadAt(s.bytes)),
        store.i64(m.base, i64.extend_i32_u(m.address), at.RESERVATION),
        store.i64(m.base, m.first, at.RESERVED_VALUE),
        store.i64(m.rd, m.first),
        ...advance(m, form.length),
      ];
    case "storeConditional":
      // Succeeds if the memory still holds what load-reserved saw, as QEMU does: no store has to look for reservations.
      return [
        ...locateAtomic(m, s.bytes, WRITE),
        set(
          m.rm,
          choose(
            i64.eq(i64.load(m.base, at.RESERVATION), i64.extend_i32_u(m.address)),
            s.bytes === 8
              ? i64.eq(i64.load(m.base, at.RESERVED_VALUE), i64.load(m.address))
              : i32.eq(i32.load(m.base, at.RESERVED_VALUE), i32.load(m.address)),
            i32.const(0),
          ),
        ),
        when(m.rm, [storeAt(s.bytes, m.second)]),
        store.i64(m.base, i64.const(-1), at.RESERVATION),
        store.i64(m.rd, i64.extend_i32_u(i32.eqz(m.rm))),
        ...advance(m, form.length),
      ];
    default:
      throw new Error(`"${s.shape}" is not atomic`);
  }
}

const BLOCK_ACTIONS = {
  inval: at.BLOCK_INVALIDATE,
  clean: at.BLOCK_MANAGE,
  flush: at.BLOCK_MANAGE,
  zero: at.BLOCK_ZERO,
} as const;

function cacheBlockHandler(
  m: Machine,
  { length }: Form,
  { action }: Extract<Semantics, { shape: "cacheBlock" }>,
): Statements {
  const isZero = action === "zero";
  const { hit, address } = tlbHit(m, isZero ? at.WRITE_TABLE : at.READ_TABLE, 1);
  const doublewords = Array.from({ length: at.BLOCK_BYTES / 8 }, (_, i) => 8 * i);
  return [
    branchIf(m.labels.illegal, i32.eqz(i32.and(i32.load(m.base, at.BLOCK_ACTIONS), i32.const(BLOCK_ACTIONS[action])))),
    set(m.target, i64.and(readOperand(m, at.SLOT_RS1), i64.const(-at.BLOCK_BYTES))),
    when(
      i32.eqz(hit),
      isZero ? [set(m.kind, i32.const(at.BLOCK_BYTES)), branch(m.labels.storeSlow)] : [
        ...saved(m, [set(m.address, call(m.mmu.touchBlock, m.base, m.target))]),
        branchIf(m.labels.reload, i32.eq(m.address, i32.const(at.RELOAD))),
      ],
      isZero
        ? [set(m.address, address), ...doublewords.map((offset) => store.i64(m.address, i64.const(0), offset))]
        : [],
    ),
    ...advance(m, length),
  ];
}

/** Collects what `csrOperation` needs, or leaves the instruction to TypeScript. */
function csrHandler(m: Machine, { op, immediate }: Extract<Semantics, { shape: "csr" }>): Statements {
  return [
    set(m.address, slotField(m, at.SLOT_CSR_FIELD)),
    branchIf(m.labels.execute, i32.eqz(m.address)),
    set(m.first, immediate ? i64.extend_i32_u(slotField(m, at.SLOT_RS1)) : readOperand(m, at.SLOT_RS1)),
    set(m.kind, i32.const(CSR_OPERATIONS[op])),
    branch(m.labels.csr),
  ];
}

/** The statements of one form. Each path ends with a branch to one of the labels. */
export function handler(m: Machine, form: Form): Statements {
  const { semantics: s } = form.instruction;
  const { length, near } = form;
  const distance = set(m.slot, i32.add(m.slot, i32.load(m.slot, at.SLOT_IMM)));
  const link = i64.add(currentPc(m), i64.const(length));
  switch (s.shape) {
    case "compute": {
      const { code, value } = bind(m, s.result, { pc: currentPc(m) });
      return [...code, writeRd(m, value), ...advance(m, length)];
    }
    case "load":
      return loadHandler(m, form, s);
    case "store":
      return storeHandler(m, form, s);
    case "branch": {
      const { code, value } = bind(m, s.taken);
      const there: Statements = near
        ? [distance, ...arrive(m)]
        : [set(m.target, i64.add(currentPc(m), immediate(m))), branch(m.labels.jump)];
      return [...code, when(value, there), ...advance(m, length)];
    }
    case "jump": {
      if (near) return [writeRd(m, link), distance, ...arrive(m)];
      const { code, value } = bind(m, s.target, { pc: currentPc(m) });
      const byRegister = hasStaticTarget(form.instruction) ? [] : [store.i32(m.base, m.slot, at.LAST_JUMP)];
      return [...code, set(m.target, value), writeRd(m, link), ...byRegister, branch(m.labels.jump)];
    }
    case "atomic":
    case "loadReserved":
    case "storeConditional":
      return atomicHandler(m, form, s);
    case "float":
      throw new Error(`"${form.instruction.name}" is the floating-point unit's`);
    case "cacheBlock":
      return cacheBlockHandler(m, form, s);
    case "csr":
      return csrHandler(m, s);
    case "system":
      // Other harts and devices see every store at once, and decoded code follows them: fences have nothing to do.
      if (s.action === "fence" || s.action === "fence.i") return advance(m, length);
      return [branch(m.labels.execute)];
  }
}
