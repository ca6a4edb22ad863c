/** Scenarios of families 3.3 and 3.4 that concern one access: splitting, results, attributes, the re-entrancy guard. */
import { assert, assertEquals } from "@std/assert";
import fc from "fast-check";
import type { Owner } from "../../ecs/owner.ts";
import type { AccessSize, MmioOps, Region } from "../../ecs/region.ts";
import type { Access, Policy } from "../../ecs/world.ts";
import { Attrs, MemTx } from "../../systems/access.ts";
import { dispatchRead } from "../../systems/dispatch.ts";
import { load, peek, read, store, write } from "../../systems/dma.ts";
import { scopeDepth } from "../../systems/epoch.ts";
import { audit } from "../../systems/inspect.ts";
import { createMmio, createOwner, createRam, observeStores, ramOf } from "../../systems/create_region.ts";
import { addSubregion, delSubregion } from "../../systems/topology.ts";
import { transaction, transactionDepth } from "../../systems/transaction.ts";
import { Stage } from "./machine.ts";

function fail(why: string): never {
  throw new Error(why);
}

class Machine extends Stage {
  constructor(policy: Partial<Policy> = {}) {
    super({ policy }, 2 ** 32);
  }

  mmio(at: number, ops: MmioOps<undefined>, options: { owner?: Owner; size?: number; guarded?: boolean } = {}): Region {
    const { owner = this.owner, size = 0x100, guarded } = options;
    const region = createMmio(this.world, { name: "registers", size, owner, ops, state: undefined, guarded });
    addSubregion(this.world, this.root, at, region);
    return region;
  }

  ram(at: number, size = 0x1000, owner = this.owner): Region {
    const region = createRam(this.world, { name: "ram", size, owner });
    addSubregion(this.world, this.root, at, region);
    return region;
  }
}

const SIZES: readonly AccessSize[] = [1, 2, 4, 8];

/** What 1.8.3 says, in bigint and without any short cut. */
function expectedRead(
  ops: MmioOps<undefined>,
  offset: number,
  size: number,
): { calls: [number, number][]; value: bigint; result: number } {
  const { valid = {}, impl = {} } = ops;
  const min = valid.min ?? 1;
  const max = valid.max ?? 8;
  if ((!valid.unaligned && offset % size !== 0) || size < min || size > max) {
    return { calls: [], value: 0n, result: MemTx.DECODE_ERROR };
  }
  const step = Math.max(impl.min ?? 1, Math.min(impl.max ?? 4, size));
  const bytes: bigint[] = [];
  const calls: [number, number][] = [];
  for (let at = 0; at < size; at += step) {
    calls.push([offset + at, step]);
    const part = valueAt(offset + at, step);
    // A big-endian device's part holds its bytes most significant first, and they are what lies in memory order.
    for (let i = 0; i < step; i++) {
      const byte = ops.endian === "big" ? step - 1 - i : i;
      bytes.push((part >> BigInt(8 * byte)) & 0xffn);
    }
  }
  return { calls, value: bytes.slice(0, size).reduce((all, byte, i) => all | (byte << BigInt(8 * i)), 0n), result: 0 };
}

/** A value in which every byte tells offset and place. */
function valueAt(offset: number, size: number): bigint {
  let value = 0n;
  for (let i = 0; i < size; i++) value |= BigInt((0x11 * (i + 1) + offset * 7) & 0xff) << BigInt(8 * i);
  return value;
}

const sizeOf = fc.constantFrom(...SIZES);

Deno.test("S96 access matrix: calls, value and result are those of the specification", () => {
  const widths = fc.record({ min: sizeOf, max: sizeOf, unaligned: fc.boolean() }).filter(({ min, max }) => min <= max);
  const endian = fc.constantFrom<"little" | "big">("little", "big");
  fc.assert(
    fc.property(widths, widths, endian, endian, sizeOf, fc.nat(15), (valid, impl, endian, order, size, offset) => {
      const m = new Machine();
      const calls: [number, number][] = [];
      const ops: MmioOps<undefined> = {
        valid,
        impl,
        endian,
        read(_, at, width) {
          calls.push([at, width]);
          return width === 8 ? valueAt(at, width) : Number(valueAt(at, width));
        },
      };
      m.mmio(0, ops);
      const expected = expectedRead(ops, offset, size);
      const value = size === 8
        ? load(m.world, m.space, offset, 8, { endian: order })
        : BigInt(load(m.world, m.space, offset, size, { endian: order }));
      assertEquals(calls, expected.calls);
      assertEquals(m.world.access.result, expected.result);
      const little = order === "little" ? value : swapped(value, size);
      assertEquals(little, expected.value);
      assertEquals(m.faults, []);
    }),
    { numRuns: 500 },
  );
});

