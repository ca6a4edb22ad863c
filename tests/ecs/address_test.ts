import { assertEquals, assertThrows } from "@std/assert";
import fc from "fast-check";
import {
  bytesUntil,
  exactAddress,
  exactHalves,
  highHalf,
  InexactAddressError,
  lowHalf,
  roundDown,
  roundingError,
  sumAbove,
  sumBelow,
} from "../../ecs/address.ts";

const MASK = (1n << 64n) - 1n;
const address64 = fc.oneof(fc.bigInt(0n, MASK), fc.bigInt(MASK - 5000n, MASK), fc.bigInt(0n, 5000n));
const exact = address64.map((value) => Number(value)).filter((value) => value < 2 ** 64);

Deno.test("an address is rounded down to the greatest float that is not above it", () => {
  fc.assert(fc.property(address64, (address) => {
    const rounded = BigInt(roundDown(...exactHalves(address)));
    assertEquals(rounded <= address, true);
    assertEquals(BigInt.asUintN(64, address) - rounded < 2048n, true);
    const next = BigInt(Number(address) > rounded ? Number(address) : rounded);
    assertEquals(next === rounded || next > address, true, "no float lies between");
  }));
  assertEquals(roundDown(-1, -1), 2 ** 64 - 2048);
});

Deno.test("halves of a float are those of its two's complement", () => {
  fc.assert(fc.property(exact, fc.boolean(), (value, isNegative) => {
    const signed = isNegative ? -value : value;
    const bits = BigInt.asUintN(64, BigInt(signed));
    assertEquals((BigInt(highHalf(signed) >>> 0) << 32n) | BigInt(lowHalf(signed) >>> 0), bits);
  }));
});

Deno.test("roundingError says what a sum lost; sumBelow and sumAbove enclose the true sum", () => {
  fc.assert(fc.property(exact, exact, fc.boolean(), (a, other, isNegative) => {
    const b = isNegative ? -other : other;
    const truth = BigInt(a) + BigInt(b);
    assertEquals(BigInt(a + b) + BigInt(roundingError(a, b)), truth);
    assertEquals(BigInt(Math.floor(sumBelow(a, b))) <= truth, true);
    assertEquals(BigInt(Math.ceil(sumAbove(a, b))) >= truth, true);
  }));
});

Deno.test("bytesUntil is exact where the distance is", () => {
  fc.assert(fc.property(address64, fc.nat(100_000), (address, distance) => {
    const end = Number(address + BigInt(distance));
    if (BigInt(end) !== address + BigInt(distance)) return;
    assertEquals(bytesUntil(end, ...exactHalves(address)), distance);
  }));
  assertEquals(bytesUntil(2 ** 64, -1, -1), 1);
});

Deno.test("sizes and addresses that are inexact, negative, fractional or beyond 2^64 are refused by name", () => {
  for (const value of [-1, 0.5, NaN, 2 ** 65, 2n ** 64n - 1n, -1n]) {
    assertThrows(() => exactAddress(value, 'size of "x"'), InexactAddressError, 'size of "x"');
  }
  assertEquals([exactAddress(2n ** 64n, ""), exactAddress(2 ** 53, "")], [2 ** 64, 2 ** 53]);
});
