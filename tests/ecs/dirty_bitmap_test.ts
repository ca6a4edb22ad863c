import { assertEquals } from "@std/assert";
import {
  anyDirty,
  clearPages,
  copyWords,
  DIRTY_PAGE,
  DirtyClient,
  markBytes,
  newDirtyLog,
  writeLogMask,
} from "../../ecs/dirty_bitmap.ts";

const { VGA, CODE, MIGRATION } = DirtyClient;

/** A log that is clean for some clients, which log. */
function cleanLog(bytes: number, ...clients: DirtyClient[]) {
  const log = newDirtyLog(bytes);
  for (const client of clients) {
    clearPages(log, client, 0, log.pages);
    writeLogMask(log, client, true);
  }
  return log;
}

function dirtyPages(log: ReturnType<typeof newDirtyLog>, client: DirtyClient, from = 0, to = log.pages): number[] {
  return Array.from({ length: to - from }, (_, at) => from + at).filter((page) =>
    anyDirty(log, client, page, page + 1)
  );
}

Deno.test("in memory of more than 4 GiB a store is at its own page, not at the one 4 GiB below", () => {
  const page = 2 ** 20 + 7;
  for (const clients of [[MIGRATION], [MIGRATION, VGA]]) {
    const log = cleanLog(2 ** 33, ...clients);
    markBytes(log, page * DIRTY_PAGE + 1, 8);
    assertEquals(dirtyPages(log, MIGRATION, 0, 64), []);
    assertEquals(dirtyPages(log, MIGRATION, page - 7, page + 7), [page]);
  }
});

Deno.test("one client or three, a store inside a page or over its end sets the bits of the same pages", () => {
  for (const clients of [[VGA], [VGA, CODE], [VGA, CODE, MIGRATION]]) {
    const log = cleanLog(70 * DIRTY_PAGE, ...clients);
    markBytes(log, 31 * DIRTY_PAGE + 4095, 1);
    markBytes(log, 64 * DIRTY_PAGE - 1, 2);
    for (const client of clients) assertEquals(dirtyPages(log, client), [31, 63, 64]);
  }
});

Deno.test("a block without a bitmap is dirty, page by page, and copies as dirty; the part of a page at its end too", () => {
  const log = newDirtyLog(33 * DIRTY_PAGE + 1);
  assertEquals([log.pages, dirtyPages(log, VGA).length], [34, 34]);
  assertEquals(copyWords(log, VGA, 32, 34).length, 1);
  assertEquals(clearPages(log, VGA, 3, 3), false);
  assertEquals(log.bits[VGA], undefined);
  assertEquals(clearPages(log, VGA, 3, 5), true);
  assertEquals(clearPages(log, VGA, 3, 5), false);
  assertEquals(dirtyPages(log, VGA), Array.from({ length: 34 }, (_, at) => at).filter((at) => at !== 3 && at !== 4));
  assertEquals([...copyWords(log, VGA, 0, 34)], [0xffffffe7, 3]);
  assertEquals([...copyWords(log, CODE, 31, 64)], [0x80000000, 3]);
  assertEquals([anyDirty(log, VGA, 34, 99), anyDirty(log, CODE, 34, 99), clearPages(log, VGA, 34, 99)], [
    false,
    false,
    false,
  ]);
});

Deno.test("any, clear and mark agree on every range of four words", () => {
  const borders = [0, 1, 30, 31, 32, 33, 63, 64, 65, 95, 96, 97, 127, 128];
  for (const [at, first] of borders.entries()) {
    for (const end of borders.slice(at + 1)) {
      const log = cleanLog(128 * DIRTY_PAGE, VGA);
      markBytes(log, first * DIRTY_PAGE, (end - first) * DIRTY_PAGE);
      assertEquals(dirtyPages(log, VGA), Array.from({ length: end - first }, (_, page) => first + page));
      for (const page of [first, end - 1]) {
        const one = cleanLog(128 * DIRTY_PAGE, VGA);
        markBytes(one, page * DIRTY_PAGE, 1);
        assertEquals([anyDirty(one, VGA, first, end), anyDirty(one, VGA, 0, first)], [true, false]);
        assertEquals([anyDirty(one, VGA, end, 128), clearPages(one, VGA, first, end)], [false, true]);
        assertEquals(anyDirty(one, VGA, 0, 128), false);
      }
    }
  }
});
