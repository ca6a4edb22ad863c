import { assertEquals, assertThrows } from "@std/assert";
import fc from "fast-check";
import { allocateRange, createGuestMemory, freeRange, OutOfGuestMemoryError } from "../../ecs/ram_block.ts";

Deno.test("ranges never overlap, are aligned and zero when given out, and free ranges join again", () => {
  const step = fc.record({
    size: fc.integer({ min: 1, max: 0x3000 }),
    align: fc.constantFrom(1, 16, 0x1000),
    free: fc.nat(),
  });
  fc.assert(fc.property(fc.array(step, { minLength: 10, maxLength: 60, size: "max" }), (steps) => {
    const memory = createGuestMemory(0x10000);
    const used: { offset: number; size: number }[] = [];
    for (const { size, align, free } of steps) {
      if (free % 3 === 0 && used.length > 0) {
        const [range] = used.splice(free % used.length, 1);
        if (range !== undefined) freeRange(memory, range.offset, range.size);
        continue;
      }
      try {
        const offset = allocateRange(memory, size, align);
        assertEquals(offset % align, 0);
        assertEquals(used.some((other) => offset < other.offset + other.size && other.offset < offset + size), false);
        assertEquals(memory.bytes.subarray(offset, offset + size).every((byte) => byte === 0), true);
        memory.bytes.fill(0xff, offset, offset + size);
        used.push({ offset, size });
      } catch (error) {
        if (!(error instanceof OutOfGuestMemoryError)) throw error;
      }
    }
    for (const { offset, size } of used) freeRange(memory, offset, size);
    assertEquals(memory.gaps, [{ start: 0, end: 0x10000 }]);
  }));
});

Deno.test("a guest memory is rounded up to 64 KiB and at most 4 GiB", () => {
  assertEquals(createGuestMemory(1).bytes.length, 0x10000);
  assertThrows(() => createGuestMemory(2 ** 32 + 1), OutOfGuestMemoryError);
  assertThrows(() => allocateRange(createGuestMemory(0x10000), 0x10001, 1), OutOfGuestMemoryError, "no gap of 65537");
});
