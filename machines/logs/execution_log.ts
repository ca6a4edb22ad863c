/**
 * What `-d` writes about the harts: the guest's code as it is decoded and translated, where control goes, traps, and
 * translations of addresses. Made of what a watched machine tells.
 */
import type { Symbols } from "../loader/symbols.ts";
import type { DecodedPages } from "../riscv/decoded_pages.ts";
import { M_MODE, type Mode, S_MODE } from "../riscv/hart_state.ts";
import * as at from "../riscv/layout.ts";
import { EXECUTE, FOUND, PAGE_FAULT, WRITE } from "../riscv/page_walk.ts";
import type { ExecutionWatch, Flow, Trap, Walk, WatchedHart } from "../riscv/watch.ts";
import { readModule } from "../wasm/read.ts";
import { functionText } from "../wasm/text.ts";
import { hex, type Instruction, listing, physicalPage, placeText, runFrom, virtualPage } from "./guest_code.ts";

/** Items of `-d` that need a machine that is built to be watched, and what each writes. */
export const EXECUTION_ITEMS = {
  in_asm: "guest code when it is first decoded, and of what regions are made",
  op: "the WebAssembly that a region becomes, as text",
  out_asm: "the same with offsets and bytes",
  exec: "regions that are entered, and what is interpreted between them",
  int: "traps and interrupts",
  mmu: "page walks, page faults, and what is dropped from the TLB",
} as const;
export type ExecutionItem = keyof typeof EXECUTION_ITEMS;

/** Gives what to build the machine with. `write` takes one or more whole lines, without the last newline. */
export function executionLog(
  items: ReadonlySet<string>,
  symbols: Symbols,
  write: (text: string) => void,
): ExecutionWatch | undefined {
  const wants = (item: ExecutionItem) => items.has(item);
  if (!Object.keys(EXECUTION_ITEMS).some((item) => items.has(item))) return undefined;
  return {
    ...(wants("in_asm") && {
      decoding: (hart, pages, slot) => logCode(hart, runFrom(hart, pages, slot), symbols, write),
      decodedSingle: (hart, word) => logCode(hart, [{ address: hart.state.get(at.PC), word }], symbols, write),
    }),
    ...((wants("in_asm") || wants("op") || wants("out_asm")) && {
      translated: (regions, { module, code }, pages, harts) => {
        const parts = wants("op") || wants("out_asm") ? readModule(module) : undefined;
        for (const [i, { page, head }] of regions.entries()) {
          const base = pageAddress(page, pages, harts);
          const listed = (code[i] ?? []).map(({ place, word }) => ({ address: base + BigInt(place), word }));
          write([
            RULE,
            `REGION: ${placeText(symbols, base + BigInt(head))}, ${listed.length} instructions`,
            ...(wants("in_asm") ? listing(listed) : []),
            ...(parts && wants("op") ? functionText(parts, `region${i}`, "OP") : []),
            ...(parts && wants("out_asm") ? functionText(parts, `region${i}`, "OUT", { bytes: true }) : []),
          ].join("\n"));
        }
        if (parts) write(`module of ${regions.length} regions: ${module.length} bytes`);
      },
    }),
    ...(wants("exec") && { flow: logFlow(symbols, write) }),
    ...(wants("int") && { trapped: (hart, trap) => write(trapText(hart, trap, symbols)) }),
    ...(wants("mmu") && {
      walked: (hart, walk) => logWalk(hart, walk, write),
      flushed: (hart, what) => write(`TLB: hart:${hart.id}, dropped: ${what}`),
    }),
  };
}

const RULE = "----------------";

function logCode(
  hart: WatchedHart,
  code: readonly Instruction[],
  symbols: Symbols,
  write: (text: string) => void,
): void {
  const [first] = code;
  if (first === undefined) return;
  const mode = `Priv: ${hart.mode}`;
  write([RULE, `IN: ${symbols.text(first.address)}`.trimEnd(), mode, ...listing(code)].join("\n"));
}

/** The virtual address by which any hart fetches from a decoded page now, else the physical one. */
function pageAddress(page: number, pages: DecodedPages, harts: readonly WatchedHart[]): bigint {
  const [hart] = harts;
  const virtual = harts.map((one) => virtualPage(one, page)).find((address) => address !== undefined);
  return virtual ?? (hart === undefined ? 0n : physicalPage(hart, pages.source(page)));
}

