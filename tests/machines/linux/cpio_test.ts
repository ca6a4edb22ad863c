import { assertEquals, assertThrows } from "@std/assert";
import { CpioError, type CpioMember, writeCpio } from "../../../machines/linux/cpio.ts";

const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes);

/** An independent reading of the format: names with mode, links and content. */
function readCpio(archive: Uint8Array) {
  const found: { name: string; mode: string; links: number; device: number[]; data: string }[] = [];
  for (let at = 0; at < archive.length;) {
    assertEquals(text(archive.subarray(at, at + 6)), "070701");
    const field = (index: number) => parseInt(text(archive.subarray(at + 6 + 8 * index, at + 14 + 8 * index)), 16);
    const nameEnd = at + 110 + field(11);
    const dataStart = (nameEnd + 3) & ~3;
    found.push({
      name: text(archive.subarray(at + 110, nameEnd - 1)),
      mode: field(1).toString(8),
      links: field(4),
      device: [field(9), field(10)],
      data: text(archive.subarray(dataStart, dataStart + field(6))),
    });
    assertEquals(archive[nameEnd - 1], 0, "names end in NUL");
    at = (dataStart + field(6) + 3) & ~3;
  }
  return found;
}

Deno.test("an archive holds each kind of member, and ends with the trailer", () => {
  const archive = writeCpio([
    { path: "bin", kind: "directory" },
    { path: "bin/tool", kind: "file", data: new TextEncoder().encode("12345"), executable: true },
    { path: "bin/same", kind: "link", target: "tool" },
    { path: "console", kind: "characterDevice", major: 5, minor: 1 },
  ]);
  assertEquals(readCpio(archive), [
    { name: "bin", mode: "40755", links: 2, device: [0, 0], data: "" },
    { name: "bin/tool", mode: "100755", links: 1, device: [0, 0], data: "12345" },
    { name: "bin/same", mode: "120777", links: 1, device: [0, 0], data: "tool" },
    { name: "console", mode: "20600", links: 1, device: [5, 1], data: "" },
    { name: "TRAILER!!!", mode: "0", links: 1, device: [0, 0], data: "" },
  ]);
  assertEquals(archive.length % 4, 0);
});

Deno.test("paths that the format cannot carry are refused", () => {
  const refused: CpioMember[][] = [
    [{ path: "", kind: "directory" }],
    [{ path: "/etc", kind: "directory" }],
    [{ path: "TRAILER!!!", kind: "directory" }],
    [{ path: "a", kind: "directory" }, { path: "a", kind: "link", target: "b" }],
  ];
  for (const members of refused) assertThrows(() => writeCpio(members), CpioError);
});
