/** Dirty logs of what a guest stores: by plain stores, atomics and page table updates, of one hart and of several. */
import { assert, assertEquals } from "@std/assert";
import { DIRTY_PAGE, DirtyClient } from "../../../ecs/dirty_bitmap.ts";
import { createGuestMemory } from "../../../ecs/ram_block.ts";
import type { Region } from "../../../ecs/region.ts";
import { createWorld } from "../../../ecs/world.ts";
import { type Assembler, assembler } from "../../../machines/riscv/assemble.ts";
import { executionBytes } from "../../../machines/riscv/execution.ts";
import { createHart } from "../../../machines/riscv/create_hart.ts";
import type { Hart } from "../../../machines/riscv/hart.ts";
import { x } from "../../../machines/riscv/registers.ts";
import { getDirty, resetDirty, setLog, snapshotAndClear, snapshotGetDirty } from "../../../systems/dirty_log.ts";
import { startDirtyTracking, stopDirtyTracking } from "../../../systems/dirty_tracking.ts";
import { createAddressSpace } from "../../../systems/address_spaces.ts";
import { createContainer, createOwner, createRam, ramOf } from "../../../systems/create_region.ts";
import { addSubregion } from "../../../systems/topology.ts";
import { current, translationIn } from "./tiers.ts";

const { MIGRATION, VGA } = DirtyClient;
const { t0, t1, t2, a0, a1, a2, a3, s0 } = x;
const RAM = 0x8000_0000, PAGES = 64, PAGE = DIRTY_PAGE;
/** A page that tests do not look at. */
const SPARE = 5;
const DATA = RAM + 16 * PAGE;

function machine(harts = 1) {
  const world = createWorld();
  const owner = createOwner(world, { name: "machine" });
  const memory = createGuestMemory(4 * PAGES * PAGE + executionBytes(harts, 0x400_0000));
  const system = createContainer(world, { name: "system", size: 2n ** 64n, owner });
  const ram = createRam(world, { name: "ram", size: PAGES * PAGE, owner, memory });
  addSubregion(world, system, RAM, ram);
  const space = createAddressSpace(world, { name: "harts", root: system, owner });
  const all: Hart[] = [];
  for (let id = 0; id < harts; id++) all.push(createHart({ world, owner, memory, space, id, time: () => 0n }));
  all[0]?.translate(translationIn(current.tier));
  const load = (program: (asm: Assembler) => void, hart: Hart) => {
    const asm = assembler();
    program(asm);
    asm.label("end");
    asm.wfi();
    asm.j("end");
    const { bytes } = asm.finish({ base: RAM });
    ramOf(world, ram).bytes.set(bytes);
    hart.reset({ pc: BigInt(RAM) });
  };
  const finish = (hart: Hart) => {
    hart.run(1_000);
    assert(hart.waiting, "the program ends");
  };
  /** Runs a program from its start until it waits. */
  const run = (program: (asm: Assembler) => void, hart: Hart | undefined = all[0]) => {
    assert(hart);
    load(program, hart);
    finish(hart);
  };
  /** Pages stored to since the last call. */
  const take = (client: DirtyClient = MIGRATION, region: Region = ram) => {
    const snapshot = snapshotAndClear(world, region, 0, PAGES * PAGE, client);
    return pagesWhere((at) => snapshotGetDirty(snapshot, at * PAGE, PAGE));
  };
  const loaded = new Set<Hart>();
  /** Has a hart store to four pages at most, without a reset in between: its TLB stays as it is. */
  const touch = (pages: readonly number[], hart: Hart | undefined = all[0]) => {
    assert(hart);
    if (!loaded.has(hart)) load(storeToFour, hart);
    loaded.add(hart);
    hart.pc = BigInt(RAM);
    [0, 1, 2, 3].forEach((at) => hart.writeRegister(a0 + at, BigInt(RAM + (pages[at] ?? pages[0] ?? SPARE) * PAGE)));
    hart.waiting = false;
    finish(hart);
  };
  const dispose = () => {
    for (const hart of all) hart.dispose();
  };
  return { world, owner, space, ram, harts: all, run, touch, take, dispose };
}

function pagesWhere(holds: (page: number) => boolean): number[] {
  return Array.from({ length: PAGES }, (_, at) => at).filter(holds);
}

/** Stores to where a0 to a3 point, after it has been read, and again. */
function storeToFour(asm: Assembler) {
  for (const address of [a0, a1, a2, a3]) {
    asm.ld(t0, 64, address);
    asm.sd(t0, 64, address);
    asm.sw(t0, 128, address);
  }
}

Deno.test("while memory is tracked, the log has the pages that the guest stored to, in every round", () => {
  const m = machine();
  // What the write TLB holds from before does not hide stores.
  m.touch([20, 21, 22]);
  startDirtyTracking(m.world, "migration");
  assertEquals(m.take().length, PAGES);
  for (const pages of [[20, 22], [20, 22], [21, 30, 31, 63], [20]]) {
    m.touch(pages);
    m.touch(pages);
    assertEquals(m.take(), pages);
    assertEquals(m.take(), []);
  }
  stopDirtyTracking(m.world, "migration");
  m.touch([40]);
  assertEquals(m.take(), []);
  m.dispose();
});

