/** Bare-metal programs on our board and on QEMU's: the same output, byte for byte, and the same exit status. */
import { assert, assertEquals } from "@std/assert";
import type { Assembler } from "../../../machines/riscv/assemble.ts";
import { x } from "../../../machines/riscv/registers.ts";
import { FAIL, finish, POWER_OFF, program, RESET, runToEnd, sendHex, sendText } from "./program.ts";

const QEMU = "qemu-system-riscv64";
const hasQemu = await new Deno.Command(QEMU, { args: ["--version"], stdout: "null", stderr: "null" }).output()
  .then((out) => out.success, () => false);
const PEER = [
  "-M",
  "virt",
  "-cpu",
  "rv64,h=false,zba=false,zbb=false,zbc=false,zbs=false",
  "-bios",
  "none",
  "-nographic",
];

function same(
  name: string,
  options: { harts?: number; mebibytes?: number; lines: number },
  write: (asm: Assembler) => void,
) {
  Deno.test({
    name: `${name}: as on the peer`,
    ignore: !hasQemu,
    fn: async () => {
      const { harts = 1, mebibytes = 128, lines } = options;
      const kernel = program(write);
      const path = await Deno.makeTempFile();
      try {
        await Deno.writeFile(path, kernel.bytes);
        const args = [...PEER, "-no-reboot", "-smp", String(harts), "-m", `${mebibytes}M`, "-kernel", path];
        const peer = new Deno.Command(QEMU, { args, stdin: "null", stdout: "piped", stderr: "null" });
        const [theirs, ours] = await Promise.all([
          peer.output(),
          runToEnd({ kernel, harts, ramBytes: mebibytes * 2 ** 20, rebootAllowed: false }),
        ]);
        assertEquals(ours.output, new TextDecoder().decode(theirs.stdout));
        assertEquals(ours.exit.status, theirs.code);
        assert(ours.output.split("\n").length > lines, `only:\n${ours.output}`);
      } finally {
        await Deno.remove(path);
      }
    },
  });
}

/** Prints registers and values under their names. */
class Report {
  #values = 0;

  constructor(readonly asm: Assembler) {}

  show(name: string, register: number): void {
    const { asm } = this;
    asm.mv(x.s1, register);
    sendText(asm, `${name} `);
    sendHex(asm, x.s1, `value ${this.#values++}`);
    sendText(asm, "\n");
  }

  /** What is at a physical address. */
  load(name: string, address: number, instruction: "lbu" | "lwu" | "ld" = "lwu"): void {
    this.asm.li(x.s1, address);
    this.asm[instruction](x.s1, 0, x.s1);
    this.show(name, x.s1);
  }
}

for (const [harts, mebibytes] of [[1, 128], [4, 3072]] as const) {
  same(`what ${harts} harts and ${mebibytes} MiB start with`, { harts, mebibytes, lines: 40 }, (asm) => {
    for (const [register, keep] of [[x.t0, x.s2], [x.t1, x.s3], [x.t2, x.s4]] as const) asm.mv(keep, register);
    asm.beqz(x.a0, "first");
    asm.label("park");
    asm.wfi();
    asm.j("park");
    asm.label("first");
    const report = new Report(asm);
    const { ra, sp, gp, tp, s0, s2, s3, s4, s5, s11, a0, a1, a2, a3, a7, t3, t6 } = x;
    for (const register of [ra, sp, gp, tp, s0, s2, s3, s4, s5, s11, a0, a1, a2, a3, a7, t3, t6]) {
      report.show(`x${register}`, register);
    }
    const csrs = [
      "misa",
      "mvendorid",
      "mhartid",
      "mstatus",
      "mie",
      "mip",
      "mtvec",
      "medeleg",
      "mideleg",
      "satp",
    ] as const;
    for (const name of csrs) {
      asm.csrr(s5, name);
      report.show(name, s5);
    }
    for (let i = 0; i < 12; i++) report.load(`reset vector ${i}`, 0x1000 + 8 * i, "ld");
    asm.mv(s5, a1);
    for (const field of [0, 20, 24]) {
      asm.lwu(x.s1, field, s5);
      report.show(`device tree header ${field}`, x.s1);
    }
    finish(asm, POWER_OFF);
  });
}

same("the devices' registers after reset", { lines: 14 }, (asm) => {
  const report = new Report(asm);
  for (const offset of [1, 2, 3, 4, 5, 6, 7]) report.load(`UART ${offset}`, 0x1000_0000 + offset, "lbu");
  report.load("PLIC priority 10", 0xc00_0028);
  report.load("PLIC enable", 0xc00_2000);
  report.load("PLIC claim", 0xc20_0004);
  report.load("MSIP", 0x200_0000);
  for (const slot of [0, 7]) {
    for (const offset of [0, 4, 8, 12, 0x70]) {
      report.load(`virtio ${slot} ${offset}`, 0x1000_1000 + slot * 0x1000 + offset);
    }
  }
  report.load("finisher", 0x10_0000);
  finish(asm, POWER_OFF);
});

for (
  const [name, value] of [["power-off", POWER_OFF], ["failure 37", 37 * 0x10000 + FAIL], ["reset", RESET]] as const
) {
  same(`the exit status after ${name}`, { lines: 0 }, (asm) => finish(asm, value));
}
