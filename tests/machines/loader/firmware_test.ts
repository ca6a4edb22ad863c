import { assertEquals, assertThrows } from "@std/assert";
import { type BootFiles, planBoot } from "../../../machines/loader/firmware.ts";
import { type DeviceTree, findNode, node, readDeviceTree } from "../../../machines/loader/flattened_device_tree.ts";
import { ImageError } from "../../../machines/loader/part.ts";

const RAM = 0x8000_0000;
const MIB = 2 ** 20;

function plan(files: BootFiles, ramBytes: number) {
  const tree: DeviceTree = { root: node("", {}), reservations: [] };
  const { parts, resetVector } = planBoot(files, RAM, ramBytes, tree, (bytes) => bytes.fill(7));
  const placed = Object.fromEntries(parts.map((part) => [part.what.split(" ")[0], part.address]));
  const last = parts.at(-1);
  const chosen = findNode(readDeviceTree(last?.bytes ?? new Uint8Array(0)), "/chosen")?.properties;
  return { placed, chosen, resetVector };
}

const file = (name: string, size: number) => ({ name, bytes: new Uint8Array(size).fill(1) });

Deno.test("the kernel follows the firmware at the next 2 MiB, the initrd 128 MiB above it, the device tree ends RAM", () => {
  const { placed, chosen } = plan({
    firmware: file("fw", 3 * MIB),
    kernel: file("k", 100),
    initrd: file("i", 0x1234),
    append: "quiet",
  }, 512 * MIB);
  assertEquals(placed, { firmware: RAM, kernel: 0x8040_0000, initrd: 0x8840_0000, the: 0x9fe0_0000 });
  assertEquals(chosen?.get("linux,initrd-start"), Uint8Array.of(0x88, 0x40, 0, 0));
  assertEquals(chosen?.get("linux,initrd-end"), Uint8Array.of(0x88, 0x40, 0x12, 0x34));
  assertEquals(new TextDecoder().decode(chosen?.get("bootargs")), "quiet\0");
  assertEquals(chosen?.get("rng-seed"), new Uint8Array(32).fill(7));
});

Deno.test("in less than 256 MiB the initrd starts half way up", () => {
  assertEquals(plan({ kernel: file("k", 100), initrd: file("i", 100) }, 64 * MIB).placed.initrd, RAM + 32 * MIB);
});

Deno.test("the device tree stays below 3 GiB however much RAM there is", () => {
  assertEquals(plan({}, 3072 * MIB).placed.the, 0xbfe0_0000);
});

Deno.test("without firmware a flat kernel is at the start of RAM, where the reset vector jumps", () => {
  const { placed, resetVector } = plan({ kernel: file("k", 100) }, 128 * MIB);
  assertEquals(placed.kernel, RAM);
  const view = new DataView(resetVector.buffer);
  assertEquals(view.getBigUint64(24, true), 0x8000_0000n);
  assertEquals(view.getBigUint64(32, true), 0x87e0_0000n);
});

Deno.test("fw_dynamic says magic, version 2, the kernel's address, supervisor mode, no options and boot hart 0", () => {
  const view = new DataView(plan({ firmware: file("fw", 100), kernel: file("k", 1) }, 128 * MIB).resetVector.buffer);
  const words = [0, 1, 2, 3, 4, 5].map((i) => view.getBigUint64(40 + 8 * i, true));
  assertEquals(words, [0x4942534fn, 2n, 0x8020_0000n, 1n, 0n, 0n]);
});

Deno.test("what does not fit is refused with a sentence", () => {
  assertThrows(() => plan({ kernel: file("k", 40 * MIB) }, 32 * MIB), ImageError, "needs 40 MiB of memory");
  assertThrows(() => plan({ kernel: file("k", 9), initrd: file("i", 20 * MIB) }, 32 * MIB), ImageError, "does not fit");
  assertThrows(() => plan({ kernel: file("k", 31 * MIB) }, 32 * MIB), ImageError, "overlaps the device tree");
  assertThrows(() => plan({ initrd: file("i", 9) }, 32 * MIB), ImageError, "no use without a kernel");
});
