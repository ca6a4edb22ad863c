import { assert } from "@std/assert";
import { createVirt } from "../../../machines/virt/machine.ts";

const FIRMWARE = "/usr/lib/riscv64-linux-gnu/opensbi/generic/fw_dynamic.bin";
const bytes = await Deno.readFile(FIRMWARE).catch(() => undefined);

for (const harts of [1, 4]) {
  Deno.test({
    name: `Debian's OpenSBI finds every device that it looks for, on ${harts} harts`,
    ignore: bytes === undefined,
    fn: async () => {
      let output = "";
      const machine = createVirt({
        harts,
        firmware: { name: FIRMWARE, bytes: bytes ?? new Uint8Array(0) },
        onOutput(byte) {
          output += String.fromCharCode(byte);
          if (output.includes("MEDELEG")) machine.stop();
        },
      });
      const impatience = setTimeout(() => machine.stop(), 10_000);
      await machine.run();
      clearTimeout(impatience);
      machine.dispose();
      for (
        const line of [
          "OpenSBI v",
          /Platform Name +: riscv-virtio,qemu/,
          RegExp(`Platform HART Count +: ${harts}`),
          /Platform IPI Device +: aclint-mswi/,
          /Platform Timer Device +: aclint-mtimer @ 10000000Hz/,
          /Platform Console Device +: uart8250/,
          /Platform Reboot Device +: sifive_test/,
          /Platform Shutdown Device +: sifive_test/,
          /Boot HART ISA Extensions +: time,sstc/,
          /Boot HART PMP Count +: 16/,
        ]
      ) assert(output.search(line) >= 0, `no ${line} in:\n${output}`);
    },
  });
}