function logFlow(symbols: Symbols, write: (text: string) => void): Flow {
  /** Where the interpreter went on, by hart. */
  const since = new Map<WatchedHart, { pc: bigint; instret: number }>();
  const interpret = (hart: WatchedHart) => since.set(hart, { pc: hart.state.get(at.PC), instret: hart.instret });
  const interpreted = (hart: WatchedHart) => {
    const start = since.get(hart);
    const count = hart.instret - (start?.instret ?? 0);
    if (start !== undefined && count > 0) {
      write(`Trace ${hart.id}: interpreted ${count} from ${placeText(symbols, start.pc)}`);
    }
  };
  return {
    began: interpret,
    entered(hart) {
      interpreted(hart);
      interpret(hart);
    },
    left(hart) {
      const start = since.get(hart);
      const count = hart.instret - (start?.instret ?? 0);
      const to = placeText(symbols, hart.state.get(at.PC));
      write(`Trace ${hart.id}: region ${count} from ${placeText(symbols, start?.pc ?? 0n)} to ${to}`);
      interpret(hart);
    },
    ended: interpreted,
  };
}

/** Names of causes (privileged specification, table "mcause values"). */
const EXCEPTIONS: Readonly<Record<number, string>> = {
  [at.CAUSE.instructionMisaligned]: "misaligned_fetch",
  [at.CAUSE.instructionAccess]: "fault_fetch",
  [at.CAUSE.illegal]: "illegal_instruction",
  [at.CAUSE.breakpoint]: "breakpoint",
  [at.CAUSE.loadMisaligned]: "misaligned_load",
  [at.CAUSE.loadAccess]: "fault_load",
  [at.CAUSE.storeMisaligned]: "misaligned_store",
  [at.CAUSE.storeAccess]: "fault_store",
  [at.CAUSE.ecallUser]: "user_ecall",
  [at.CAUSE.ecallUser + S_MODE]: "supervisor_ecall",
  [at.CAUSE.ecallUser + M_MODE]: "machine_ecall",
  [at.CAUSE.instructionPage]: "exec_page_fault",
  [at.CAUSE.loadPage]: "load_page_fault",
  [at.CAUSE.storePage]: "store_page_fault",
};
const INTERRUPTS: Readonly<Record<number, string>> = {
  1: "s_software",
  3: "m_software",
  5: "s_timer",
  7: "m_timer",
  9: "s_external",
  11: "m_external",
};
const MODES: Readonly<Record<Mode, string>> = { 0: "U", 1: "S", 3: "M" };

function trapText(hart: WatchedHart, { cause, isInterrupt, pc, value, from }: Trap, symbols: Symbols): string {
  const name = (isInterrupt ? INTERRUPTS : EXCEPTIONS)[cause] ?? "unknown";
  const where = symbols.text(pc);
  const fields = [
    `hart:${hart.id}`,
    `async:${isInterrupt ? 1 : 0}`,
    `cause:${hex(cause)}`,
    `epc:${hex(pc)}`,
    `tval:${hex(value)}`,
    `desc=${name}`,
    `from=${MODES[from]}`,
    ...(where === "" ? [] : [`in=${where}`]),
  ];
  return `trap: ${fields.join(", ")}`;
}

const CONTEXTS = ["U", "S", "S with SUM", "M"];

/** Walks of untranslated addresses are not told unless they fail. */
function logWalk({ id, state }: WatchedHart, { access, context, answer }: Walk, write: (text: string) => void): void {
  const isBare = context === at.MACHINE || state.get32(at.LEVELS) === 0;
  if (isBare && answer === FOUND) return;
  const kind = access === EXECUTE ? "fetch" : access === WRITE ? "store" : "load";
  const fault = answer === PAGE_FAULT ? "page fault" : "access fault";
  const result = answer === FOUND ? hex(state.get(at.PHYSICAL)) : fault;
  write(`walk: hart:${id}, ${kind} in ${CONTEXTS[context] ?? context}: ${hex(state.get(at.TVAL))} -> ${result}`);
}
