import { assert, assertEquals, assertThrows } from "@std/assert";
import { countEntities } from "../../../ecs/handle.ts";
import { createWorld } from "../../../ecs/world.ts";
import { startDirtyTracking, stopDirtyTracking, trackingReasons } from "../../../systems/dirty_tracking.ts";
import { driveInput } from "../../../systems/interrupts.ts";
import { audit } from "../../../systems/inspect.ts";
import { registerListener, unregisterListener } from "../../../systems/address_spaces.ts";
import { ImageError } from "../../../machines/loader/part.ts";
import { x } from "../../../machines/riscv/registers.ts";
import { createVirt, MachineError } from "../../../machines/virt/machine.ts";
import { TIERS } from "../riscv/tiers.ts";
import { soak } from "./soak.ts";
import { FAIL, finish, POWER_OFF, program, RAM, RESET, runToEnd, send, sendHex, sendText, UART } from "./program.ts";

const hello = program((asm) => {
  sendText(asm, "hello\n");
  finish(asm, POWER_OFF);
});
const forever = program((asm) => asm.j(0));

Deno.test("a bare-metal program prints over the UART and powers off with status 0", async () => {
  assertEquals(await runToEnd({ kernel: hello }), { exit: { reason: "power-off", status: 0 }, output: "hello\n" });
});

Deno.test("a failure that the guest reports is the exit status", async () => {
  const kernel = program((asm) => finish(asm, 37 * 0x10000 + FAIL));
  assertEquals((await runToEnd({ kernel })).exit, { reason: "power-off", status: 37 });
});

Deno.test("the reset vector hands over hart, device tree and fw_dynamic information", async () => {
  const kernel = program((asm) => {
    asm.lwu(x.a1, 0, x.a1);
    asm.lwu(x.a2, 0, x.a2);
    for (const register of ["a0", "a1", "a2"] as const) {
      sendHex(asm, x[register], register);
      sendText(asm, " ");
    }
    finish(asm, POWER_OFF);
  });
  // Magic numbers: a device tree's in big-endian, and "OSBI".
  assertEquals((await runToEnd({ kernel })).output, "0000000000000000 00000000edfe0dd0 000000004942534f ");
});

/** Counts boots in RAM that no file covers, and changes itself: a reboot must keep the one and undo the other. */
const rebooting = program((asm) => {
  asm.la(x.s1, "image");
  asm.lbu(x.a0, 0, x.s1);
  send(asm, x.a0);
  asm.li(x.t1, "!".charCodeAt(0));
  asm.sb(x.t1, 0, x.s1);
  asm.li(x.s0, RAM + 0x10_0000);
  asm.lw(x.a0, 0, x.s0);
  asm.addi(x.a0, x.a0, 1);
  asm.sw(x.a0, 0, x.s0);
  asm.addi(x.a1, x.a0, 48);
  send(asm, x.a1);
  asm.li(x.t1, 3);
  asm.beq(x.a0, x.t1, "off");
  finish(asm, RESET);
  asm.label("off");
  finish(asm, POWER_OFF);
  asm.label("image");
  asm.ascii("i");
});

Deno.test("a reboot reloads the images and keeps the rest of RAM", async () => {
  assertEquals((await runToEnd({ kernel: rebooting })).output, "i1i2i3");
});

Deno.test("a reboot resets the devices", async () => {
  const SCRATCH = 7;
  const kernel = program((asm) => {
    asm.li(x.s0, UART);
    asm.lbu(x.a0, SCRATCH, x.s0);
    asm.addi(x.a0, x.a0, 48);
    send(asm, x.a0);
    asm.li(x.t1, 1);
    asm.sb(x.t1, SCRATCH, x.s0);
    asm.li(x.s1, RAM + 0x10_0000);
    asm.lw(x.a1, 0, x.s1);
    asm.sw(x.t1, 0, x.s1);
    asm.bnez(x.a1, "off");
    finish(asm, RESET);
    asm.label("off");
    finish(asm, POWER_OFF);
  });
  assertEquals((await runToEnd({ kernel })).output, "00");
});

