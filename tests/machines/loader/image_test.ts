import { assertEquals, assertThrows } from "@std/assert";
import { gzipSync } from "node:zlib";
import { readFirmware, readKernel } from "../../../machines/loader/image.ts";
import { checkPlacement, fromRamOn, ImageError } from "../../../machines/loader/part.ts";

const BASE = 0x8020_0000;
const RAM_BYTES = 16 << 20;
const encoder = new TextEncoder();

/** An ELF file of one segment: `bytes` at `address`, followed by `zeros`. */
function elf(address: number, bytes: Uint8Array, zeros: number, machine = 243): Uint8Array {
  const file = new Uint8Array(120 + bytes.length);
  const view = new DataView(file.buffer);
  file.set([0x7f, 0x45, 0x4c, 0x46, 2, 1, 1]);
  view.setUint16(18, machine, true);
  view.setBigUint64(24, 0x1234n, true); // an entry point, which nobody uses
  view.setBigUint64(32, 64n, true);
  view.setUint16(54, 56, true);
  view.setUint16(56, 1, true);
  view.setUint32(64, 1, true);
  view.setBigUint64(72, 120n, true);
  view.setBigUint64(80, 0xffff_ffff_8000_0000n, true); // virtual address: not where it goes
  view.setBigUint64(88, BigInt(address), true);
  view.setBigUint64(96, BigInt(bytes.length), true);
  view.setBigUint64(104, BigInt(bytes.length + zeros), true);
  file.set(bytes, 120);
  return file;
}

/** A flat Image with an EFI stub whose one section ends at `fileBytes`. */
function efiImage(fileBytes: number, memoryBytes: number): Uint8Array {
  const file = new Uint8Array(fileBytes);
  const view = new DataView(file.buffer);
  file.set(encoder.encode("MZ"));
  view.setBigUint64(16, BigInt(memoryBytes), true);
  file.set(encoder.encode("RISCV\0\0\0RSC\x05"), 0x30);
  view.setUint32(0x3c, 64, true);
  view.setUint16(64 + 6, 1, true);
  view.setUint16(64 + 20, 0, true);
  view.setUint32(88 + 16, fileBytes - 512, true);
  view.setUint32(88 + 20, 512, true);
  return file;
}

Deno.test("an ELF kernel goes to its physical addresses, with zeros after what the file holds", () => {
  const [part] = readKernel({ name: "vmlinux", bytes: elf(0x8100_0000, encoder.encode("code"), 12) }, BASE, RAM_BYTES);
  assertEquals(part?.address, 0x8100_0000);
  assertEquals(part?.bytes, encoder.encode("code"));
  assertEquals(part?.size, 16);
});

Deno.test("ELF headers in the page below RAM are left out, a segment that lies there wholly is refused", () => {
  const RAM = 0x8000_0000;
  const bytes = encoder.encode("headers and code");
  const load = (address: number) => {
    const parts = readKernel({ name: "k", bytes: elf(address, bytes, 4) }, BASE, RAM_BYTES).map((part) =>
      fromRamOn(part, RAM)
    );
    checkPlacement(parts, RAM, 1 << 20);
    return parts[0];
  };
  const part = load(RAM - 12);
  assertEquals([part?.address, part?.size], [RAM, 8]);
  assertEquals(part?.bytes, encoder.encode("code"));
  assertThrows(() => load(RAM - 20), ImageError, "does not fit");
});

Deno.test("a flat kernel goes where the loader says and takes the memory that its header asks for", () => {
  const [part] = readKernel({ name: "Image", bytes: efiImage(4096, 10_000) }, BASE, RAM_BYTES);
  assertEquals([part?.address, part?.bytes.length, part?.size], [BASE, 4096, 10_000]);
});

Deno.test("a kernel compressed with gzip is unpacked first", () => {
  const [part] = readKernel(
    { name: "Image.gz", bytes: new Uint8Array(gzipSync(efiImage(4096, 10_000))) },
    BASE,
    RAM_BYTES,
  );
  assertEquals([part?.bytes.length, part?.size], [4096, 10_000]);
});

Deno.test("flat firmware goes to the start of memory as it is", () => {
  const [part] = readFirmware({ name: "fw.bin", bytes: encoder.encode("firmware") }, 0x8000_0000);
  assertEquals([part?.address, part?.size], [0x8000_0000, 8]);
});

const whole = elf(BASE, encoder.encode("code"), 12);
const refused: [string, Uint8Array, string][] = [
  ["empty", new Uint8Array(0), "kernel 'k' is empty"],
  [
    "an ELF file cut inside its header",
    whole.subarray(0, 40),
    "kernel 'k' is cut short: it ends inside its ELF header",
  ],
  ["an ELF file cut inside its table", whole.subarray(0, 100), "ends inside its ELF program headers"],
  ["an ELF file cut inside a segment", whole.subarray(0, 122), "an ELF segment ends at byte 124 of the file"],
  ["for another machine", elf(BASE, encoder.encode("code"), 0, 62), "not one for 64-bit little-endian RISC-V"],
  ["an EFI stub image cut short", efiImage(4096, 4096).subarray(0, 4000), "cut short: it has 4000 of 4096 bytes"],
  ["damaged gzip", new Uint8Array(gzipSync(whole)).subarray(0, 30), "compressed with gzip and is damaged or cut short"],
  [
    "more than RAM when unpacked",
    new Uint8Array(gzipSync(new Uint8Array(RAM_BYTES + 1))),
    "more than the machine's 16 MiB",
  ],
  ["a compressed EFI program", encoder.encode("MZ\0\0zimg" + "\0".repeat(100)), "only UEFI firmware can start"],
];
for (const [what, bytes, sentence] of refused) {
  Deno.test(`a kernel that is ${what} is refused with a sentence`, () => {
    assertThrows(() => readKernel({ name: "k", bytes }, BASE, RAM_BYTES), ImageError, sentence);
  });
}

Deno.test("an ELF file with absurd offsets and sizes is refused, whatever they are", () => {
  for (const at of [32, 72, 88, 96, 104]) {
    for (const value of [2n ** 64n - 1n, 2n ** 63n, 2n ** 32n]) {
      const bytes = whole.slice();
      new DataView(bytes.buffer).setBigUint64(at, value, true);
      assertThrows(
        () => checkPlacement(readKernel({ name: "k", bytes }, BASE, RAM_BYTES), 0x8000_0000, 1 << 28),
        ImageError,
      );
    }
  }
});

Deno.test("parts that overlap, leave RAM or exceed it are refused, with both names and addresses", () => {
  const part = (what: string, address: number, size: number) => ({ what, address, bytes: new Uint8Array(0), size });
  const check = (...parts: ReturnType<typeof part>[]) => () => checkPlacement(parts, 0x8000_0000, 1 << 20);
  assertThrows(
    check(part("kernel 'k'", 0x8000_8000, 16), part("initrd 'i'", 0x8000_7ff8, 9)),
    ImageError,
    "initrd 'i' at 0x80007ff8-0x80008000 overlaps kernel 'k' at 0x80008000-0x8000800f",
  );
  assertThrows(check(part("kernel 'k'", 0x800f_fff0, 17)), ImageError, "does not fit");
  assertThrows(
    check(part("kernel 'k'", 0x8000_0000, 1 << 21)),
    ImageError,
    "needs 2 MiB of memory, but the machine has 1 MiB",
  );
  check(part("kernel 'k'", 0x8000_0000, 16), part("initrd 'i'", 0x8000_0010, 16))();
});
