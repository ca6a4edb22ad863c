import { assert, assertEquals } from "@std/assert";
import { readDeviceTree } from "../../../machines/loader/flattened_device_tree.ts";
import { runCommandLine } from "../../../machines/main.ts";
import type { MemoryMap } from "../../../systems/memory_map.ts";
import { writeElf } from "../loader/elf_file.ts";
import { x } from "../../../machines/riscv/registers.ts";
import { FAIL, finish, POWER_OFF, program, send, sendHex, sendText, UART } from "../virt/program.ts";

const encoder = new TextEncoder();

interface Run {
  status: number;
  output: string;
  errors: string[];
}

/** Runs a command line whose words are separated by blanks, in a directory with `files`; `@` stands for the directory. */
async function run(line: string, files: Record<string, Uint8Array> = {}, input: string[] = []): Promise<Run> {
  const directory = await Deno.makeTempDir();
  const outcome: Run = { status: -1, output: "", errors: [] };
  try {
    for (const [name, bytes] of Object.entries(files)) await Deno.writeFile(`${directory}/${name}`, bytes);
    outcome.status = await runCommandLine(line.replaceAll("@", directory).split(" "), {
      async *input() {
        for (const part of input) yield await Promise.resolve(encoder.encode(part));
      },
      output: (bytes) => outcome.output += new TextDecoder().decode(bytes),
      error: (sentence) => outcome.errors.push(sentence.replaceAll(directory, "@")),
    });
    for (const name of Object.keys(files)) files[name] = await Deno.readFile(`${directory}/${name}`);
    return outcome;
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
}

const hello = program((asm) => {
  sendText(asm, "hello\n");
  finish(asm, POWER_OFF);
}).bytes;

Deno.test("a kernel runs without firmware and its power-off is status 0", async () => {
  assertEquals(await run("-M virt -bios none -kernel @/k -nographic", { k: hello }), {
    status: 0,
    output: "hello\n",
    errors: [],
  });
});

Deno.test("the test finisher's code is the exit status", async () => {
  const k = program((asm) => finish(asm, 9 * 0x10000 + FAIL)).bytes;
  assertEquals((await run("-bios none -kernel @/k", { k })).status, 9);
});

Deno.test("input is fed to the guest, and its end does not stop the machine", async () => {
  const k = program((asm) => {
    asm.li(x.s0, UART);
    asm.label("wait");
    asm.lbu(x.t1, 5, x.s0);
    asm.andi(x.t1, x.t1, 1);
    asm.beqz(x.t1, "wait");
    asm.lbu(x.a0, 0, x.s0);
    send(asm, x.a0);
    asm.li(x.t1, "q".charCodeAt(0));
    asm.bne(x.a0, x.t1, "wait");
    sendText(asm, "!");
    finish(asm, POWER_OFF);
  }).bytes;
  const text = "0123456789".repeat(100);
  assertEquals((await run("-bios none -kernel @/k", { k }, [text, "\x01x", "q"])).output, `${text}\x01xq!`);
});

Deno.test("the UART can go to a file or to nowhere", async () => {
  const files = { k: hello, log: new Uint8Array(0) };
  const { status, output } = await run("-bios none -kernel @/k -serial file:@/log", files);
  assertEquals([status, output, new TextDecoder().decode(files.log)], [0, "", "hello\n"]);
  assertEquals((await run("-bios none -kernel @/k -serial null", { k: hello })).output, "");
});

Deno.test("virtio devices fill the slots from the last, in the order given", async () => {
  const k = program((asm) => {
    for (const slot of [7, 6, 5]) {
      asm.li(x.t0, 0x1000_1008 + slot * 0x1000);
      asm.lwu(x.a0, 0, x.t0);
      asm.addi(x.a0, x.a0, 48);
      send(asm, x.a0);
    }
    finish(asm, POWER_OFF);
  }).bytes;
  const devices = "-drive file=@/d,format=raw,if=none,id=d -device virtio-rng-device -device virtio-blk-device,drive=d";
  assertEquals((await run(`-bios none -kernel @/k ${devices}`, { k, d: new Uint8Array(512) })).output, "420");
});

Deno.test("a device tree that is none is named, and a device without end is not read for ever", async () => {
  const tree = await run("-bios none -dtb @/tree", { tree: new Uint8Array(100) });
  assertEquals(tree.errors, ["freehold: device tree '@/tree' is not a flattened device tree"]);
  if (Deno.build.os === "windows") return;
  const endless = await run("-bios none -dtb /dev/zero");
  assertEquals(endless.errors, ["freehold: device tree '/dev/zero' is no file, and does not end"]);
});

Deno.test("a virtio device goes where bus= says, and -global switches the slots to version 2", async () => {
  const k = program((asm) => {
    for (const register of [0x1000_1004, 0x1000_1008]) {
      asm.li(x.t0, register);
      asm.lwu(x.a0, 0, x.t0);
      asm.addi(x.a0, x.a0, 48);
      send(asm, x.a0);
    }
    finish(asm, POWER_OFF);
  }).bytes;
  const rng = "-bios none -kernel @/k -device virtio-rng-device,bus=virtio-mmio-bus.0";
  assertEquals((await run(rng, { k })).output, "14");
  assertEquals((await run(`${rng} -global virtio-mmio.force-legacy=false`, { k })).output, "24");
});

Deno.test("with -icount two runs print the same times", async () => {
  const k = program((asm) => {
    asm.csrr(x.a0, "time");
    sendHex(asm, x.a0, "time");
    finish(asm, POWER_OFF);
  }).bytes;
  const outputs = [1, 2].map(async () => (await run("-bios none -kernel @/k -icount shift=5", { k })).output);
  const [first, second] = await Promise.all(outputs);
  assertEquals(first?.length, 16);
  assertEquals(first, second);
});

Deno.test("-d guest_errors -D writes what devices complain of", async () => {
  const k = program((asm) => {
    asm.li(x.t0, 0x10_0000);
    asm.li(x.t1, 0x1234);
    asm.sw(x.t1, 0, x.t0);
    finish(asm, POWER_OFF);
  }).bytes;
  const files = { k, log: new Uint8Array(0) };
  await run("-bios none -kernel @/k -d guest_errors -D @/log", files);
  const log = new TextDecoder().decode(files.log);
  assert(log.includes("test-finisher: guest-error: unknown command 0x1234"), log);
});

Deno.test("dumpdtb writes a device tree with as many harts as asked for", async () => {
  const files = { dtb: new Uint8Array(0) };
  assertEquals((await run("-M virt,dumpdtb=@/dtb -smp 3", files)).status, 0);
  const cpus = readDeviceTree(files.dtb).root.children.find(({ name }) => name === "cpus");
  assertEquals(cpus?.children.map(({ name }) => name), ["cpu@0", "cpu@1", "cpu@2", "cpu-map"]);
});

Deno.test("dumpmap writes the memory map of the machine with its devices, and its addresses are the board's", async () => {
  const files = { map: new Uint8Array(0) };
  const { status, output } = await run("-M virt,dumpmap=@/map -bios none -m 64M -device virtio-rng-device,id=r", files);
  assertEquals([status, output], [0, ""]);
  const map = JSON.parse(new TextDecoder().decode(files.map)) as MemoryMap;
  const memory = map.spaces.find(({ name }) => name === "memory");
  const ranges = map.views[memory?.view ?? -1]?.ranges ?? [];
  const at = (name: string) => {
    const { id } = map.regions.find((region) => region.name === name) ?? {};
    return ranges.filter(({ region }) => region === id).map(({ start, size }) => [start, size]);
  };
  assertEquals(at("ram"), [["0x80000000", "0x4000000"]]);
  assert(map.owners.some(({ name, isDevice }) => name === "r" && isDevice));
});

Deno.test("help, version and lists go to standard output, with status 0", async () => {
  for (
    const [line, word] of [["-h", "-kernel FILE"], ["-version", "Freehold"], ["-device help", "virtio-blk-device"]]
  ) {
    const { status, output } = await run(line ?? "");
    assertEquals([status, output.includes(word ?? "")], [0, true], output);
  }
});

Deno.test("-d and -D write what the harts do, and at the end what the translator did, to a file", async () => {
  const files = { k: hello, log: new Uint8Array(0) };
  const { status, output } = await run("-bios none -kernel @/k -accel jit -d in_asm,int,jit -D @/log", files);
  assertEquals([status, output], [0, "hello\n"]);
  const log = new TextDecoder().decode(files.log);
  assert(log.includes("0x0000000000001000:  00000297  auipc t0,0x0\n"), log);
  assert(/^translated code:\n {2}regions +0 {2}of 0 made$/m.test(log), log);
});

Deno.test("a kernel whose symbol table is damaged is refused where a log would use it", async () => {
  const elf = writeElf(hello, 0x8000_0000, [{ name: "main", address: 0x8000_0000 }]);
  const k = elf.subarray(0, elf.length - 1);
  assertEquals((await run("-bios none -kernel @/k", { k })).status, 0);
  const { status, errors } = await run("-bios none -kernel @/k -d int", { k });
  assertEquals([status, errors], [1, [
    "freehold: kernel '@/k' is cut short or damaged: its ELF section headers lie outside",
  ]]);
});

const refused: [string, Record<string, Uint8Array>, string][] = [
  ["-kernel @/none -bios none", {}, "kernel '@/none' can't be read: there is no such file"],
  ["-kernel @ -bios none", {}, "kernel '@' is not a file"],
  ["-bios @/none", {}, "firmware '@/none' can't be read: there is no such file"],
  ["-bios @/b", { b: new Uint8Array(0) }, "firmware '@/b' is empty"],
  [
    "-bios none -kernel @/k -m 4M",
    { k: new Uint8Array(5 << 20) },
    "kernel '@/k' needs 5 MiB of memory, but the machine has 4 MiB; see -m",
  ],
  [
    "-bios none -kernel @/k",
    { k: hello.with(0, 0x7f).with(1, 0x45).with(2, 0x4c).with(3, 0x46) },
    "kernel '@/k' is an ELF file, but not one for 64-bit little-endian RISC-V",
  ],
  ["-bios none -initrd @/i", { i: hello }, "an initrd is of no use without a kernel; see -kernel"],
  ["-bios none -append quiet", {}, "-append is of no use without -kernel"],
  ["-bios none -kernel @/k -initrd @/i -m 64M", { k: hello, i: new Uint8Array(33 << 20) }, "does not fit"],
  ["-bios none -dtb @/d", { d: hello }, "is not a flattened device tree"],
  ["-bios none -drive file=@/none,format=raw", {}, "Cannot open image @/none"],
  [
    "-bios none -device virtio-net-device",
    {},
    "-device virtio-net-device: there is no such device; -device help lists them",
  ],
  ["-bios none -device virtio-blk-device", {}, "-device virtio-blk-device needs drive=ID of a -drive or -blockdev"],
  ["-bios none -device virtio-blk-device,drive=x", {}, "-device virtio-blk-device: drive: there is no drive 'x'"],
  ["-bios none -device virtio-rng-device,colour=red", {}, "-device virtio-rng-device has no property 'colour'"],
  ["-bios none -device virtconsole", {}, "needs a virtio-serial-bus, and there is none"],
  ["-bios none -device virtio-rng-device,bus=virtio-mmio-bus.8", {}, "but there is no such virtio-bus"],
  [`-bios none${" -device virtio-rng-device".repeat(9)}`, {}, "needs a virtio-bus, and all are taken"],
  ["-bios none -serial file:@/no/log", {}, "'@/no/log' can't be written"],
  ["-bios none -d guest_errors -D @/no/log", {}, "log file '@/no/log' can't be written"],
  ["-bios none -chardev stdio,id=a -serial stdio", {}, "two character devices ask for stdio"],
  ["-M virt,dumpdtb=@/no/dtb", {}, "dumpdtb=@/no/dtb"],
  ["-M virt,dumpmap=@/no/map -bios none", {}, "dumpmap=@/no/map"],
  ["-bios none -global virtio-mmio.colour=red", {}, "-global virtio-mmio.colour: there is no such property"],
];
for (const [line, files, sentence] of refused) {
  Deno.test(`${line} is refused with one sentence and status 1`, async () => {
    const { status, output, errors } = await run(line, files);
    assertEquals([status, output, errors.length], [1, "", 1], errors.join());
    assert(errors[0]?.startsWith("freehold: ") && errors[0].includes(sentence) && !errors[0].includes("\n"), errors[0]);
  });
}

Deno.test("a disk that two devices ask for is refused", async () => {
  const devices = "-device virtio-blk-device,drive=d -device virtio-blk-device,drive=d";
  const { status, errors } = await run(`-bios none -drive file=@/d,if=none,id=d ${devices}`, {
    d: new Uint8Array(512),
  });
  assertEquals(status, 1);
  assert(errors[0]?.includes("names a backend that device"), errors[0]);
});
