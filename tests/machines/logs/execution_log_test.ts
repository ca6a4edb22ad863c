/** Logs of real programs: what `-d` writes agrees with what the program is and does. */
import { assert, assertEquals } from "@std/assert";
import { symbolsOf } from "../../../machines/loader/boot_symbols.ts";
import { Symbols } from "../../../machines/loader/symbols.ts";
import { executionLog } from "../../../machines/logs/execution_log.ts";
import type { Assembler } from "../../../machines/riscv/assemble.ts";
import { assembler } from "../../../machines/riscv/assemble.ts";
import { csr } from "../../../machines/riscv/csr_names.ts";
import { x } from "../../../machines/riscv/registers.ts";
import { createVirt } from "../../../machines/virt/machine.ts";
import type { VirtOptions } from "../../../machines/virt/options.ts";
import { writeElf } from "../loader/elf_file.ts";
import { finish, POWER_OFF, RAM } from "../virt/program.ts";

/** An ELF kernel whose symbols are its labels. */
function kernel(write: (asm: Assembler) => void): { name: string; bytes: Uint8Array } {
  const asm = assembler();
  write(asm);
  const { bytes, symbols } = asm.finish({ base: RAM });
  const named = [...symbols].map(([name, address]) => ({ name, address: Number(address) }));
  return { name: "k", bytes: writeElf(bytes, RAM, named) };
}

/** A function of a few instructions, called often; an ecall; the end. */
const calls = kernel((asm) => {
  asm.label("start");
  asm.la(x.t0, "handler");
  asm.csrrw(x.zero, csr.mtvec, x.t0);
  asm.li(x.s0, 2000n);
  asm.label("loop");
  asm.jal(x.ra, "work");
  asm.addi(x.s0, x.s0, -1);
  asm.bnez(x.s0, "loop");
  asm.label("ask");
  asm.ecall();
  asm.label("work");
  asm.xori(x.a0, x.a0, 85);
  asm.jalr(x.zero, 0, x.ra);
  asm.label("handler");
  finish(asm, POWER_OFF);
});

/** Runs a kernel to its end; what the items write, and the instructions retired. */
async function logOf(items: string, image: { name: string; bytes: Uint8Array }, options: VirtOptions = {}) {
  const records: string[] = [];
  const symbols = new Symbols(symbolsOf({ kernel: image }));
  const watch = executionLog(new Set(items.split(",")), symbols, (text) => records.push(text));
  assert(watch !== undefined);
  const machine = createVirt({ ramBytes: 8 << 20, kernel: image, ...options, watch });
  try {
    await machine.run();
    return { records, retired: machine.harts[0]?.instret ?? 0 };
  } finally {
    machine.dispose();
  }
}

const EAGER: VirtOptions = { accelerator: "jit", translation: { threshold: 1 } };

Deno.test("in_asm lists what is decoded, under the symbol that it belongs to", async () => {
  const { records } = await logOf("in_asm", calls);
  const work = records.filter((text) => text.includes("IN: work\n"));
  assertEquals(work.length, 1);
  const lines = work[0]?.split("\n").slice(2) ?? [];
  assertEquals(lines.map((line) => line.replace(/^0x\w+: +\w+ +/, "")), [
    "Priv: 3",
    "xori a0,a0,85",
    "jalr zero,0(ra)",
  ]);
});

Deno.test("every instruction that runs was listed before", async () => {
  const { records } = await logOf("in_asm", calls);
  const listed = new Set(
    records.flatMap((text) => [...text.matchAll(/0x0*(8[0-9a-f]{7}):/g)].map((found) => found[1])),
  );
  for (let offset = 0; offset < 44; offset += 4) assert(listed.has((RAM + offset).toString(16)), `${offset}`);
});

Deno.test("int tells trap, place and value, by name", async () => {
  const { records } = await logOf("int", calls);
  assertEquals(records.length, 1);
  assert(
    /^trap: hart:0, async:0, cause:0x0*b, epc:0x0*8000\w+, tval:0x0*, desc=machine_ecall, from=M, in=ask$/
      .test(records[0] ?? ""),
    records[0],
  );
});

for (const [tier, options] of [["interpreted", {}], ["translated", EAGER]] as const) {
  Deno.test(`exec accounts for every instruction of the program, ${tier}`, async () => {
    const { records, retired } = await logOf("exec", calls, options);
    const counts = records.map((line) => Number(/^Trace 0: (?:interpreted|region) (\d+) from /.exec(line)?.[1]));
    assertEquals(counts.reduce((sum, count) => sum + count, 0), retired);
    assertEquals(records.some((line) => / region \d+ from loop at /.test(line)), tier === "translated");
  });
}

