/**
 * Our machine beside the peer's, the same guest on both, whole processes from start to end: a boot of Debian, and small
 * programs of our own for integer, floating-point and device speed.
 *
 *     deno task bench:peers [PAIRS]
 *
 * Runs alternate, so that what else the host does hits both alike; shown are medians, and of the ratios the median of the
 * pairs. Nothing here is a test: figures depend on the host, which the calibration loop rates.
 */

import { cachedDebianFiles } from "../machines/debian_cache.ts";
import { buildInitramfs } from "../machines/linux/initramfs.ts";
import { type Assembler, assembler } from "../machines/riscv/assemble.ts";
import { f, x } from "../machines/riscv/registers.ts";

const PEER = "qemu-system-riscv64";
const CPU = [
  "-M",
  "virt",
  "-cpu",
  "rv64,h=false,zba=false,zbb=false,zbc=false,zbs=false",
  "-accel",
  "tcg,thread=single",
];
const QUIET = ["-display", "none", "-monitor", "none", "-no-reboot"];
const MAIN = new URL("../machines/main.ts", import.meta.url).pathname;

const { zero, t0, t1, t2, t3, a0, a1 } = x;
const RAM = 0x8000_0000n, FINISHER = 0x10_0000n, UART_LINE_STATUS = 0x1000_0005n;
const POWER_OFF = 0x5555n;

interface Workload {
  readonly name: string;
  /** The machine's arguments after those that all share. */
  readonly args: readonly string[];
  /** Instructions that the guest executes, where it is known. */
  readonly instructions?: number;
}

/** A raw image at the start of RAM: `body` once per iteration with a0 counting down, then power-off. */
function program(iterations: bigint, body: (asm: Assembler) => void): Uint8Array {
  const asm = assembler();
  asm.li(t0, 0x6000n);
  asm.csrrs(zero, 0x300, t0); // floating point on
  asm.li(a1, UART_LINE_STATUS);
  asm.li(t1, 88172645463325252n);
  asm.fcvt_d_l(f.fa0, t1);
  asm.fcvt_d_l(f.fa1, t0);
  asm.li(a0, iterations);
  asm.label("again");
  body(asm);
  asm.addi(a0, a0, -1);
  asm.bnez(a0, "again");
  asm.li(t0, FINISHER);
  asm.li(t1, POWER_OFF);
  asm.sw(t1, 0, t0);
  asm.label("stop");
  asm.j("stop");
  return asm.finish({ base: RAM }).bytes;
}

function xorshift(asm: Assembler) {
  asm.slli(t2, t1, 13);
  asm.xor(t1, t1, t2);
  asm.srli(t2, t1, 7);
  asm.xor(t1, t1, t2);
  asm.slli(t2, t1, 17);
  asm.xor(t1, t1, t2);
  asm.mul(t3, t1, t2);
  asm.add(t3, t3, t1);
}

function multiplyAdd(asm: Assembler) {
  asm.fmadd_d(f.fa2, f.fa0, f.fa1, f.fa2);
  asm.fadd_d(f.fa3, f.fa2, f.fa1);
}

async function workloads(directory: string): Promise<Workload[]> {
  const found: Workload[] = [];
  const files = cachedDebianFiles();
  if (files === undefined) console.log("Without Debian's files (deno task linux fetches them) nothing is booted.");
  else {
    const initramfs = `${directory}/initramfs.cpio`;
    await Deno.writeFile(initramfs, buildInitramfs(files, "true"));
    const image = ["-bios", files.firmware, "-kernel", files.kernel, "-initrd", initramfs, "-m", "256M"];
    // Init reports through this port before it powers off.
    const port = ["-chardev", `file,id=status,path=${directory}/status`, "-device", "virtio-serial-device"];
    port.push("-device", "virtserialport,chardev=status,name=org.freehold.status");
    const append = ["-append", "console=ttyS0 session=exec"];
    found.push({ name: "Debian boot to power-off", args: [...image, ...append, ...port] });
  }
  const programs = [
    { name: "integer loop", iterations: 50_000_000, perIteration: 10, body: xorshift },
    { name: "multiply-add loop", iterations: 20_000_000, perIteration: 4, body: multiplyAdd },
    {
      name: "UART register reads",
      iterations: 1_000_000,
      perIteration: 3,
      body: (asm: Assembler) => asm.lbu(t2, 0, a1),
    },
  ];
  for (const { name, iterations, perIteration, body } of programs) {
    const image = `${directory}/${name.replaceAll(" ", "-")}.bin`;
    await Deno.writeFile(image, program(BigInt(iterations), body));
    found.push({ name, args: ["-bios", image, "-m", "32M"], instructions: iterations * perIteration });
  }
  return found;
}

/** Seconds that a process took, start to end. */
async function time(command: string, args: readonly string[]): Promise<number> {
  const start = performance.now();
  const child = new Deno.Command(command, { args: [...args], stdin: "null", stdout: "null", stderr: "piped" });
  const { success, stderr } = await child.output();
  if (!success) throw new Error(`${command} failed: ${new TextDecoder().decode(stderr)}`);
  return (performance.now() - start) / 1000;
}

const runOurs = (args: readonly string[]) =>
  time(Deno.execPath(), ["run", "-q", "--allow-read", "--allow-write", "--no-check", MAIN, ...args]);

function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = sorted.length >> 1;
  const upper = sorted[middle] ?? NaN;
  return sorted.length % 2 === 1 ? upper : (upper + (sorted[middle - 1] ?? NaN)) / 2;
}

/** Nanoseconds a round of a fixed loop: what this host is worth now. */
function calibrate(): number {
  const start = performance.now();
  let sum = 0;
  for (let i = 0; i < 1e8; i++) sum = (sum * 31 + i) | 0;
  return sum === 1 ? 0 : (performance.now() - start) * 1e6 / 1e8;
}

async function compare(workload: Workload, pairs: number): Promise<string> {
  const args = [...CPU, ...QUIET, "-serial", "stdio", ...workload.args];
  const ours: number[] = [], peer: number[] = [];
  for (let pair = 0; pair < pairs; pair++) {
    ours.push(await runOurs(args));
    peer.push(await time(PEER, args));
  }
  const ratio = median(ours.map((seconds, pair) => seconds / (peer[pair] ?? NaN)));
  const speed = (seconds: number) =>
    workload.instructions === undefined ? "" : (workload.instructions / seconds / 1e6).toFixed(0);
  const columns = [
    workload.name.padEnd(26),
    median(ours).toFixed(2).padStart(8),
    median(peer).toFixed(2).padStart(8),
    ratio.toFixed(2).padStart(7),
    speed(median(ours)).padStart(10),
    speed(median(peer)).padStart(10),
  ];
  return columns.join(" ");
}

const pairs = Number(Deno.args[0] ?? 3);
const directory = await Deno.makeTempDir();
try {
  console.log(`Medians of ${pairs} paired runs, whole processes; MIPS include their start.`);
  console.log("guest                        ours s   QEMU s   ratio  ours MIPS  QEMU MIPS");
  for (const workload of await workloads(directory)) console.log(await compare(workload, pairs));
  console.log(`calibration loop: ${calibrate().toFixed(2)} ns a round`);
} finally {
  await Deno.remove(directory, { recursive: true });
}
