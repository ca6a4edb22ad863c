/**
 * Debian's kernel says the same on our machine and on the peer, from the firmware's banner to power-off, and its drivers
 * work. Without Debian's files in the cache (`deno task linux` fetches them) the test is ignored.
 */

import { assert, assertEquals } from "@std/assert";
import { cachedDebianFiles, type DebianFiles, NoCacheDirectoryError } from "../../machines/debian_cache.ts";
import { buildInitramfs } from "../../machines/linux/initramfs.ts";
import { runCommandLine } from "../../machines/main.ts";
import { ignoredWithout, PEER, PEER_CPU } from "./peer.ts";

/** Lines that depend on speed, on the date, or on what the peer's board has and ours has not. */
const UNCOMPARED: readonly RegExp[] = [
  /deferred pages initialised in/,
  /audit: type=2000 audit\(/,
  /Ratio of byte access time to unaligned word access/,
  /setting system clock to/,
  /random: crng init done/,
  // Said by a worker, whenever it is its turn.
  /Trying to unpack rootfs image|Freeing initrd memory/,
  /Calibrating delay loop|clocksource: .* max_idle_ns/,
  // The host bridge of PCI, and debug triggers.
  /^pci|^Experimental SBI Extensions|^Boot HART Debug Triggers/,
  // The device tree without the PCI node is shorter: what is allocated above it moves by some pages.
  /NODE_DATA\(0\) allocated|Memory: \d+K\/\d+K available/,
  // Which hart this is: implementation defined.
  /^(marchid|mimpid)\s/,
];

const COMMAND = [
  "cat /proc/cpuinfo",
  "cat /sys/class/misc/hw_random/rng_available",
  "head -c 4096 /dev/vda | md5sum",
  "echo written | dd of=/dev/vda bs=512 seek=3 conv=sync 2>/dev/null",
  "sync",
  "dd if=/dev/vda bs=512 skip=3 count=1 2>/dev/null | head -n 1",
  "grep -c . /proc/interrupts",
  "awk 'BEGIN { for (i = 1; i <= 5; i++) print i / 7, i * 1e300 * 1e10 }'",
].join("\n");

function cached(): DebianFiles | undefined {
  try {
    return cachedDebianFiles();
  } catch (error) {
    if (error instanceof NoCacheDirectoryError) return undefined;
    throw error;
  }
}

const files = cached();
if (files === undefined) console.log("Ignored: Debian's files are not in the cache; deno task linux fetches them.");

function machine(files: DebianFiles, directory: string, disk: string): string[] {
  return [
    ...["-M", "virt", "-cpu", PEER_CPU, "-m", "256M", "-bios", files.firmware, "-kernel", files.kernel],
    ...["-initrd", `${directory}/initramfs.cpio`, "-append", "printk.time=0 console=ttyS0 panic=-1 session=exec"],
    ...["-display", "none", "-serial", "stdio", "-monitor", "none", "-no-reboot"],
    ...["-drive", `file=${directory}/${disk},format=raw,if=none,id=disk`, "-device", "virtio-blk-device,drive=disk"],
    ...["-device", "virtio-rng-device", "-chardev", `file,id=status,path=${directory}/${disk}.status`],
    ...["-device", "virtio-serial-device", "-device", "virtserialport,chardev=status,name=org.freehold.status"],
  ];
}

const comparedLines = (output: string) =>
  output.split(/\r?\n/).filter((line) => !UNCOMPARED.some((pattern) => pattern.test(line)));

Deno.test({
  name: "Debian's kernel prints the same here and on the peer, and finds and uses the same devices",
  ignore: files === undefined || ignoredWithout(PEER),
  async fn() {
    if (files === undefined) return;
    const directory = await Deno.makeTempDir();
    try {
      await Deno.writeFile(`${directory}/initramfs.cpio`, buildInitramfs(files, COMMAND));
      const content = Uint8Array.from({ length: 1 << 20 }, (_, i) => i * 7 + (i >> 8));
      for (const disk of ["ours.img", "peer.img"]) await Deno.writeFile(`${directory}/${disk}`, content);
      const peer = new Deno.Command(PEER, { args: machine(files, directory, "peer.img"), stdin: "null" }).output();
      let output = "";
      const decoder = new TextDecoder("latin1");
      const status = await runCommandLine(machine(files, directory, "ours.img"), {
        inputIsTerminal: false,
        async *input() {},
        output: (bytes) => void (output += decoder.decode(bytes)),
      });
      assertEquals(status, 0);
      const ours = comparedLines(output);
      assertEquals(ours, comparedLines(decoder.decode((await peer).stdout)));
      assert(ours.includes("written"), "the guest reads back what it wrote");
      assert(ours.some((line) => line.includes("reboot: Power down")), "the guest powered off");
      assertEquals(await Deno.readFile(`${directory}/ours.img`), await Deno.readFile(`${directory}/peer.img`));
    } finally {
      await Deno.remove(directory, { recursive: true });
    }
  },
});

const JOB = new URL("../../machines/linux/main.ts", import.meta.url).pathname;

async function job(args: string[], input: string): Promise<{ status: number; output: string }> {
  const child = new Deno.Command(Deno.execPath(), {
    args: ["run", "-q", "-P=linux", "--no-check", JOB, ...args],
    stdin: "piped",
    stdout: "piped",
    stderr: "null",
  }).spawn();
  const writer = child.stdin.getWriter();
  await writer.write(new TextEncoder().encode(input));
  await writer.close();
  const { code, stdout } = await child.output();
  return { status: code, output: new TextDecoder().decode(stdout) };
}

Deno.test({
  name: "the Linux job runs a command on its input and returns its output and status",
  ignore: files === undefined,
  async fn() {
    const { status, output } = await job(["--exec", "tr a-z A-Z; exit 7"], "first\nsecond");
    assertEquals({ status, output }, { status: 7, output: "FIRST\nSECOND" });
  },
});

Deno.test({
  name: "without a terminal the shell reads the job's input, and at its end the guest powers off",
  ignore: files === undefined,
  async fn() {
    const { status, output } = await job([], "echo sum $((20 + 22))\nfalse");
    assertEquals(status, 0);
    assert(output.includes("\nsum 42\r\n"), output.slice(-500));
    assert(output.trimEnd().endsWith("reboot: Power down"), output.slice(-500));
  },
});
