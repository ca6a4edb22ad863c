import { assertEquals, assertThrows } from "@std/assert";
import fc from "fast-check";
import {
  cells,
  type DeviceTree,
  DeviceTreeError,
  type DeviceTreeNode,
  doubleCells,
  findNode,
  node,
  present,
  readDeviceTree,
  text,
  writeDeviceTree,
} from "../../../machines/loader/flattened_device_tree.ts";

const SAMPLE: DeviceTree = {
  root: node("", { compatible: text("a,b", "c"), "#size-cells": cells(2) }, [
    node("memory@80000000", { reg: doubleCells(0x8000_0000, 0x1_4000_0000) }),
    node("soc", { ranges: present }, [node("uart@0", { odd: Uint8Array.of(1, 2, 3) })]),
  ]),
  reservations: [[0x8000_0000n, 0x1000n]],
};

Deno.test("a tree reads back as it was written", () => {
  assertEquals(readDeviceTree(writeDeviceTree(SAMPLE)), SAMPLE);
});

Deno.test("cells are big-endian and double cells are the high half first", () => {
  assertEquals(cells(0x01020304), Uint8Array.of(1, 2, 3, 4));
  assertEquals(doubleCells(0x1_4000_0000), Uint8Array.of(0, 0, 0, 1, 0x40, 0, 0, 0));
});

Deno.test("a node is found by its path", () => {
  assertEquals(findNode(SAMPLE, "/soc/uart@0")?.properties.get("odd"), Uint8Array.of(1, 2, 3));
  assertEquals(findNode(SAMPLE, "/soc/nothing"), undefined);
});

Deno.test("every prefix of a tree is refused with a DeviceTreeError", () => {
  const whole = writeDeviceTree(SAMPLE);
  for (let length = 0; length < whole.length; length++) {
    assertThrows(() => readDeviceTree(whole.subarray(0, length)), DeviceTreeError);
  }
});

Deno.test("a tree that says it is shorter than its header is refused", () => {
  const bytes = writeDeviceTree(SAMPLE);
  for (let total = 0; total < 40; total++) {
    new DataView(bytes.buffer, bytes.byteOffset).setUint32(4, total);
    assertThrows(() => readDeviceTree(bytes), DeviceTreeError, "less than its header");
  }
});

Deno.test("a damaged tree is read or refused with a DeviceTreeError, never anything else", () => {
  const whole = writeDeviceTree(SAMPLE);
  fc.assert(fc.property(
    fc.array(fc.tuple(fc.nat(whole.length - 1), fc.nat(255)), { minLength: 1, maxLength: 6 }),
    (changes) => {
      const bytes = whole.slice();
      for (const [at, value] of changes) bytes[at] = value;
      try {
        readDeviceTree(bytes);
      } catch (error) {
        if (!(error instanceof DeviceTreeError)) throw error;
      }
    },
  ));
});

Deno.test("a tree that nests too deep is refused", () => {
  let root: DeviceTreeNode = node("leaf", {});
  for (let i = 0; i < 100; i++) root = node("n", {}, [root]);
  assertThrows(() => readDeviceTree(writeDeviceTree({ root, reservations: [] })), DeviceTreeError, "nests deeper");
});
