/**
 * Narrow: accesses narrower than the narrowest that a device's handlers implement. In QEMU, and by default here, the handler
 * is called once, at the unmodified offset: a read gives its low bytes, a write clobbers the register (S40, S97). With the
 * policy `narrowAccess: "merge"` the bytes are those of the register at that place: a read takes them out of it, a write
 * puts them into it (W18). Handlers are wrapped when their region is created, so that other accesses pay nothing.
 */
import { type AccessSize, implWidths, type MmioOps } from "../ecs/region.ts";
import type { World } from "../ecs/world.ts";

/** The handlers as the world's policy has them called. */
export function withNarrowAccesses<S>(world: World, ops: MmioOps<S>): MmioOps<S> {
  const { min } = implWidths(ops as MmioOps<unknown>);
  return world.policy.narrowAccess === "clobber" || min === 1 ? ops : merging(ops, min);
}

function merging<S>(ops: MmioOps<S>, width: AccessSize): MmioOps<S> {
  const { read, peek, write } = ops;
  const isWhole = (offset: number, size: number) => size >= width || (offset % width) + size > width;
  const taken = (value: number | bigint, offset: number, size: AccessSize) =>
    Number(BigInt.asUintN(8 * size, BigInt(value) >> shiftOf(ops, width, offset, size)));
  return {
    ...ops,
    impl: { ...ops.impl, min: 1 },
    ...(read !== undefined && {
      read: (state, offset, size, access) =>
        isWhole(offset, size)
          ? read.call(ops, state, offset, wider(size, width), access)
          : taken(read.call(ops, state, offset - offset % width, width, access), offset, size),
    }),
    ...(peek !== undefined && {
      peek: (state, offset, size) =>
        isWhole(offset, size)
          ? peek.call(ops, state, offset, wider(size, width))
          : taken(peek.call(ops, state, offset - offset % width, width), offset, size),
    }),
    ...(write !== undefined && {
      write(state, offset, value, size, access) {
        if (isWhole(offset, size)) return write.call(ops, state, offset, value, wider(size, width), access);
        const register = offset - offset % width;
        // What a device calls the same without side effects is asked first: a write must not acknowledge what it reads.
        const old = peek?.call(ops, state, register, width) ?? read?.call(ops, state, register, width, access) ?? 0;
        const shift = shiftOf(ops, width, offset, size);
        const mask = ((1n << BigInt(8 * size)) - 1n) << shift;
        const merged = (BigInt.asUintN(8 * width, BigInt(old)) & ~mask) | (BigInt(value) << shift);
        write.call(ops, state, register, width === 8 ? merged : Number(merged), width, access);
      },
    }),
  };
}

/** One that runs over the end of the register is called as without the policy. */
function wider(size: AccessSize, width: AccessSize): AccessSize {
  return size < width ? width : size;
}

/** Where in its register an access is, in bits. */
function shiftOf({ endian }: { endian?: "little" | "big" }, width: number, offset: number, size: number): bigint {
  const lane = offset % width;
  return BigInt(8 * (endian === "big" ? width - size - lane : lane));
}
