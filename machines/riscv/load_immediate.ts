/** The instructions that build a 64-bit constant in a register. */

export interface Step {
  readonly name: "lui" | "addi" | "addiw" | "slli";
  /** The source is x0 rather than the register that is being built. */
  readonly first: boolean;
  readonly immediate: number;
}

/**
 * `lui` and `addiw` make what fits 32 bits; a longer constant is a shorter one, shifted, plus its signed low 12 bits.
 * @param value signed or unsigned.
 * @throws RangeError if the value does not fit 64 bits.
 */
export function loadImmediate(value: bigint): Step[] {
  if (value < -(1n << 63n) || value >= 1n << 64n) throw new RangeError(`the constant ${value} does not fit 64 bits`);
  return steps(BigInt.asIntN(64, value));
}

function steps(value: bigint): Step[] {
  const low = Number(BigInt.asIntN(12, value));
  if (value === BigInt(low)) return [{ name: "addi", first: true, immediate: low }];
  // The low part is negative in half of the cases: what is above it is one greater then.
  const above = BigInt.asIntN(64, value - BigInt(low));
  if (value === BigInt.asIntN(32, value)) {
    const lui: Step = { name: "lui", first: true, immediate: Number(BigInt.asUintN(20, above >> 12n)) };
    return low === 0 ? [lui] : [lui, { name: "addiw", first: false, immediate: low }];
  }
  let shift = 12;
  while (((above >> BigInt(shift)) & 1n) === 0n) shift++;
  const shifted: Step[] = [...steps(above >> BigInt(shift)), { name: "slli", first: false, immediate: shift }];
  return low === 0 ? shifted : [...shifted, { name: "addi", first: false, immediate: low }];
}
