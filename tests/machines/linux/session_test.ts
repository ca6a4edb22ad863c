import { assertEquals } from "@std/assert";
import { type SerialLine, sessionLine } from "../../../machines/linux/session.ts";

const bytes = (text: string) => Uint8Array.from(text, (character) => character.charCodeAt(0));
const text = (all: Uint8Array[]) => all.map((chunk) => String.fromCharCode(...chunk)).join("");

function lineWith(input: string[]) {
  const shown: Uint8Array[] = [];
  const line: SerialLine = {
    async *input() {
      for (const chunk of input) yield await Promise.resolve(bytes(chunk));
    },
    output: (chunk) => void shown.push(chunk.slice()),
  };
  return { line, shown };
}

Deno.test("input is held back until the guest asks for it", async () => {
  const { line, shown } = lineWith(["ls\n"]);
  const session = sessionLine(line, "batch");
  const input = session.input();
  let arrived = false;
  const first = input[Symbol.asyncIterator]().next().then((result) => (arrived = true, result.value as Uint8Array));
  session.output(bytes("booting\n"));
  await new Promise<void>((resolve) => queueMicrotask(resolve));
  assertEquals(arrived, false);
  session.output(bytes("ready\x05# "));
  assertEquals(text([await first]), "ls\n");
  assertEquals(text(shown), "booting\nready# ", "the guest's enquiry is not shown");
});

Deno.test("an exec session shows only what follows the start of text", () => {
  const { line, shown } = lineWith([]);
  const session = sessionLine(line, "exec");
  for (const chunk of ["OpenSBI\r\n", "kernel\x02", "\x05out", "put\x02\x05"]) session.output(bytes(chunk));
  assertEquals(text(shown), "output\x02\x05", "later control characters belong to the command");
});

for (
  const { name, input, expected } of [
    { name: "ended lines pass unchanged, then comes the end of input", input: ["a\n", "b\n"], expected: "a\nb\n\x04" },
    { name: "a line that is not ended is handed over first", input: ["a\nb"], expected: "a\nb\x04\x04" },
    { name: "no input is an end of input", input: [], expected: "\x04" },
    { name: "an end of input in the data is quoted", input: ["\x04\x16\n"], expected: "\x16\x04\x16\x16\n\x04" },
    {
      name: "a long line is handed over in pieces",
      input: ["x".repeat(2048) + "y\n"],
      expected: "x".repeat(2048) + "\x04y\n\x04",
    },
  ]
) {
  Deno.test(`for a terminal in line mode, ${name}`, async () => {
    const session = sessionLine(lineWith(input).line, "exec");
    session.output(bytes("\x02\x05"));
    assertEquals(text(await Array.fromAsync(session.input())), expected);
  });
}
