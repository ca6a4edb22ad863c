/** Harts on an address space of a world: changes of the map, devices' stores, several harts on one memory. */
import { assertEquals } from "@std/assert";
import type { Region } from "../../../ecs/region.ts";
import { createGuestMemory } from "../../../ecs/ram_block.ts";
import { createWorld } from "../../../ecs/world.ts";
import { type Assembler, assembler } from "../../../machines/riscv/assemble.ts";
import { executionBytes } from "../../../machines/riscv/execution.ts";
import { createHart } from "../../../machines/riscv/create_hart.ts";
import type { Hart } from "../../../machines/riscv/hart.ts";
import { x } from "../../../machines/riscv/registers.ts";
import { write } from "../../../systems/dma.ts";
import { current, translationIn } from "./tiers.ts";
import { drop } from "../../../systems/finalize.ts";
import { audit } from "../../../systems/inspect.ts";
import { createAddressSpace } from "../../../systems/address_spaces.ts";
import {
  createAlias,
  createContainer,
  createMmio,
  createOwner,
  createRam,
  createRom,
  createRomDevice,
  ramOf,
} from "../../../systems/create_region.ts";
import {
  addSubregion,
  delSubregion,
  setAddress,
  setAliasOffset,
  setEnabled,
  setRomd,
} from "../../../systems/topology.ts";

const { zero, t0, t1, t2, a0, a1, a2, s0, s1, s2 } = x;
const RAM = 0x8000_0000, RAM_BYTES = 0x10_0000;
const WINDOW = 0x4000_0000, SWITCH = 0x1000_0000;

/** A machine of RAM, a switch that a test gives a meaning, and harts. */
function machine(harts = 1) {
  const world = createWorld();
  const owner = createOwner(world, { name: "machine" });
  const memory = createGuestMemory(4 * RAM_BYTES + executionBytes(harts, 0x400_0000));
  const system = createContainer(world, { name: "system", size: 2n ** 64n, owner });
  const ram = createRam(world, { name: "ram", size: RAM_BYTES, owner, memory });
  addSubregion(world, system, RAM, ram);
  const actions = { onAccess: (_value: number) => {} };
  const board = createOwner(world, { name: "switch", owner, device: true });
  const lever = createMmio(world, {
    name: "lever",
    size: 0x1000,
    owner: board,
    state: actions,
    ops: {
      read: (state) => {
        state.onAccess(0);
        return 0;
      },
      write: (state, _offset, value) => state.onAccess(Number(value)),
    },
  });
  addSubregion(world, system, SWITCH, lever);
  const space = createAddressSpace(world, { name: "harts", root: system, owner });
  const all: Hart[] = [];
  for (let id = 0; id < harts; id++) {
    all.push(createHart({ world, owner, memory, space, id, time: () => 0n }));
  }
  const [hart] = all;
  if (!hart) throw new Error("a machine has at least one hart");
  hart.translate(translationIn(current.tier));
  const load = (region: Region, program: (asm: Assembler) => void, base: number) => {
    const asm = assembler();
    program(asm);
    const { bytes, symbols } = asm.finish({ base });
    ramOf(world, region).bytes.set(bytes);
    return symbols;
  };
  const start = (program: (asm: Assembler) => void) => {
    const symbols = load(ram, program, RAM);
    for (const one of all) {
      one.reset({ pc: BigInt(RAM), a0: BigInt(one.id) });
      one.writeCsr(0x305, symbols.get("trap") ?? 0n);
    }
  };
  const more = (name: string) => createRam(world, { name, size: 0x1000, owner, memory });
  const dispose = () => {
    for (const one of all) one.dispose();
    audit(world);
    drop(world, owner);
    audit(world);
  };
  return { world, owner, memory, system, ram, space, actions, hart, harts: all, load, start, more, dispose };
}

/** Leaves the cause in a2 and ends. */
function endingHandler(asm: Assembler) {
  asm.label("end");
  asm.wfi();
  asm.j("end");
  asm.align(4);
  asm.label("trap");
  asm.csrr(a2, "mcause");
  asm.j("end");
}

