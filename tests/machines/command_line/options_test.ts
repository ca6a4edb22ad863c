import { assert, assertEquals, assertThrows } from "@std/assert";
import { OptionError } from "../../../machines/command_line/key_values.ts";
import { parseCommandLine } from "../../../machines/command_line/options.ts";
import type { CommandLine } from "../../../machines/command_line/request.ts";

const parse = (text: string) => parseCommandLine(text.split(" "));

const GIB = 2 ** 30;
const understood: [string, (line: CommandLine) => unknown, unknown][] = [
  ["-M virt -m 256", (l) => l.ramBytes, GIB / 4],
  ["-machine virt,accel=tcg -m 1.5G", (l) => l.ramBytes, 1.5 * GIB],
  ["-m size=3072M", (l) => l.ramBytes, 3 * GIB],
  ["--smp 4", (l) => l.harts, 4],
  ["-smp cpus=2,sockets=1,cores=2,threads=1", (l) => l.harts, 2],
  ["-smp sockets=2,cores=2", (l) => l.harts, 4],
  ["-cpu rv64,h=false,zba=false,zbb=false,zbc=false,zbs=false,sstc=true", (l) => l.harts, 1],
  ["-accel tcg,thread=single", (l) => l.harts, 1],
  ["-accel check,threshold=1,regions=64", (l) => [l.accelerator, l.translation], [
    "check",
    { threshold: 1, regions: 64 },
  ]],
  ["-bios none -kernel k -initrd i", (l) => [l.bios, l.kernel, l.initrd], ["none", "k", "i"]],
  ["-icount shift=0", (l) => l.clock, { shift: 0, sleep: true, base: "utc" }],
  ["-icount 7,sleep=off", (l) => l.clock, { shift: 7, sleep: false, base: "utc" }],
  ["-rtc base=2026-01-31T12:00:00", (l) => l.clock.base, Date.UTC(2026, 0, 31, 12) * 1e6],
  ["-no-reboot -nographic -monitor none -display none", (l) => l.rebootAllowed, false],
  ["-serial null", (l) => l.serial?.backend, "null"],
  ["-serial file:out.log", (l) => l.serial?.path, "out.log"],
  ["-serial chardev:c -chardev file,id=c,path=x", (l) => l.serial?.path, "x"],
  ["-drive file=a,format=raw,if=none,id=d,readonly=on", (l) => l.drives, [
    { id: "d", file: "a", readonly: true, snapshot: false, automatic: false },
  ]],
  ["-drive file=a,,b", (l) => [l.drives[0]?.file, l.drives[0]?.automatic], ["a,b", true]],
  ["-blockdev driver=file,filename=a,node-name=f -blockdev raw,file=f,node-name=r", (l) => l.drives[1]?.file, "a"],
  ["-device virtio-blk-device,drive=d,id=x", (l) => [l.devices[0]?.driver, l.devices[0]?.id], [
    "virtio-blk-device",
    "x",
  ]],
  ["-global virtio-mmio.force-legacy=false", (l) => l.globals, [
    { driver: "virtio-mmio", property: "force-legacy", value: "false" },
  ]],
  ["-d guest_errors,unimp -D log", (l) => l.log, { items: ["guest_errors", "unimp"], file: "log" }],
];
for (const [text, actual, expected] of understood) {
  Deno.test(`${text} is understood as QEMU understands it`, () => assertEquals(actual(parse(text)), expected));
}

const LATER = "Zicbom Zicboz Zicond", BITS = "Zba Zbb Zbc Zbs", OLDER = "Zihintpause Sstc";
const NO_BITS = "zba=false,zbb=false,zbc=false,zbs=false";
for (
  const [cpu, extensions, levels] of [
    ["rv64", `${LATER} ${BITS} ${OLDER}`, 5],
    ["max", `${LATER} ${BITS} ${OLDER}`, 5],
    ["rv64,zba=off,zicboz=no,zicond=true", `Zicbom Zicond Zbb Zbc Zbs ${OLDER}`, 5],
    ["rv64,Zihintpause=false,sstc=off,Zicsr=on,g=on,v=off", `${LATER} ${BITS}`, 5],
    [`rv64,h=false,${NO_BITS}`, OLDER, 5],
    [`rv64,h=false,${NO_BITS},zicboz=on`, `Zicboz ${OLDER}`, 5],
    ["rv64,sv57=off", `${LATER} ${BITS} ${OLDER}`, 4],
    ["rv64,sv48=on", `${LATER} ${BITS} ${OLDER}`, 4],
    ["rv64,sv48=off", `${LATER} ${BITS} ${OLDER}`, 3],
    ["rv64,sv39=off", `${LATER} ${BITS} ${OLDER}`, 0],
    ["rv64,mmu=off", `${LATER} ${BITS} ${OLDER}`, 0],
  ] as const
) {
  Deno.test(`-cpu ${cpu} makes harts with ${extensions || "no extensions"} and ${levels} levels of tables`, () => {
    const { features } = parse(`-cpu ${cpu}`);
    assertEquals([...features?.extensions ?? []].sort(), extensions.split(" ").sort());
    assertEquals(features?.levels, levels);
  });
}