function swapped(value: bigint, size: number): bigint {
  let result = 0n;
  for (let i = 0; i < size; i++) result = (result << 8n) | ((value >> BigInt(8 * i)) & 0xffn);
  return result;
}

Deno.test("S96 a write reaches the handler with the bytes that a read of the same steps would show", () => {
  const memory = new Map<number, number>();
  fc.assert(
    fc.property(
      sizeOf,
      sizeOf,
      fc.constantFrom<"little" | "big">("little", "big"),
      fc.nat(1),
      (size, max, endian, at) => {
        memory.clear();
        const m = new Machine();
        const place = (offset: number, i: number, width: number) => offset + (endian === "big" ? width - 1 - i : i);
        m.mmio(0, {
          endian,
          impl: { min: 1, max },
          write(_, offset, value, width) {
            for (let i = 0; i < width; i++) {
              memory.set(place(offset, i, width), Number((BigInt(value) >> BigInt(8 * i)) & 0xffn));
            }
          },
        });
        store(m.world, m.space, at * 8, size, 0x8877665544332211n);
        const bytes = Array.from({ length: size }, (_, i) => memory.get(at * 8 + i));
        assertEquals(bytes, [0x11, 0x22, 0x33, 0x44, 0x55, 0x66, 0x77, 0x88].slice(0, size));
      },
    ),
  );
});

Deno.test("S40, S97 a narrow write clobbers a wider register, and a narrow read gives its low byte", () => {
  const m = new Machine();
  let register = 0xdeadbeef;
  const offsets: number[] = [];
  m.mmio(0, {
    impl: { min: 4, max: 4 },
    valid: { min: 1, max: 4 },
    read: (_, offset) => (offsets.push(offset), register),
    write: (_, _offset, value) => void (register = Number(value)),
  });
  assertEquals(load(m.world, m.space, 2, 1), 0xef);
  assertEquals(offsets, [2]);
  store(m.world, m.space, 0, 1, 0x77);
  assertEquals(load(m.world, m.space, 0, 4), 0x77);
});

Deno.test("S40, S97 narrowAccess merge: every narrow read is the bytes at its place, every narrow write changes only those", () => {
  const cases = fc.record({
    endian: fc.constantFrom<"little" | "big">("little", "big"),
    width: fc.constantFrom<AccessSize>(2, 4, 8),
    size: sizeOf,
    at: fc.nat(15),
    value: fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }),
    quiet: fc.boolean(),
  });
  fc.assert(
    fc.property(cases, ({ endian, width, size, at, value, quiet }) => {
      const m = new Machine({ narrowAccess: "merge" });
      const bytes = new Uint8Array(16).map((_, i) => 0x10 + i);
      const registers = new DataView(bytes.buffer);
      let reads = 0;
      const take = (offset: number, wide: number) => {
        assertEquals([wide >= width, offset % wide], [true, 0], "handlers see nothing narrower than they implement");
        let found = 0n;
        for (let i = 0; i < wide; i++) {
          const byte = BigInt(registers.getUint8(offset + (endian === "big" ? i : wide - 1 - i)));
          found = found << 8n | byte;
        }
        return wide === 8 ? found : Number(found);
      };
      m.mmio(0, {
        endian,
        impl: { min: width, max: 8 },
        read: (_, offset, wide) => (reads++, take(offset, wide)),
        ...(quiet ? { peek: (_: undefined, offset: number, wide: AccessSize) => take(offset, wide) } : {}),
        write(_, offset, value, wide) {
          for (let i = 0; i < wide; i++) {
            const byte = Number(BigInt(value) >> BigInt(8 * i) & 0xffn);
            registers.setUint8(offset + (endian === "big" ? wide - 1 - i : i), byte);
          }
        },
      }, { size: 16 });
      const offset = at - at % size;
      const expected = bytes.slice();
      const read = size === 8 ? load(m.world, m.space, offset, 8) : BigInt(load(m.world, m.space, offset, size));
      for (let i = 0; i < size; i++) assertEquals(Number(read >> BigInt(8 * i) & 0xffn), expected[offset + i]);
      reads = 0;
      const stored = BigInt.asUintN(8 * size, value);
      store(m.world, m.space, offset, size, size === 8 ? stored : Number(stored));
      for (let i = 0; i < size; i++) expected[offset + i] = Number(stored >> BigInt(8 * i) & 0xffn);
      assertEquals([bytes, m.faults], [expected, []]);
      assertEquals(reads, size < width && !quiet ? 1 : 0, "a write reads only where there is no peek");
    }),
    { numRuns: 300 },
  );
});