Deno.test("a bank switched by a device's handler is read at once, at full speed before and after", () => {
  const m = machine();
  const banks = [m.more("bank 0"), m.more("bank 1")];
  banks.forEach((bank, i) => ramOf(m.world, bank).bytes.fill(0x11 * (i + 1)));
  for (const bank of banks) addSubregion(m.world, m.system, WINDOW, bank);
  m.actions.onAccess = (value) => banks.forEach((bank, i) => setEnabled(m.world, bank, i === value));
  m.actions.onAccess(0);
  m.start((asm) => {
    asm.li(s0, WINDOW);
    asm.li(s1, SWITCH);
    asm.li(t0, 1);
    asm.lbu(a0, 0, s0);
    asm.sw(t0, 0, s1);
    asm.lbu(a1, 0, s0);
    asm.sw(zero, 0, s1);
    asm.lbu(a2, 0, s0);
    endingHandler(asm);
  });
  m.hart.run(1000);
  assertEquals([a0, a1, a2].map((n) => m.hart.readRegister(n)), [0x11n, 0x22n, 0x11n]);
  m.dispose();
});

Deno.test("memory that is unmapped faults from the next access on", () => {
  const m = machine();
  const bank = m.more("bank");
  addSubregion(m.world, m.system, WINDOW, bank);
  m.actions.onAccess = () => delSubregion(m.world, m.system, bank);
  m.start((asm) => {
    asm.li(s0, WINDOW);
    asm.li(s1, SWITCH);
    asm.sd(s0, 8, s0);
    asm.ld(a0, 8, s0);
    asm.sw(zero, 0, s1);
    asm.ld(a0, 8, s0);
    endingHandler(asm);
  });
  m.hart.run(1000);
  assertEquals([a0, a2].map((n) => m.hart.readRegister(n)), [BigInt(WINDOW), 5n]);
  m.dispose();
});

for (const access of ["sw", "lw"] as const) {
  Deno.test(`code that unmaps itself by ${access} faults at its next instruction`, () => {
    const m = machine();
    const bank = m.more("bank");
    addSubregion(m.world, m.system, WINDOW, bank);
    m.actions.onAccess = () => delSubregion(m.world, m.system, bank);
    m.load(bank, (asm) => {
      asm[access](zero, 0, s1);
      asm.li(a0, 99);
    }, WINDOW);
    m.start((asm) => {
      asm.li(s0, WINDOW);
      asm.li(s1, SWITCH);
      asm.li(a0, 0);
      asm.jr(s0);
      endingHandler(asm);
    });
    m.hart.run(1000);
    assertEquals([a0, a2].map((n) => m.hart.readRegister(n)), [0n, 1n]);
    assertEquals(m.hart.readCsr(0x341), BigInt(WINDOW + 4));
    m.dispose();
  });
}

Deno.test("memory that is freed and used again shows nothing of its former life", () => {
  const m = machine();
  const bank = m.more("bank");
  addSubregion(m.world, m.system, WINDOW, bank);
  const program = (number: number) => (asm: Assembler) => {
    asm.li(a0, number);
    asm.ret();
  };
  m.load(bank, program(1), WINDOW);
  const call = (asm: Assembler) => {
    asm.li(s0, WINDOW);
    asm.jalr(x.ra, 0, s0);
    endingHandler(asm);
  };
  m.start(call);
  m.hart.run(1000);
  assertEquals(m.hart.readRegister(a0), 1n);
  const { offset } = ramOf(m.world, bank);
  delSubregion(m.world, m.system, bank);
  drop(m.world, bank);
  const next = m.more("next");
  assertEquals(ramOf(m.world, next).offset, offset, "the freed range is used again");
  addSubregion(m.world, m.system, WINDOW, next);
  m.load(next, program(2), WINDOW);
  m.start(call);
  m.hart.run(1000);
  assertEquals(m.hart.readRegister(a0), 2n);
  m.dispose();
});

Deno.test("a device's stores reach decoded code, through an alias too", () => {
  const m = machine();
  addSubregion(
    m.world,
    m.system,
    WINDOW,
    createAlias(m.world, { name: "view", target: m.ram, offset: 0, size: 0x1000, owner: m.owner }),
  );
  const patch = assembler();
  patch.addi(a0, a0, 100);
  m.actions.onAccess = (value) => void write(m.world, m.space, value, patch.finish().bytes);
  m.start((asm) => {
    asm.li(s1, SWITCH);
    asm.la(s0, "patched");
    asm.li(t2, RAM - WINDOW);
    asm.sub(s0, s0, t2);
    asm.label("patched");
    asm.addi(a0, a0, 1);
    asm.addi(a1, a1, 1);
    asm.sw(s0, 0, s1);
    asm.li(t0, 3);
    asm.blt(a1, t0, "patched");
    endingHandler(asm);
  });
  m.hart.run(1000);
  assertEquals(m.hart.readRegister(a0), 201n);
  m.dispose();
});

