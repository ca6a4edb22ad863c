import { assertEquals, assertThrows } from "@std/assert";
import fc from "fast-check";
import { type BlockBackend, BlockError } from "../../../machines/backends/block.ts";
import { createRawImage, openRawImage } from "../../../machines/backends/block_file.ts";
import { createOverlay } from "../../../machines/backends/block_overlay.ts";
import { seededEntropy } from "../../../machines/backends/entropy.ts";

const CLUSTER = 65536;

function withImage(bytes: Uint8Array, test: (path: string) => void): void {
  const path = Deno.makeTempFileSync();
  try {
    Deno.writeFileSync(path, bytes);
    test(path);
  } finally {
    Deno.removeSync(path);
  }
}

function readBack(disk: BlockBackend, offset: number, length: number): Uint8Array {
  const into = new Uint8Array(length).fill(0xee);
  disk.read(offset, into);
  return into;
}

Deno.test("a raw image reads and writes its file byte for byte", () => {
  withImage(Uint8Array.from({ length: 2048 }, (_, i) => i), (path) => {
    const disk = openRawImage(path);
    assertEquals(disk.byteLength, 2048);
    assertEquals(readBack(disk, 510, 4), Uint8Array.of(254, 255, 0, 1));
    disk.write(1022, Uint8Array.of(7, 8, 9));
    disk.flush();
    disk.close();
    assertEquals(Deno.readFileSync(path).subarray(1021, 1026), Uint8Array.of(253, 7, 8, 9, 1));
  });
});

Deno.test("a raw image that ends inside a sector is padded with zeros", () => {
  withImage(Uint8Array.of(1, 2, 3), (path) => {
    const disk = openRawImage(path);
    assertEquals(disk.byteLength, 512);
    assertEquals(readBack(disk, 1, 4), Uint8Array.of(2, 3, 0, 0));
    disk.close();
  });
});

Deno.test("a read-only image refuses writes and leaves its file alone", () => {
  withImage(new Uint8Array(512), (path) => {
    const disk = openRawImage(path, { readonly: true });
    assertThrows(() => disk.write(0, Uint8Array.of(1)), BlockError, "read-only");
    disk.flush();
    disk.close();
    assertEquals(Deno.readFileSync(path)[0], 0);
  });
});

Deno.test("an image that can't be opened is one sentence that names it", () => {
  assertThrows(() => openRawImage("/nowhere/disk.img"), BlockError, "Cannot open image /nowhere/disk.img");
  assertThrows(() => openRawImage(Deno.cwd(), { readonly: true }), BlockError, "Cannot open image");
});

Deno.test("an image has one writer or many readers", () => {
  withImage(new Uint8Array(512), (path) => {
    const writer = openRawImage(path);
    assertThrows(() => openRawImage(path), BlockError, "uses it");
    assertThrows(() => openRawImage(path, { readonly: true }), BlockError, "uses it");
    writer.close();
    const readers = [1, 2].map(() => openRawImage(path, { readonly: true }));
    assertThrows(() => openRawImage(path), BlockError, "uses it");
    readers.forEach((reader) => reader.close());
    openRawImage(path).close();
  });
});

Deno.test("a closed image can be closed again and not be used", () => {
  withImage(new Uint8Array(512), (path) => {
    const disk = openRawImage(path);
    disk.close();
    disk.close();
    assertThrows(() => disk.read(0, new Uint8Array(1)), BlockError, "closed");
  });
});

for (const kind of ["memory", "file"] as const) {
  Deno.test(`a disk under a ${kind} overlay behaves as an array of bytes and its base never changes`, () => {
    const length = 3 * CLUSTER + 1024;
    const content = new Uint8Array(length);
    seededEntropy(1).fill(content);
    const range = fc.record({ offset: fc.nat(length - 1), length: fc.nat(2 * CLUSTER), fill: fc.nat(255) });
    withImage(content, (path) =>
      fc.assert(
        fc.property(fc.array(range, { maxLength: 8 }), (writes) => {
          const storePath = Deno.makeTempFileSync();
          const store = kind === "file" ? createRawImage(storePath, length) : undefined;
          const disk = createOverlay(openRawImage(path, { readonly: true }), { store });
          const model = content.slice();
          for (const { offset, length: wanted, fill } of writes) {
            const bytes = new Uint8Array(Math.min(wanted, length - offset)).fill(fill);
            disk.write(offset, bytes);
            model.set(bytes, offset);
          }
          const seen = readBack(disk, 0, length);
          disk.close();
          Deno.removeSync(storePath);
          assertEquals(seen, model);
          assertEquals(Deno.readFileSync(path), content);
        }),
        { numRuns: 25 },
      ));
  });
}

Deno.test("an overlay in memory stops at its limit, and what failed is not half there", () => {
  withImage(new Uint8Array(4 * CLUSTER).fill(5), (path) => {
    const disk = createOverlay(openRawImage(path, { readonly: true }), { limit: CLUSTER });
    disk.write(0, Uint8Array.of(1));
    assertThrows(() => disk.write(CLUSTER, Uint8Array.of(1)), BlockError, "limit");
    assertEquals(readBack(disk, CLUSTER, 1), Uint8Array.of(5));
    disk.close();
  });
});

Deno.test("discarding clusters of an overlay makes room below its limit", () => {
  withImage(new Uint8Array(2 * CLUSTER), (path) => {
    const disk = createOverlay(openRawImage(path, { readonly: true }), { limit: CLUSTER });
    disk.write(0, Uint8Array.of(1));
    disk.discard(0, CLUSTER);
    disk.write(CLUSTER, Uint8Array.of(2));
    assertEquals(readBack(disk, CLUSTER, 1), Uint8Array.of(2));
    disk.close();
  });
});

Deno.test("an overlay refuses a store that is smaller than its base", () => {
  withImage(new Uint8Array(2 * CLUSTER), (path) =>
    withImage(new Uint8Array(CLUSTER), (small) => {
      const base = openRawImage(path, { readonly: true });
      const store = openRawImage(small);
      assertThrows(() => createOverlay(base, { store }), BlockError, "smaller");
      base.close();
      store.close();
    }));
});

Deno.test("seeded entropy repeats, and differs by seed", () => {
  const draw = (seed: number) => {
    const bytes = new Uint8Array(64);
    seededEntropy(seed).fill(bytes);
    return bytes.join();
  };
  assertEquals(draw(7), draw(7));
  assertEquals(new Set([draw(0), draw(1), draw(2)]).size, 3);
});