Deno.test("S91 a wide scalar at a small region goes to it whole", () => {
  const m = new Machine();
  const calls: number[] = [];
  m.mmio(0, { impl: { max: 8 }, read: (_, at, size) => (calls.push(at, size), 0x1122334455667788n) }, { size: 4 });
  m.mmio(4, { read: () => fail("must not be called") });
  assertEquals(load(m.world, m.space, 0, 8), 0x1122334455667788n);
  assertEquals(calls, [0, 8]);
});

Deno.test("S98 with the memory attribute no handler is called; S99 other attributes reach it unchanged", () => {
  const m = new Machine();
  const seen: number[] = [];
  const ops = { read: (_: undefined, _o: number, _s: number, access: Access) => (seen.push(access.attrs), 1) };
  m.mmio(0, ops);
  dispatchRead(m.world, m.space, 0, 0, 4, Attrs.MEMORY);
  assertEquals([m.world.access.result, seen], [MemTx.ACCESS_ERROR, []]);
  assertEquals([read(m.world, m.space, 0, new Uint8Array(4), Attrs.MEMORY), seen], [MemTx.ACCESS_ERROR, []]);
  const attrs = Attrs.SECURE | (0x1234 << 16);
  dispatchRead(m.world, m.space, 0, 0, 4, attrs);
  assertEquals([m.world.access.result, seen], [MemTx.OK, [attrs]]);
});

Deno.test("S100 all parts of a split access are made, and their results OR-ed", () => {
  const m = new Machine();
  let calls = 0;
  m.mmio(0, {
    impl: { max: 1 },
    read(_, offset, _size, access) {
      calls++;
      if (offset === 1) access.result |= MemTx.ERROR;
      return offset;
    },
  });
  assertEquals(load(m.world, m.space, 0, 4), 0x03020100);
  assertEquals([calls, m.world.access.result], [4, MemTx.ERROR]);
});

Deno.test("S46 a device that reaches its own registers by DMA is refused, and one line is traced ever", () => {
  const m = new Machine();
  const results: number[] = [];
  let inner = 0;
  const nic = m.own("nic");
  m.mmio(0x1000, { write: () => void inner++ }, { owner: nic });
  m.mmio(0, { write: () => void results.push(write(m.world, m.space, 0x1000, new Uint8Array(4))) }, { owner: nic });
  for (let i = 0; i < 3; i++) assertEquals(store(m.world, m.space, 0, 4, 1), MemTx.OK);
  assertEquals([results, inner, m.traces.length], [[4, 4, 4], 0, 1]);
  assert(/"registers" of "nic"/.test(m.traces[0] ?? ""));
  assertEquals(store(m.world, m.space, 0x1000, 4, 1), MemTx.OK);
  assertEquals(inner, 1);
  audit(m.world);
});

Deno.test("S48 a region that opted out of the guard may be entered again", () => {
  const m = new Machine();
  let depth = 0;
  let deepest = 0;
  const device = m.own("lsi");
  m.mmio(0, {
    read() {
      deepest = Math.max(deepest, ++depth);
      if (depth < 2) load(m.world, m.space, 0, 4);
      depth--;
      return 0;
    },
  }, { owner: device, guarded: false });
  load(m.world, m.space, 0, 4);
  assertEquals(deepest, 2);
});

Deno.test("S49 A → B → A: the second entry of A is refused", () => {
  const m = new Machine();
  const calls: string[] = [];
  const results: number[] = [];
  const dma = (name: string, to: number) => () => {
    calls.push(name);
    load(m.world, m.space, to, 4);
    results.push(m.world.access.result);
    return 0;
  };
  m.mmio(0, { read: dma("A", 0x1000) }, { owner: m.own("A") });
  m.mmio(0x1000, { read: dma("B", 0) }, { owner: m.own("B") });
  load(m.world, m.space, 0, 4);
  assertEquals([calls, results], [["A", "B"], [MemTx.ACCESS_ERROR, MemTx.OK]]);
  assertEquals(m.world.access.result, MemTx.OK, "the inner access does not spoil the outer's result");
});