Deno.test("a hart's own stores through an alias reach decoded code", () => {
  const m = machine();
  addSubregion(
    m.world,
    m.system,
    WINDOW,
    createAlias(m.world, { name: "view", target: m.ram, offset: 0x1000, size: 0x1000, owner: m.owner }),
  );
  const template = assembler();
  template.addi(a0, a0, 100);
  m.start((asm) => {
    // The view is written before the page is code, so it is in the write TLB by then.
    asm.li(s0, WINDOW);
    asm.li(t0, RAM + 0x1000);
    asm.li(t2, template.finish().bytes.reduceRight((word, byte) => word * 256 + byte, 0));
    asm.la(t1, "routine");
    asm.ld(t1, 0, t1);
    asm.sd(t1, 0, s0);
    asm.jalr(x.ra, 0, t0);
    asm.sw(t2, 0, s0);
    asm.jalr(x.ra, 0, t0);
    asm.j("end");
    asm.align(8);
    asm.label("routine");
    asm.addi(a0, a0, 1);
    asm.ret();
    endingHandler(asm);
  });
  m.hart.run(1000);
  assertEquals(m.hart.readRegister(a0), 101n);
  m.dispose();
});

Deno.test("moving windows and alias offsets are followed", () => {
  const m = machine();
  const view = createAlias(m.world, { name: "view", target: m.ram, offset: 0, size: 0x1000, owner: m.owner });
  addSubregion(m.world, m.system, WINDOW, view);
  const bytes = ramOf(m.world, m.ram).bytes;
  m.actions.onAccess = (value) => {
    if (value === 1) setAliasOffset(m.world, view, 0x2000);
    else setAddress(m.world, view, WINDOW + 0x1000);
  };
  m.start((asm) => {
    asm.li(s0, WINDOW);
    asm.li(s1, SWITCH);
    asm.li(t0, 1);
    asm.li(t1, 2);
    asm.li(t2, 0x1000);
    asm.lwu(a0, 0x400, s0);
    asm.sw(t0, 0, s1);
    asm.lwu(a1, 0x400, s0);
    asm.sw(t1, 0, s1);
    asm.add(s0, s0, t2);
    asm.lwu(t2, 0x400, s0);
    asm.li(s0, WINDOW);
    asm.lwu(a2, 0x400, s0);
    endingHandler(asm);
  });
  bytes[0x400] = 7;
  bytes[0x2400] = 8;
  m.hart.run(1000);
  assertEquals([a0, a1, t2, a2].map((n) => m.hart.readRegister(n)), [7n, 8n, 8n, 5n]);
  m.dispose();
});

Deno.test("a ROM device that is read through its handlers now and then gives its code and data so", () => {
  const m = machine();
  const memoryCode = assembler(), handlerCode = assembler();
  for (const [asm, step] of [[memoryCode, 1], [handlerCode, 100]] as const) {
    asm.addi(a1, a1, step);
    asm.ret();
  }
  const shown = new DataView(handlerCode.finish().bytes.buffer.slice(0));
  const board = createOwner(m.world, { name: "flash", owner: m.owner, device: true });
  const flash = createRomDevice(m.world, {
    name: "flash",
    size: 0x1000,
    owner: board,
    memory: m.memory,
    state: {},
    ops: {
      read: (_state, offset) => offset < shown.byteLength ? shown.getUint8(offset) : 7,
      write: () => {},
      impl: { max: 1 },
    },
  });
  addSubregion(m.world, m.system, WINDOW, flash);
  ramOf(m.world, flash).bytes.fill(1);
  ramOf(m.world, flash).bytes.set(memoryCode.finish().bytes);
  m.actions.onAccess = (value) => setRomd(m.world, flash, (value & 16) !== 0);
  const rounds = 160;
  m.start((asm) => {
    asm.li(s0, WINDOW);
    asm.li(s1, SWITCH);
    asm.li(a0, rounds);
    asm.label("round");
    asm.jalr(x.ra, 0, s0);
    asm.lbu(t0, 0x100, s0);
    asm.lbu(t1, 0x101, s0);
    asm.add(s2, s2, t0);
    asm.add(s2, s2, t1);
    asm.addi(a0, a0, -1);
    asm.andi(t0, a0, 15);
    asm.bnez(t0, "round");
    asm.sw(a0, 0, s1);
    asm.bnez(a0, "round");
    endingHandler(asm);
  });
  m.hart.run(10_000);
  // Of ten times sixteen rounds, those from 128, 96, 64 and 32 on are by its handlers.
  const [memoryRounds, handlerRounds] = [6n * 16n, 4n * 16n];
  const wanted = [0n, memoryRounds + 100n * handlerRounds, 2n * memoryRounds + 14n * handlerRounds];
  assertEquals([a2, a1, s2].map((n) => m.hart.readRegister(n)), wanted);
  m.dispose();
});