Deno.test("clearing the bits of a few pages makes the next stores to them news, and to no other", () => {
  const m = machine();
  setLog(m.world, m.ram, VGA, true);
  m.take(VGA);
  m.touch([20, 21, 22]);
  assertEquals(resetDirty(m.world, m.ram, 20 * PAGE, PAGE + 1, VGA), true);
  assertEquals(resetDirty(m.world, m.ram, 20 * PAGE, PAGE + 1, VGA), false);
  m.touch([22]);
  assertEquals(getDirty(m.world, m.ram, 20 * PAGE, 2 * PAGE, VGA), false);
  m.touch([20]);
  assertEquals(m.take(VGA), [20, 22]);
  m.dispose();
});

Deno.test("bits that were cleared while nobody logged are asked about once somebody does", () => {
  const m = machine();
  m.touch([20]);
  m.take(VGA);
  m.touch([20]);
  assertEquals(m.take(VGA), []);
  m.touch([20]);
  setLog(m.world, m.ram, VGA, true);
  m.touch([20]);
  assertEquals(m.take(VGA), [20]);
  m.dispose();
});

Deno.test("stores across a border, atomics, conditional stores and stores to code are logged", () => {
  const m = machine();
  startDirtyTracking(m.world, "migration");
  m.take();
  m.run((asm) => {
    asm.li(s0, BigInt(RAM + 21 * PAGE - 4));
    asm.sd(a0, 0, s0);
    asm.li(s0, BigInt(RAM + 30 * PAGE));
    asm.amoadd_w(t0, a0, s0);
    asm.li(s0, BigInt(RAM + 40 * PAGE));
    asm.lr_d(t0, s0);
    asm.sc_d(t1, a0, s0);
    asm.li(s0, BigInt(RAM + 50 * PAGE));
    asm.fence_i();
    asm.lr_w(t0, s0);
  });
  assertEquals(m.take(), [20, 21, 30, 40]);
  // The page of the program itself, which is decoded and in no write TLB.
  const storeToCode = (asm: Assembler) => {
    asm.li(s0, BigInt(RAM + 2048));
    asm.sd(a0, 0, s0);
  };
  m.run(storeToCode);
  assertEquals(m.take(), [0]);
  m.run(storeToCode);
  assertEquals(m.take(), [0]);
  m.dispose();
});

Deno.test("accessed and dirty bits that the page walk sets are stores too", () => {
  const m = machine();
  startDirtyTracking(m.world, "migration");
  const bytes = ramOf(m.world, m.ram).bytes;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const ROOT = 60;
  // One gigapage that maps RAM to itself: valid, readable, writable, executable, neither accessed nor dirty.
  view.setBigUint64(ROOT * PAGE + 2 * 8, BigInt(RAM >>> 12) << 10n | 0b1111n, true);
  m.take();
  m.run((asm) => {
    asm.li(t0, 8n << 60n | BigInt((RAM + ROOT * PAGE) >>> 12));
    asm.csrrw(0, 0x180, t0);
    asm.li(t0, 0x1fn);
    asm.csrrw(0, 0x3a0, t0);
    asm.li(t0, -1n);
    asm.csrrw(0, 0x3b0, t0);
    // Loads and stores are the supervisor's: MPRV, and MPP 1.
    asm.li(t0, 1n << 17n | 1n << 11n);
    asm.csrrs(0, 0x300, t0);
    asm.li(s0, BigInt(DATA));
    asm.ld(t2, 0, s0);
    asm.li(t0, 1n << 17n);
    asm.csrrc(0, 0x300, t0);
  });
  assertEquals(m.take(), [ROOT]);
  m.dispose();
});

Deno.test("with two harts, each one's stores are logged after every clearing", () => {
  const m = machine(2);
  startDirtyTracking(m.world, "migration");
  for (const hart of m.harts) m.touch([20, 21, 22], hart);
  for (let round = 0; round < 3; round++) {
    m.take();
    m.touch([20, 21], m.harts[0]);
    m.touch([21, 22], m.harts[1]);
    assertEquals(m.take(), [20, 21, 22]);
    m.touch([21, 22], m.harts[1]);
    assertEquals(m.take(), [21, 22]);
  }
  m.dispose();
});

Deno.test("a hart that comes later logs what is clean already", () => {
  const m = machine(0);
  startDirtyTracking(m.world, "migration");
  m.take();
  const { memory } = ramOf(m.world, m.ram);
  assert(memory);
  const hart = createHart({ world: m.world, owner: m.owner, memory, space: m.space, id: 0, time: () => 0n });
  m.harts.push(hart);
  m.touch([33], hart);
  assertEquals(m.take(), [33]);
  m.dispose();
});

Deno.test("a zeroed block is in the log, whether its page is known for stores or not", () => {
  const m = machine();
  startDirtyTracking(m.world, "migration");
  m.take();
  for (const repeats of [1, 2]) {
    m.run((asm) => {
      asm.li(a0, DATA + 0x7f);
      for (let i = 0; i < repeats; i++) asm.cbo_zero(a0);
      asm.li(a0, DATA + PAGE);
      asm.cbo_flush(a0);
    });
    assertEquals(m.take(), [(DATA - RAM) / PAGE]);
  }
  stopDirtyTracking(m.world, "migration");
  m.dispose();
});