Deno.test("S51 a handler that throws fails its access; guard, scopes and transactions are as before (LC30)", () => {
  const m = new Machine();
  const region = m.mmio(0x1000, {
    write(_, offset) {
      transaction(m.world, () => {
        delSubregion(m.world, m.root, region);
        addSubregion(m.world, m.root, 0x2000, region);
        throw new Error(`no register at ${offset}`);
      });
    },
  }, { owner: m.own("broken") });
  assertEquals(store(m.world, m.space, 0x1008, 4, 0xab), MemTx.ERROR);
  assertEquals([scopeDepth(m.world), transactionDepth(m.world), m.faults.length], [0, 0, 1]);
  const sentence = 'region "registers" of "broken" threw at a write of 0xab in 4 bytes at 0x8: no register at 8';
  assertEquals(m.faults[0]?.message, sentence);
  assertEquals(store(m.world, m.space, 0x2000, 4, 0), MemTx.ERROR, "the guard is clear: the handler is called again");
  audit(m.world);
});

Deno.test("S52 a device's own RAM is not guarded", () => {
  const m = new Machine();
  const device = m.own("dma");
  m.ram(0x4000, 0x1000, device);
  m.mmio(0, { read: () => (write(m.world, m.space, 0x4000, Uint8Array.of(5)), load(m.world, m.space, 0x4000, 1)) }, {
    owner: device,
  });
  assertEquals(load(m.world, m.space, 0, 4), 5);
});

Deno.test("S53 the guard is the device's, also for regions of owners below it, or [C] only for those that it owns itself", () => {
  for (const guardedBy of ["nearestDevice", "owningDevice"] as const) {
    const m = new Machine({ guardedBy });
    const device = m.own("device");
    const ports = createOwner(m.world, { name: "ports", owner: device });
    const calls = { ports: 0, own: 0 };
    m.mmio(0x1000, { read: () => ++calls.ports }, { owner: ports });
    m.mmio(0x2000, { read: () => ++calls.own }, { owner: device });
    const both = () => load(m.world, m.space, 0x1000, 4) + load(m.world, m.space, 0x2000, 4);
    m.mmio(0, { read: both }, { owner: device });
    load(m.world, m.space, 0, 4);
    assertEquals(calls, { ports: guardedBy === "owningDevice" ? 1 : 0, own: 0 });
    audit(m.world);
  }
});

Deno.test("S22, S23 a buffer access goes on in the view that it began in; the next one sees the new map", () => {
  const m = new Machine();
  const seen: number[] = [];
  const region = m.mmio(0, {
    valid: { max: 4 },
    write(_, offset) {
      seen.push(offset);
      if (offset === 0) delSubregion(m.world, m.root, region);
    },
  });
  assertEquals(write(m.world, m.space, 0, new Uint8Array(12)), MemTx.OK);
  assertEquals(seen, [0, 4, 8]);
  assertEquals(write(m.world, m.space, 0, new Uint8Array(4)), MemTx.DECODE_ERROR);
});

Deno.test("a scalar that runs over the end of RAM is served byte by byte; a wrap at the top is bounded", () => {
  const m = new Machine();
  const ram = m.ram(0, 6);
  ramOf(m.world, ram).bytes.set([1, 2, 3, 4, 5, 6]);
  assertEquals(load(m.world, m.space, 2, 8), 0x06050403n);
  assertEquals(m.world.access.result, MemTx.DECODE_ERROR);
  assertEquals(store(m.world, m.space, 4, 4, 0x0d0c0b0a), MemTx.DECODE_ERROR);
  assertEquals([...ramOf(m.world, ram).bytes], [1, 2, 3, 4, 0xa, 0xb]);
  const around = new Uint8Array(4);
  assertEquals(read(m.world, m.space, 2n ** 64n - 2n, around), MemTx.DECODE_ERROR);
  assertEquals([...around], [0, 0, 1, 2]);
});

Deno.test("stores by dispatch and by DMA are observed; reads and refused writes are not", () => {
  const m = new Machine();
  const ram = m.ram(0);
  const seen: number[][] = [];
  observeStores(m.world, ram, (offset, length) => seen.push([offset, length]));
  store(m.world, m.space, 8, 4, 1);
  write(m.world, m.space, 0x20, new Uint8Array(5));
  load(m.world, m.space, 0, 4);
  assertEquals(seen, [[8, 4], [0x20, 5]]);
});

Deno.test("peek has no side effects: only peek handlers are called", () => {
  const m = new Machine();
  m.mmio(0, { read: () => fail("a FIFO would lose a byte"), peek: (_, offset) => offset + 1 });
  m.mmio(0x100, { read: () => fail("must not be called") });
  const bytes = new Uint8Array(4);
  assertEquals(peek(m.world, m.space, 4, bytes), MemTx.OK);
  assertEquals([...bytes], [5, 0, 0, 0]);
  assertEquals(peek(m.world, m.space, 0x100, bytes), MemTx.DECODE_ERROR);
  assertEquals(m.faults, []);
});