Deno.test("stores to ROM are lost", () => {
  const m = machine();
  const rom = createRom(m.world, { name: "rom", size: 0x1000, owner: m.owner, memory: m.memory });
  ramOf(m.world, rom).bytes.fill(0x55);
  addSubregion(m.world, m.system, WINDOW, rom);
  m.start((asm) => {
    asm.li(s0, WINDOW);
    asm.sd(zero, 0, s0);
    asm.ld(a0, 0, s0);
    asm.sd(zero, 0, s0);
    asm.ld(a1, 0, s0);
    endingHandler(asm);
  });
  m.hart.run(1000);
  assertEquals([a0, a1, a2].map((n) => m.hart.readRegister(n)), [0x5555555555555555n, 0x5555555555555555n, 0n]);
  m.dispose();
});

Deno.test("memory outside of the hart's own, and less than a page of it, runs code and holds data through dispatch", () => {
  for (const memory of ["foreign", "small"] as const) {
    const m = machine();
    const region = createRam(m.world, {
      name: memory,
      size: memory === "foreign" ? 0x2000 : 0x100,
      owner: m.owner,
      ...(memory === "small" ? { memory: m.memory } : {}),
    });
    addSubregion(m.world, m.system, WINDOW, region);
    m.load(region, (asm) => {
      asm.li(a0, 5);
      asm.sw(a0, 0x80, s0);
      asm.half(0x0505); // c.addi a0, 1
      asm.half(0x0001);
      asm.lw(a1, 0x80, s0);
      asm.ret();
    }, WINDOW);
    m.start((asm) => {
      asm.li(s0, WINDOW);
      asm.jalr(x.ra, 0, s0);
      endingHandler(asm);
    });
    m.hart.run(1000);
    assertEquals([a0, a1, a2].map((n) => m.hart.readRegister(n)), [6n, 5n, 0n], memory);
    m.dispose();
  }
});

Deno.test("harts count together under load-reserved and store-conditional, and amoadd", () => {
  const m = machine(3);
  const rounds = 200, counter = RAM + 0x1000;
  m.start((asm) => {
    asm.li(s0, counter);
    asm.li(t0, rounds);
    asm.label("again");
    asm.lr_d(t1, s0);
    asm.addi(t1, t1, 1);
    asm.sc_d(t2, t1, s0);
    asm.bnez(t2, "again");
    asm.addi(s1, s0, 8);
    asm.li(t2, 1);
    asm.amoadd_w(zero, t2, s1);
    asm.addi(t0, t0, -1);
    asm.bnez(t0, "again");
    endingHandler(asm);
  });
  let failed = 0;
  for (let round = 0; round < 20000 && !m.harts.every((hart) => hart.waiting); round++) {
    // Turns that are no multiple of the loop: reservations are interrupted at every place.
    for (const hart of m.harts) hart.run(1 + (round * 7 + hart.id) % 5);
    failed += m.harts.filter((hart) => hart.readRegister(t2) === 1n).length;
  }
  const bytes = new DataView(ramOf(m.world, m.ram).buffer, ramOf(m.world, m.ram).offset + 0x1000);
  assertEquals([bytes.getBigUint64(0, true), bytes.getUint32(8, true)], [3n * BigInt(rounds), 3 * rounds]);
  assertEquals(failed > 0, true, "turns are short enough to contend");
  m.dispose();
});

Deno.test("one hart's stores reach the code that another runs", () => {
  const m = machine(2);
  m.start((asm) => {
    asm.bnez(a0, "writer");
    asm.label("reader");
    asm.label("patched");
    asm.addi(a1, a1, 1);
    asm.j("reader");
    asm.label("writer");
    asm.la(s0, "patched");
    asm.la(t0, "template");
    asm.lw(t1, 0, t0);
    asm.sw(t1, 0, s0);
    asm.j("end");
    asm.label("template");
    asm.addi(a1, a1, 100);
    endingHandler(asm);
  });
  const [reader, writer] = m.harts;
  reader?.run(11);
  assertEquals(reader?.readRegister(a1), 5n);
  writer?.run(100);
  reader?.run(10);
  assertEquals(reader?.readRegister(a1), 505n);
  m.dispose();
});

Deno.test("disposing of every hart gives back all of its memory", () => {
  const m = machine(2);
  m.start((asm) => endingHandler(asm));
  m.hart.run(10);
  for (const hart of m.harts) hart.dispose();
  const used = m.memory.bytes.length - m.memory.gaps.reduce((sum, { start, end }) => sum + end - start, 0);
  assertEquals(used, RAM_BYTES);
});