/** Sums up in a loop, changes the loop and sums up once more, and reboots; what it was loaded as runs again then. */
const changing = program((asm) => {
  asm.la(x.s1, "step");
  asm.li(x.s2, 2);
  asm.label("sum");
  asm.li(x.a0, 0);
  asm.li(x.a1, 400);
  asm.label("round");
  asm.label("step");
  asm.addi(x.a0, x.a0, 1);
  asm.call("leaf");
  asm.addi(x.a1, x.a1, -1);
  asm.bnez(x.a1, "round");
  for (const shift of [8, 0]) {
    asm.srli(x.t1, x.a0, shift);
    send(asm, x.t1);
  }
  // Adds 2 from here on.
  asm.lw(x.t1, 0, x.s1);
  asm.li(x.t0, 3 << 20);
  asm.xor(x.t1, x.t1, x.t0);
  asm.sw(x.t1, 0, x.s1);
  asm.fence_i();
  asm.addi(x.s2, x.s2, -1);
  asm.bnez(x.s2, "sum");
  asm.li(x.s0, RAM + 0x10_0000);
  asm.lw(x.a0, 0, x.s0);
  asm.addi(x.a0, x.a0, 1);
  asm.sw(x.a0, 0, x.s0);
  asm.li(x.t1, 3);
  asm.beq(x.a0, x.t1, "off");
  finish(asm, RESET);
  asm.label("off");
  finish(asm, POWER_OFF);
  asm.label("leaf");
  asm.ret();
});

for (const { name, accelerator, translation } of TIERS) {
  Deno.test(`a reboot undoes what code has become, ${name}`, async () => {
    const { output } = await runToEnd({ kernel: changing, accelerator, ...(translation && { translation }) });
    const sums = Array.from({ length: 6 }, (_, i) => output.charCodeAt(2 * i) << 8 | output.charCodeAt(2 * i + 1));
    assertEquals(sums, [400, 800, 400, 800, 400, 800]);
  });
}

Deno.test("where reboots are not allowed the machine stops at the first, with status 0", async () => {
  const { exit, output } = await runToEnd({ kernel: rebooting, rebootAllowed: false });
  assertEquals([exit.reason, exit.status, output], ["reset", 0, "i1"]);
});

Deno.test("the host can reset a machine while it runs", async () => {
  const kernel = program((asm) => {
    sendText(asm, "boot ");
    asm.j(0);
  });
  const { output } = await runToEnd({ kernel }, (machine, output) => {
    const reset = () => output() === "boot " ? machine.reset() : setTimeout(reset, 5);
    const stop = () => output() === "boot boot " ? machine.stop() : setTimeout(stop, 5);
    reset();
    stop();
  });
  assertEquals(output, "boot boot ");
});

Deno.test("typed input reaches the guest, which sleeps until it comes", async () => {
  const kernel = program((asm) => {
    // Receive interrupt at the UART, source 10 of the PLIC for hart 0 in machine mode, MEIE; masked by MIE.
    const stores: [number, number, "sb" | "sw"][] = [[UART + 1, 1, "sb"], [0xc00_0028, 1, "sw"], [
      0xc00_2000,
      1 << 10,
      "sw",
    ]];
    for (const [address, value, name] of stores) {
      asm.li(x.t0, address);
      asm.li(x.t1, value);
      asm[name](x.t1, 0, x.t0);
    }
    asm.li(x.t0, 1 << 11);
    asm.csrw("mie", x.t0);
    asm.wfi();
    asm.li(x.t0, UART);
    asm.lbu(x.a0, 0, x.t0);
    asm.addi(x.a0, x.a0, 1);
    send(asm, x.a0);
    finish(asm, POWER_OFF);
  });
  const { output } = await runToEnd({ kernel }, (machine) => setTimeout(() => machine.type("a"), 30));
  assertEquals(output, "b");
});

Deno.test("a line that the host raises wakes a sleeping guest", async () => {
  const kernel = program((asm) => {
    asm.li(x.t0, 1 << 11);
    asm.csrw("mie", x.t0);
    for (const [address, value] of [[0xc00_0004, 1], [0xc00_2000, 1 << 1]] as const) {
      asm.li(x.t0, address);
      asm.li(x.t1, value);
      asm.sw(x.t1, 0, x.t0);
    }
    asm.wfi();
    sendText(asm, "awake");
    finish(asm, POWER_OFF);
  });
  const started = performance.now();
  const { output } = await runToEnd({ kernel }, (machine) => {
    const { world, board } = machine;
    setTimeout(() => driveInput(world, board.plic, "source", 1, 1), 30);
  });
  assertEquals(output, "awake");
  assert(performance.now() - started < 5000);
});

