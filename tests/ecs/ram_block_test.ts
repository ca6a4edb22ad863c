import { assertEquals, assertThrows } from "@std/assert";
import {
  allocateRange,
  closeGuestMemory,
  createGuestMemory,
  freeRange,
  OutOfGuestMemoryError,
} from "../../ecs/ram_block.ts";

Deno.test("a range that is given back is zeroed before anyone gets it again", () => {
  const memory = createGuestMemory(0x10000);
  const offset = allocateRange(memory, 0x1000, 8);
  memory.bytes.fill(7, offset, offset + 0x1000);
  freeRange(memory, offset, 0x1000);
  assertEquals(memory.bytes[allocateRange(memory, 0x1000, 8)], 0);
});

Deno.test("a closed memory takes ranges back without touching them, and gives none out", () => {
  const memory = createGuestMemory(0x10000);
  const offset = allocateRange(memory, 0x1000, 8);
  memory.bytes.fill(7, offset, offset + 0x1000);
  closeGuestMemory(memory);
  freeRange(memory, offset, 0x1000);
  assertEquals(memory.bytes[offset], 7);
  assertEquals(memory.gaps, [{ start: 0, end: 0x10000 }]);
  assertThrows(() => allocateRange(memory, 8, 8), OutOfGuestMemoryError, "closed");
});