Deno.test("op and out_asm show each region, the guest code that it is made of, and its size", async () => {
  const { records } = await logOf("in_asm,op,out_asm", calls, EAGER);
  const region = records.find((text) => text.includes("REGION: start at ") && text.includes("xori a0,a0,85"));
  assert(region !== undefined);
  const [, size] = /^OP: region\d+\(i32, i32, i32, i64\) -> i64, \d+ locals, (\d+) bytes$/m.exec(region) ?? [];
  const out = region.slice(region.indexOf("\nOUT: ")).trimEnd().split("\n");
  const [, last] = /^([0-9a-f]{5}): 0b +end$/.exec(out.at(-1) ?? "") ?? [];
  assertEquals(Number.parseInt(last ?? "", 16) + 1, Number(size));
  assert(/ i64\.const 85$/m.test(region) && / i64\.xor$/m.test(region), region);
});

const ROOT = RAM + (1 << 20), MAPPED = 0x40_0000_0000 - 0x4000_0000;

/** Maps the gigabyte of RAM to itself and once more at MAPPED, reads there in supervisor mode, then where nothing is. */
const paging = kernel((asm) => {
  const gigabyte = (address: number) => ROOT + 8 * ((address / 2 ** 30) % 512);
  asm.la(x.t0, "handler");
  asm.csrrw(x.zero, csr.mtvec, x.t0);
  asm.li(x.t0, -1n);
  asm.csrrw(x.zero, 0x3b0, x.t0);
  asm.li(x.t0, 31n);
  asm.csrrw(x.zero, 0x3a0, x.t0);
  asm.li(x.t1, (BigInt(RAM) >> 12n << 10n) | 0xcfn);
  for (const address of [RAM, MAPPED]) {
    asm.li(x.t0, BigInt(gigabyte(address)));
    asm.sd(x.t1, 0, x.t0);
  }
  asm.li(x.t0, (8n << 60n) | BigInt(ROOT / 4096));
  asm.csrrw(x.zero, csr.satp, x.t0);
  asm.la(x.t0, "supervisor");
  asm.csrrw(x.zero, csr.mepc, x.t0);
  asm.li(x.t0, 0x1800n);
  asm.csrrc(x.zero, csr.mstatus, x.t0);
  asm.li(x.t0, 0x800n);
  asm.csrrs(x.zero, csr.mstatus, x.t0);
  asm.mret();
  asm.label("supervisor");
  asm.li(x.t0, BigInt(MAPPED + 0x123000));
  asm.ld(x.t1, 8, x.t0);
  asm.sfence_vma(x.t0, x.zero);
  asm.li(x.t0, 0x1234_5678n);
  asm.sd(x.t1, 0, x.t0);
  asm.label("handler");
  finish(asm, POWER_OFF);
});

Deno.test("mmu tells walks and what they find, faults, and what is dropped", async () => {
  const { records } = await logOf("mmu,int", paging);
  const text = records.join("\n");
  const virtual = (MAPPED + 0x123008).toString(16).padStart(16, "0");
  const physical = (RAM + 0x123008).toString(16).padStart(16, "0");
  assert(text.includes(`walk: hart:0, load in S: 0x${virtual} -> 0x${physical}`), text);
  assert(text.includes("walk: hart:0, store in S: 0x0000000012345678 -> page fault"), text);
  assert(/^TLB: hart:0, dropped: (all below machine mode|0x3fc0123000)$/m.test(text), text);
  assert(text.includes("desc=store_page_fault, from=S, in=supervisor+"), text);
});

Deno.test("a program computes the same whether it is watched or not", async () => {
  const { retired } = await logOf("in_asm,op,out_asm,exec,int,mmu", paging, EAGER);
  const machine = createVirt({ ramBytes: 8 << 20, kernel: paging });
  await machine.run();
  // The hart goes on behind the store that powers off until it is told to stop: nothing else may differ.
  assert(Math.abs((machine.harts[0]?.instret ?? 0) - retired) <= 1);
  machine.dispose();
});

Deno.test("without an item for harts nothing is watched", () => {
  assertEquals(executionLog(new Set(["unimp", "jit"]), new Symbols([]), () => {}), undefined);
});
