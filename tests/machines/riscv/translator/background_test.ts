/** Translation that takes place elsewhere while the harts run on. */
import { assert, assertEquals } from "@std/assert";
import { x } from "../../../../machines/riscv/registers.ts";
import type { BatchCompiler } from "../../../../machines/riscv/translator/background_compiler.ts";
import { type BatchRequest, compileBatch, type CompiledBatch } from "../../../../machines/riscv/translator/batch.ts";
import { createVirt } from "../../../../machines/virt/machine.ts";
import { assembler } from "../../../../machines/riscv/assemble.ts";
import { Bench, RAM } from "../bare_metal.ts";

const { zero, t0, t1, a0, a1 } = x;
const TRANSLATION = { threshold: 10, limit: 64, foreground: 0, eager: false };

/** Is ready when it is told to be. */
class SlowCompiler implements BatchCompiler {
  isUsable = true;
  requests = 0;
  isReady = false;
  #request: BatchRequest | undefined;

  begin(request: BatchRequest): void {
    this.requests++;
    this.isReady = false;
    this.#request = request;
  }

  take(): CompiledBatch | undefined {
    if (!this.isReady || !this.#request) return undefined;
    const batch = compileBatch(this.#request);
    this.#request = undefined;
    return batch;
  }
}

/** A loop whose second instruction a test may change. */
function looping(): { bench: Bench; compiler: SlowCompiler; step: bigint } {
  const bench = new Bench(), compiler = new SlowCompiler();
  bench.hart.translate(TRANSLATION);
  bench.hart.translateBy(compiler);
  const labels = bench.load((asm) => {
    asm.label("round");
    asm.addi(a0, a0, 1);
    asm.label("step");
    asm.addi(a1, a1, 1);
    asm.j("round");
  });
  while (compiler.requests === 0) bench.hart.run(300);
  return { bench, compiler, step: labels.get("step") ?? 0n };
}

Deno.test("harts run on while a region is compiled, and enter it then", () => {
  const { bench, compiler } = looping();
  const before = bench.hart.readRegister(a0);
  bench.hart.run(3000);
  assertEquals(bench.hart.translation.entered, 0);
  compiler.isReady = true;
  bench.hart.run(3001);
  assert(bench.hart.translation.entered > 0);
  assertEquals(bench.hart.readRegister(a0) - before, 2001n);
  assertEquals(compiler.requests, 1);
  bench.dispose();
});

for (const who of ["a device", "the hart itself"]) {
  Deno.test(`code that ${who} changes while it is compiled is not entered as it was`, () => {
    const { bench, compiler, step } = looping();
    const other = assembler();
    other.addi(a1, a1, 2);
    const { bytes } = other.finish({ base: step });
    if (who === "a device") bench.write(step, bytes);
    else {
      const writer = assembler();
      writer.li(t0, new DataView(bytes.buffer, bytes.byteOffset).getUint32(0, true));
      writer.li(t1, step);
      writer.sw(t0, 0, t1);
      writer.fence_i();
      writer.li(t1, RAM);
      writer.jr(t1);
      bench.write(RAM + 0x1000n, writer.finish({ base: RAM + 0x1000n }).bytes);
      bench.hart.pc = RAM + 0x1000n;
      while (bench.hart.pc >= RAM + 0x1000n) bench.hart.run(1);
    }
    compiler.isReady = true;
    bench.hart.run(1);
    assertEquals(bench.hart.translation.abandoned, 1);
    assertEquals(bench.hart.translation.present.regions, 0);
    while (bench.hart.pc !== RAM) bench.hart.run(1);
    const [before, beforeSteps] = [bench.hart.readRegister(a0), bench.hart.readRegister(a1)];
    for (let i = 0; i < 100; i++) bench.hart.run(300);
    const [rounds, steps] = [bench.hart.readRegister(a0) - before, bench.hart.readRegister(a1) - beforeSteps];
    assertEquals(rounds, 10_000n);
    assertEquals(steps, 20_000n);
    assertEquals(compiler.requests, 2, "the new code is as hot as the old");
    compiler.isReady = true;
    bench.hart.run(1);
    assertEquals(bench.hart.translation.present.regions, 1);
    bench.dispose();
  });
}

Deno.test("data of a page may change while its code is compiled", () => {
  const { bench, compiler, step } = looping();
  bench.write(step + 0x100n, Uint8Array.of(1, 2, 3));
  compiler.isReady = true;
  bench.hart.run(1);
  assertEquals(bench.hart.translation.present.regions, 1);
  bench.dispose();
});

Deno.test("what a compiler failed to do is done on the harts' thread", () => {
  const { bench, compiler } = looping();
  compiler.isUsable = false;
  for (let i = 0; i < 100; i++) bench.hart.run(300);
  assertEquals(compiler.requests, 1);
  assertEquals(bench.hart.translation.present.regions, 1);
  bench.dispose();
});

Deno.test("code that was compiled for another number of harts, or before a reset of the translator, is not entered", () => {
  const { bench, compiler } = looping();
  bench.hart.translate(TRANSLATION);
  compiler.isReady = true;
  bench.hart.run(1);
  assertEquals(bench.hart.translation.made.regions, 0);
  bench.dispose();
});

const FINISHER = 0x10_0000n, POWER_OFF = 0x5555n;

/** Instructions that are more than the harts' thread translates. */
const WIDE = 6000;

/** Perhaps 100 rounds of a wide loop; then rounds of a short one, and power-off. */
function program(rounds: bigint, isWide = false): Uint8Array {
  const asm = assembler();
  if (isWide) {
    asm.li(a0, 100);
    asm.label("wide");
    for (let i = 0; i < WIDE; i++) asm.addi(a1, a1, 1);
    asm.addi(a0, a0, -1);
    asm.beqz(a0, "narrow");
    asm.j("wide");
    asm.label("narrow");
  }
  asm.li(a0, rounds);
  asm.label("round");
  asm.mul(t0, a0, a0);
  asm.add(a1, a1, t0);
  asm.addi(a0, a0, -1);
  asm.bnez(a0, "round");
  asm.csrrs(t0, 0xc01, zero); // time
  asm.add(a1, a1, t0);
  asm.csrrs(t0, 0xc02, zero); // instret
  asm.add(a1, a1, t0);
  asm.li(t0, FINISHER);
  asm.li(t1, POWER_OFF);
  asm.sw(t1, 0, t0);
  asm.label("end");
  asm.j("end");
  return asm.finish({ base: RAM }).bytes;
}

Deno.test("with an instruction clock a machine that translates in a worker ends as one that interprets", async () => {
  const bytes = program(20_000_000n, true);
  const run = async (accelerator: "jit" | "interp") => {
    const machine = createVirt({
      accelerator,
      translation: { threshold: 20 },
      ramBytes: 2 ** 25,
      instructionClock: { shift: 3, sleep: false },
      firmware: { name: "program", bytes },
    });
    const { reason } = await machine.run();
    const [hart] = machine.harts;
    const result = { reason, sum: hart?.readRegister(a1), instret: hart?.instret };
    const { translation: [translation] } = machine;
    machine.dispose();
    return { result, behind: translation && translation.made.instructions - translation.foreground };
  };
  const translated = await run("jit");
  assert((translated.behind ?? 0) > 0, "the worker's regions never came");
  assertEquals(translated.result, (await run("interp")).result);
});

Deno.test("what little a short program translates is translated on the harts' thread, without a worker", async () => {
  const firmware = { name: "program", bytes: program(1_000_000n) };
  const machine = createVirt({ accelerator: "jit", ramBytes: 2 ** 25, firmware });
  await machine.run();
  const [translation] = machine.translation;
  assert(translation && translation.foreground > 0);
  assertEquals(translation.made.instructions, translation.foreground);
  machine.dispose();
});

Deno.test("what a system's kernel runs is translated in the background from the start", async () => {
  const bytes = new Uint8Array(2 ** 20);
  bytes.set(program(40_000_000n));
  const machine = createVirt({ accelerator: "jit", ramBytes: 2 ** 25, kernel: { name: "kernel", bytes } });
  await machine.run();
  const [translation] = machine.translation;
  assert(translation && translation.made.instructions > 0, "the worker's regions never came");
  assertEquals(translation.foreground, 0);
  machine.dispose();
});

Deno.test("the first instructions are translated at once, and only then others in the background", () => {
  const bench = new Bench(), compiler = new SlowCompiler();
  bench.hart.translate({ ...TRANSLATION, foreground: 30 });
  bench.hart.translateBy(compiler);
  bench.load((asm) => {
    for (const loop of ["first", "second", "third"]) {
      asm.li(a0, 1000);
      asm.label(loop);
      for (let i = 0; i < 20; i++) asm.addi(a1, a1, 1);
      asm.addi(a0, a0, -1);
      asm.bnez(a0, loop);
      asm.j(`behind ${loop}`);
      asm.align(4096);
      asm.label(`behind ${loop}`);
    }
    asm.label("end");
    asm.j("end");
  });
  const { harts: [hart] } = bench;
  while (hart && hart.readRegister(a1) < 40_000n) hart.run(300);
  assertEquals(compiler.requests, 0, "two loops are not much more than 30 instructions");
  while (hart && hart.readRegister(a1) < 60_000n) hart.run(300);
  assertEquals(compiler.requests, 1);
  const { made, foreground } = bench.hart.translation;
  assertEquals(made.instructions, foreground);
  bench.dispose();
});

Deno.test("without the permission to start a worker a machine translates on the harts' thread", async () => {
  const source = `
    import { createVirt } from ${JSON.stringify(new URL("../../../../machines/virt/machine.ts", import.meta.url).href)};
    const bytes = Uint8Array.from(${JSON.stringify([...program(2_000_000n)])});
    const machine = createVirt({ accelerator: "jit", ramBytes: 2 ** 25, firmware: { name: "program", bytes } });
    const { reason } = await machine.run();
    console.log(reason, machine.translation[0].made.regions > 0);
    machine.dispose();
  `;
  const args = ["run", "-q", "--no-check", "--ext=ts", "-"];
  const command = new Deno.Command(Deno.execPath(), { args, stdin: "piped", stdout: "piped", stderr: "piped" });
  const child = command.spawn();
  const writer = child.stdin.getWriter();
  await writer.write(new TextEncoder().encode(source));
  await writer.close();
  const { stdout, stderr } = await child.output();
  assertEquals(new TextDecoder().decode(stderr), "");
  assertEquals(new TextDecoder().decode(stdout), "power-off true\n");
});
