import { assertEquals } from "@std/assert";
import { attachSink, detachSink, type Level, newInputLine, newOutputLine, writeLevel } from "../../ecs/irq.ts";

function recorder() {
  const levels: Level[] = [];
  return { levels, sink: (level: Level) => void levels.push(level) };
}

Deno.test("a sink hears changes only, and the level that stands when it is attached", () => {
  const { levels, sink } = recorder();
  const line = newOutputLine("irq", 0);
  writeLevel(line, 1);
  attachSink(line, sink);
  writeLevel(line, 1);
  writeLevel(line, 0);
  writeLevel(line, 0);
  assertEquals(levels, [1, 0]);
});

Deno.test("an input with fan-in is high while any of its sources is", () => {
  const { levels, sink } = recorder();
  const input = newInputLine("in", 0, true, sink);
  const [a, b] = [newOutputLine("a", 0), newOutputLine("b", 0)];
  attachSink(a, input);
  attachSink(b, input);
  writeLevel(a, 1);
  writeLevel(b, 1);
  writeLevel(a, 0);
  assertEquals(levels, [1]);
  detachSink(b);
  assertEquals([levels, input.sources], [[1, 0], 1]);
});

Deno.test("a detached line drives nothing", () => {
  const { levels, sink } = recorder();
  const line = newOutputLine("irq", 0);
  attachSink(line, sink);
  writeLevel(line, 1);
  detachSink(line);
  writeLevel(line, 1);
  assertEquals(levels, [1, 0]);
});
