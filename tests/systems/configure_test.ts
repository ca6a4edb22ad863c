import { assertEquals, assertThrows } from "@std/assert";
import { DeviceError, type DeviceType } from "../../ecs/device.ts";
import { boolean, choice, integer, link, type PropertyValues, size, text } from "../../ecs/property.ts";
import { checkState, configure } from "../../systems/configure.ts";

const type: DeviceType = {
  type: "widget",
  description: "device of these tests",
  properties: {
    fast: boolean("runs fast", { default: false }),
    lanes: integer("lanes", { default: 1, minimum: 1, maximum: 16 }),
    memory: size("bytes of memory", { default: 4096 }),
    label: text("name plate", { default: "", maximum: 8 }),
    mode: choice("mode", ["slow", "turbo"], { default: "slow" }),
    backend: link<object>("what it drives", { optional: true }),
    required: integer("must be said"),
  },
  state: () => ({}),
};

Deno.test("defaults fill in what is not given", () => {
  const expected = { fast: false, lanes: 1, memory: 4096, label: "", mode: "slow", required: 3 };
  assertEquals<unknown>(configure("w0", type, { required: 3 }), expected);
});

const REFUSED: [PropertyValues, string][] = [
  [{}, 'device "w0" (widget) needs a value for property "required": must be said'],
  [{ required: 1, colour: 1 }, 'device "w0" (widget) has no property "colour"'],
  [{ required: -1 }, 'Property "required" of device "w0" (widget) is -1; it must be an integer from 0 to 4294967295'],
  [{ required: 1, fast: 1 }, 'Property "fast" of device "w0" (widget) is 1; it must be true or false'],
  [{ required: 1, lanes: 1.5 }, 'Property "lanes" of device "w0" (widget) is 1.5; it must be an integer from 1 to 16'],
  [{ required: 1, lanes: 17 }, 'Property "lanes" of device "w0" (widget) is 17; it must be an integer from 1 to 16'],
  [
    { required: 1, memory: 0 },
    'Property "memory" of device "w0" (widget) is 0; it must be an integer from 1 to 9007199254740991',
  ],
  [
    { required: 1, label: "too long a label" },
    'Property "label" of device "w0" (widget) is "too long a label"; it must be a text of at most 8 characters',
  ],
  [{ required: 1, mode: "fast" }, 'Property "mode" of device "w0" (widget) is "fast"; it must be one of slow, turbo'],
  [{ required: 1, backend: 7 }, 'Property "backend" of device "w0" (widget) is 7; it must be a host object'],
];

for (const [given, sentence] of REFUSED) {
  Deno.test(`a value that does not fit is refused in one sentence: ${Object.keys(given).at(-1) ?? "nothing given"}`, () => {
    const error = assertThrows(() => configure("w0", type, given), DeviceError);
    assertEquals(error.message, sentence);
  });
}

Deno.test("state is plain data, so that a snapshot can hold it", () => {
  const plain = { a: 1, b: 2n, c: true, d: "x", e: new Uint32Array(2), f: [[1], ["y"]], g: [new Uint8Array(1)] };
  checkState("w0", type, plain);
  for (const field of [() => {}, new Map(), { nested: 1 }, undefined, null, [() => {}]]) {
    const error = assertThrows(() => checkState("w0", type, { field }), DeviceError);
    assertEquals(error.message, 'State field "field" of device "w0" (widget) is not plain data');
  }
});