const refused: [string, string][] = [
  ["-frobnicate", "-frobnicate is not a known option"],
  ["disk.img", "'disk.img' is not an option; a disk image is given with -drive"],
  ["-kernel", "-kernel needs a value"],
  ["-M pc", "there is no such machine"],
  ["-M virt,colour=red", "does not know 'colour'"],
  ["-m 4G", "from 1M to 3G"],
  ["-m lots", "must be a size such as 256M or 1G, not 'lots'"],
  ["-m 0", "from 1M to 3G"],
  ["-smp 9", "must be a number from 1 to 8, not '9'"],
  ["-smp 0", "from 1 to 8"],
  ["-smp cores=8,sockets=2", "at most 8 harts"],
  ["-cpu sifive-u54", "there is no such CPU"],
  ["-cpu rv64,h=true", "-cpu h=on is not supported: the harts don't have that"],
  ["-cpu rv64,zbb=maybe", "-cpu: zbb must be on or off, not 'maybe'"],
  ["-cpu rv64,frob=on", "-cpu does not know 'frob'; it knows zicbom, zicboz,"],
  ["-cpu rv64,pmu-num=3", "-cpu does not know 'pmu-num'"],
  ["-cpu rv64,sv48=off,sv57=on", "-cpu sv57=on needs sv48 too, and sv48=off switches it off"],
  ["-cpu rv64,mmu=off,sv39=on", "-cpu sv39=on needs the MMU"],
  ["-cpu rv64,f=false", "-cpu f=off is not supported: every hart is RV64GC"],
  ["-accel kvm", "accel=kvm is not supported; possible: interp, jit, check, tcg"],
  ["-accel jit,threshold=0", "-accel: threshold must be a number from 1 to 65535, not '0'"],
  ["-accel jit,regions=40000", "-accel: regions must be a number from 1 to 32768"],
  ["-drive format=raw", "-drive needs file=…"],
  ["-drive file=a,format=qcow2", "format=qcow2 is not supported; possible: raw"],
  ["-drive file=a,id=d -drive file=b,id=d", "there are two drives 'd'"],
  ["-drive file=a,", "an item of the list is empty"],
  ["-drive file=a,readonly=maybe", "readonly must be on or off, not 'maybe'"],
  ["-chardev socket,id=c,port=1", "backend=socket is not supported; possible: stdio, null, file"],
  ["-chardev null", "-chardev needs id=…"],
  ["-serial pty", "-serial pty is not supported"],
  ["-serial chardev:nowhere", "there is no chardev 'nowhere'"],
  ["-serial stdio -serial stdio", "the board has one UART"],
  ["-monitor stdio", "monitors come later"],
  ["-display gtk", "there is no display"],
  ["-S", "-S is not supported yet"],
  ["-icount shift=99", "-icount: shift must be a number from 0 to 10"],
  ["-rtc base=yesterday", "write utc, localtime or a date"],
  ["-d nonsense", "there is no such log item"],
];
for (const [text, sentence] of refused) {
  Deno.test(`${text} is refused with a sentence`, () => {
    const error = assertThrows(() => parse(text), OptionError, sentence);
    assertEquals(error.message.includes("\n"), false);
  });
}

Deno.test("help names every option and gives examples", () => {
  const text = parse("-h").print ?? "";
  for (const word of ["-kernel FILE", "-drive file=", "Ctrl-A x", "Examples:"]) assert(text.includes(word));
});

Deno.test("the machines, CPUs and log items are listed on request", () => {
  assert(parse("-M help").print ?? "".includes("virt"));
  assert(parse("-cpu help").print ?? "".includes("rv64"));
  const items = parse("-d help").print ?? "";
  for (const item of ["in_asm", "out_asm", "op", "exec", "int", "mmu", "jit", "guest_errors", "unimp"]) {
    assert(RegExp(`^${item} `, "m").test(items), item);
  }
});
