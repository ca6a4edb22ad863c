/** The model itself: against the host's arithmetic, and against the specification's own tables. */
import { assertEquals } from "@std/assert";
import * as oracle from "./oracle.ts";
import { operationOf } from "./operations.ts";
import { operandsFor, Random } from "./vectors.ts";

const { F32, F64 } = oracle;
const view = new DataView(new ArrayBuffer(8));

function toBits(x: number): bigint {
  view.setFloat64(0, x);
  return Number.isNaN(x) ? oracle.canonicalNan(F64) : view.getBigUint64(0);
}

function toNumber(bits: bigint): number {
  view.setBigUint64(0, bits);
  return view.getFloat64(0);
}

Deno.test("the model rounds to nearest as the host does", () => {
  const random = new Random(3);
  const binary = operationOf("fmul.d");
  for (let i = 0; i < 5_000; i++) {
    const [a = 0n, b = 0n] = operandsFor(random, binary);
    const x = toNumber(a), y = toNumber(b);
    const pairs = [
      [oracle.add(F64, a, b, 0), x + y],
      [oracle.multiply(F64, a, b, 0), x * y],
      [oracle.divide(F64, a, b, 0), x / y],
      [oracle.squareRoot(F64, a, 0), Math.sqrt(x)],
    ] as const;
    for (const [{ register }, host] of pairs) assertEquals(register, toBits(host), `${x} and ${y}`);
    view.setFloat32(0, x);
    const single = Number.isNaN(x) ? oracle.canonicalNan(F32) : 0xffff_ffff_0000_0000n | BigInt(view.getUint32(0));
    assertEquals(oracle.between(F64, F32, a, 0).register, single, `${x}`);
  }
});

Deno.test("the model gives the limits that the specification lists for invalid conversions to integers", () => {
  const nan = oracle.canonicalNan(F64), infinity = toBits(Infinity);
  const given = ([[32, true], [32, false], [64, true], [64, false]] as const).map(([width, signed]) =>
    [toBits(-1e30), toBits(-Infinity), toBits(1e30), infinity, nan].map((x) => {
      const { register, flags } = oracle.toInteger(F64, width, signed, x, 1);
      assertEquals(flags, oracle.NV);
      return BigInt.asIntN(64, register);
    })
  );
  const row = (low: bigint, high: bigint) => [low, low, high, high, high];
  assertEquals(given, [
    row(-(2n ** 31n), 2n ** 31n - 1n),
    row(0n, -1n),
    row(-(2n ** 63n), 2n ** 63n - 1n),
    row(0n, -1n),
  ]);
});

Deno.test("the model detects tininess after rounding", () => {
  // (1 − 2^-53) × 2^-1022 is not a double. Rounded with an unbounded exponent it keeps 53 digits, so it is tiny;
  // with one digit more it would have been rounded up to the smallest normal number, and is not.
  const smallestNormal = 1n << 52n;
  const half = toBits(0.5);
  const oneBelow = (smallestNormal << 1n) - 1n; // (2 − 2^-52) × 2^-1022
  assertEquals(oracle.multiply(F64, oneBelow, half, 0), { register: smallestNormal, flags: oracle.UF | oracle.NX });
  const factor = toBits(1 + 2 ** -52); // (1 − 2^-52) × (1 + 2^-52) = 1 − 2^-104
  assertEquals(oracle.multiply(F64, smallestNormal - 1n, factor, 0), { register: smallestNormal, flags: oracle.NX });
});