Deno.test("all harts run, and atomics between them lose nothing", async () => {
  const harts = 8, rounds = 1000;
  const kernel = program((asm) => {
    asm.la(x.s0, "sum");
    asm.li(x.s1, rounds);
    asm.li(x.t1, 1);
    asm.label("add");
    asm.amoadd_w(x.zero, x.t1, x.s0);
    asm.addi(x.s1, x.s1, -1);
    asm.bnez(x.s1, "add");
    asm.label("wait");
    asm.lw(x.t0, 0, x.s0);
    asm.li(x.t1, harts * rounds);
    asm.bne(x.t0, x.t1, "wait");
    asm.bnez(x.a0, "park");
    sendText(asm, "sum");
    finish(asm, POWER_OFF);
    asm.label("park");
    asm.wfi();
    asm.j("park");
    asm.align(8);
    asm.label("sum");
    asm.dword(0);
  });
  assertEquals((await runToEnd({ kernel, harts })).output, "sum");
});

/** Guests that give nothing back by themselves. */
const storms: [string, ReturnType<typeof program> | undefined][] = [
  ["never yields", forever],
  ["has nothing to run, and faults for ever", undefined],
  [
    "reads where nothing is, for ever",
    program((asm) => {
      asm.la(x.t0, "trap");
      asm.csrw("mtvec", x.t0);
      asm.li(x.t1, 0x4000_0000);
      asm.label("storm");
      asm.ld(x.t2, 0, x.t1);
      asm.sd(x.t2, 8, x.t1);
      asm.j("storm");
      asm.align(4);
      asm.label("trap");
      asm.csrr(x.t0, "mepc");
      asm.addi(x.t0, x.t0, 4);
      asm.csrw("mepc", x.t0);
      asm.mret();
    }),
  ],
  [
    "writes to ROM for ever",
    program((asm) => {
      asm.la(x.t0, "storm");
      asm.csrw("mtvec", x.t0);
      asm.align(4);
      asm.label("storm");
      asm.li(x.t1, 0x1000);
      asm.sd(x.t1, 0, x.t1);
      asm.j("storm");
    }),
  ],
];
for (const [what, kernel] of storms) {
  // Without its turns the host would never get to the last timer, and the test would never end.
  Deno.test(`a guest that ${what}, leaves the host its turns and can be stopped`, async () => {
    let fired = 0;
    const { exit } = await runToEnd(kernel === undefined ? {} : { kernel }, (machine) => {
      const next = () => {
        if (++fired === 10) machine.stop();
        else setTimeout(next, 1);
      };
      setTimeout(next, 1);
    });
    assertEquals([exit.reason, fired], ["stopped", 10]);
  });
}

Deno.test("a stopped machine runs on where it was", async () => {
  let output = "";
  const machine = createVirt({ kernel: hello, onOutput: (byte) => output += String.fromCharCode(byte) });
  machine.stop();
  assertEquals((await machine.run()).reason, "stopped");
  assertEquals([(await machine.run()).reason, output], ["power-off", "hello\n"]);
  machine.dispose();
});

Deno.test("with an instruction clock two runs are the same, times, seed and all", async () => {
  const kernel = program((asm) => {
    asm.mv(x.s1, x.a1);
    asm.li(x.s2, 5000); // the device tree, seed included, folded into one number
    asm.li(x.a2, 0);
    asm.label("fold");
    asm.lbu(x.t0, 0, x.s1);
    asm.slli(x.t1, x.a2, 5);
    asm.add(x.a2, x.a2, x.t1);
    asm.add(x.a2, x.a2, x.t0);
    asm.addi(x.s1, x.s1, 1);
    asm.addi(x.s2, x.s2, -1);
    asm.bnez(x.s2, "fold");
    asm.li(x.t0, 0x10_1000);
    asm.lwu(x.a0, 0, x.t0);
    asm.csrr(x.a1, "time");
    for (const register of ["a0", "a1", "a2"] as const) sendHex(asm, x[register], register);
    finish(asm, POWER_OFF);
  });
  const run = async () => (await runToEnd({ kernel, harts: 2, instructionClock: { shift: 3 } })).output;
  const first = await run();
  assertEquals(first.length, 48);
  assertEquals(await run(), first);
});

