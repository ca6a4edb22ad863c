import { assert, assertEquals, assertThrows } from "@std/assert";
import {
  bringsOwnGuest,
  machineArguments,
  onlyAsks,
  parseJobOptions,
  peerCommand,
  UsageError,
} from "../../../machines/linux/arguments.ts";

const FILES = { kernel: "/c/vmlinux", firmware: "/c/fw.bin", busybox: "/c/busybox", modules: "/c/modules" };
const valueOf = (args: string[], name: string) => args[args.lastIndexOf(name) + 1] ?? "";

Deno.test("the job takes its own options and leaves the machine's", () => {
  const options = parseJobOptions(["-smp", "2", "--exec", "uname -a", "--update", "-m", "1G"]);
  assertEquals(options.command, "uname -a");
  assertEquals(options.update, true);
  assertEquals(options.machine, ["-smp", "2", "-m", "1G"]);
  assertEquals(parseJobOptions(["--exec=exit 3"]).command, "exit 3");
});

Deno.test("an --exec that cannot work is refused", () => {
  assertThrows(() => parseJobOptions(["--exec"]), UsageError, "--exec needs a command");
  assertThrows(() => parseJobOptions(["--exec", "true", "-kernel", "Image"]), UsageError, "without -kernel");
});

Deno.test("the user's options prevail, and -append adds to the kernel's arguments", () => {
  const args = machineArguments("batch", FILES, "/t/i.cpio", "/t/status", ["-append", "foo=1 bar", "-m", "64M"]);
  assertEquals(valueOf(args, "-m"), "64M");
  assertEquals(args.filter((arg) => arg === "-append").length, 1);
  assert(valueOf(args, "-append").endsWith("session=batch foo=1 bar"));
  assertEquals(valueOf(args, "-initrd"), "/t/i.cpio");
});

Deno.test("an exec session keeps the serial line to the command and reports the status through a virtio port", () => {
  const args = machineArguments("exec", FILES, "/t/i.cpio", "/t,x/status", []);
  assert(valueOf(args, "-append").includes("quiet console=hvc0"));
  assertEquals(valueOf(args, "-chardev"), "file,id=status,path=/t,,x/status");
  assertEquals(valueOf(args, "-device"), "virtserialport,chardev=status,name=org.freehold.status");
  assert(args.includes("-no-reboot"));
});

Deno.test("an interactive session tells the guest about the terminal", () => {
  const args = machineArguments("interactive", FILES, "/i", "/s", [], { type: "vt220", rows: 24, columns: 80 });
  assert(valueOf(args, "-append").endsWith("session=interactive TERM=vt220 LINES=24 COLUMNS=80"));
  assert(!args.includes("-no-reboot"), "a reboot from the shell is a reboot");
});

Deno.test("nothing is fetched for a guest of the user's own or for a mere question", () => {
  for (const own of [["-kernel", "x"], ["--initrd", "x"]]) assert(bringsOwnGuest(own));
  assert(!bringsOwnGuest(["-append", "kernel"]));
  for (const question of [["-version"], ["-M", "help"], ["-device", "?"]]) assert(onlyAsks(question));
  assert(!onlyAsks(["-m", "1G"]));
});

Deno.test("the peer's command line can be pasted into a shell", () => {
  const command = peerCommand(["-append", "a b's"]);
  assert(command.startsWith("qemu-system-riscv64 -cpu rv64,h=false,"));
  assert(command.endsWith(`-append 'a b'\\''s'`));
});