Deno.test("with an instruction clock a hart's timer interrupts at the first instruction of its tick, wherever turns end", async () => {
  for (const before of [0, 1, 5, 9]) {
    const kernel = program((asm) => {
      asm.la(x.t0, "trap");
      asm.csrw("mtvec", x.t0);
      asm.li(x.t0, 1);
      asm.slli(x.t0, x.t0, 63);
      asm.csrw("menvcfg", x.t0);
      for (let i = 0; i < before; i++) asm.nop();
      asm.csrr(x.t0, "time");
      asm.addi(x.t0, x.t0, 40);
      asm.csrw("stimecmp", x.t0);
      asm.li(x.t0, 1 << 5);
      asm.csrw("mie", x.t0);
      asm.csrrsi(x.zero, "mstatus", 8);
      asm.label("spin");
      asm.j("spin");
      asm.align(4);
      asm.label("trap");
      asm.csrr(x.a0, "instret");
      sendHex(asm, x.a0, "instret");
      finish(asm, POWER_OFF);
    });
    const { output } = await runToEnd({ kernel, instructionClock: { shift: 3 } });
    const nanoseconds = 8 * parseInt(output, 16);
    assert(nanoseconds % 100 < 8, `${before}: interrupted ${nanoseconds % 100} ns after the tick`);
  }
});

Deno.test("with an instruction clock an idle guest's time jumps to its next deadline", async () => {
  const kernel = program((asm) => {
    asm.li(x.t0, 0x200_4000); // mtimecmp of hart 0: one hour, in ticks of 100 ns
    asm.li(x.t1, 36_000_000_000);
    asm.sd(x.t1, 0, x.t0);
    asm.li(x.t0, 1 << 7);
    asm.csrw("mie", x.t0);
    asm.wfi();
    asm.csrr(x.a0, "time");
    sendHex(asm, x.a0, "time");
    finish(asm, POWER_OFF);
  });
  const { output } = await runToEnd({ kernel, instructionClock: { shift: 0, sleep: false } });
  const late = Number(`0x${output}`) - 36_000_000_000;
  assert(late >= 0 && late < 100, `woke ${late} ticks after its deadline`);
});

Deno.test("a machine that is disposed of leaves no entity and no byte in use", () => {
  const world = createWorld();
  const machine = createVirt({ world, kernel: hello, harts: 2 });
  audit(world);
  const { memory } = machine;
  machine.dispose();
  machine.dispose();
  audit(world);
  assertEquals(countEntities(world), 0);
  assertEquals(memory.gaps, [{ start: 0, end: memory.bytes.length }]);
  assertThrows(() => machine.reset(), MachineError, "disposed");
});

Deno.test("a machine that can't be built leaves nothing in its world", () => {
  const world = createWorld();
  const kernel = { name: "k", bytes: new Uint8Array(1 << 20) };
  assertThrows(() => createVirt({ world, kernel, ramBytes: 1 << 16 }), ImageError, "needs 1 MiB");
  assertThrows(() => createVirt({ world, harts: 9 }), MachineError, "can't have 9 harts");
  assertThrows(() => createVirt({ world, ramBytes: 2 ** 33 }), MachineError, "at most 3 GiB");
  assertEquals(countEntities(world), 0);
});

Deno.test("machines come and go in one world, twenty times, without a trace", async () => {
  const world = createWorld();
  for (let i = 0; i < 20; i++) {
    const { output } = await runToEnd({ world, kernel: hello });
    assertEquals(output, "hello\n");
  }
  audit(world);
  assertEquals(countEntities(world), 0);
});

Deno.test("machines in worlds of their own boot twice and end, of any number of harts", async () => {
  assertEquals((await soak(16)).failed, 0);
});

Deno.test("tracking that ends while a machine is stopped ends when it runs again, or when it is disposed of", async () => {
  const world = createWorld();
  const heard: string[] = [];
  const machine = createVirt({ kernel: hello, world });
  const migration = registerListener(world, machine.space, {
    name: "migration",
    logGlobalStop: () => heard.push("stop"),
  });
  startDirtyTracking(world, "migration");
  machine.stop();
  assertEquals((await machine.run()).reason, "stopped");
  stopDirtyTracking(world, "migration");
  assertEquals([heard, trackingReasons(world)], [[], ["migration"]]);
  assertEquals((await machine.run()).reason, "power-off");
  assertEquals([heard, trackingReasons(world)], [["stop"], []]);
  startDirtyTracking(world, "migration");
  stopDirtyTracking(world, "migration");
  assertEquals([heard.length, trackingReasons(world)], [1, ["migration"]], "it has powered off, so it does not run");
  unregisterListener(world, migration);
  machine.dispose();
  assertEquals(trackingReasons(world), []);
});
