/**
 * What the integer instructions give, written a second time from the manual's prose with exact integers: registers are
 * signed 64-bit values. Nothing here is shared with the table.
 */

/** Operands by name; unused ones are present all the same. */
export interface Operands {
  readonly rs1: bigint;
  readonly rs2: bigint;
  readonly imm: bigint;
  readonly pc: bigint;
}

const s = (bits: number, value: bigint) => BigInt.asIntN(bits, value);
const u = (bits: number, value: bigint) => BigInt.asUintN(bits, value);

function quotient(bits: number, a: bigint, b: bigint): bigint {
  return b === 0n ? -1n : s(bits, a / b);
}

function remainder(a: bigint, b: bigint): bigint {
  return b === 0n ? a : a - (a / b) * b;
}

/** Bits from the highest (or, reversed, the lowest) on until the first that is set. */
function zerosBefore(bits: string): bigint {
  return BigInt((bits + "1").indexOf("1"));
}

const text = (bits: number, value: bigint) => u(bits, value).toString(2).padStart(bits, "0");
const backwards = (bits: string) => [...bits].reverse().join("");
const ones = (bits: string) => BigInt(bits.replaceAll("0", "").length);
/** The bytes of a register, lowest first. */
const bytes = (value: bigint) => Array.from({ length: 8 }, (_, i) => u(8, value >> BigInt(8 * i)));
const joined = (parts: readonly bigint[]) => parts.reduce((sum, part, i) => sum + part * 256n ** BigInt(i), 0n);

function rotatedLeft(bits: number, value: bigint, places: bigint): bigint {
  const digits = text(bits, value), by = Number(u(bits === 64 ? 6 : 5, places));
  return BigInt(`0b${digits.slice(by)}${digits.slice(0, by)}`);
}

/** All bits of the product of two polynomials, by long multiplication. */
function carrylessProduct(a: bigint, b: bigint): bigint {
  let product = 0n;
  for (let i = 0n; i < 64n; i++) if (u(64, b) >> i & 1n) product ^= u(64, a) << i;
  return product;
}

/** Results, sign-extended to 64 bits by the caller; branches give whether they are taken, jumps their target. */
export const INTEGER_MODEL: Readonly<Record<string, (o: Operands) => bigint | boolean>> = {
  lui: ({ imm }) => imm,
  auipc: ({ pc, imm }) => pc + imm,
  jal: ({ pc, imm }) => pc + imm,
  jalr: ({ rs1, imm }) => (rs1 + imm) - ((rs1 + imm) & 1n),
  beq: ({ rs1, rs2 }) => rs1 === rs2,
  bne: ({ rs1, rs2 }) => rs1 !== rs2,
  blt: ({ rs1, rs2 }) => rs1 < rs2,
  bge: ({ rs1, rs2 }) => rs1 >= rs2,
  bltu: ({ rs1, rs2 }) => u(64, rs1) < u(64, rs2),
  bgeu: ({ rs1, rs2 }) => u(64, rs1) >= u(64, rs2),
  addi: ({ rs1, imm }) => rs1 + imm,
  slti: ({ rs1, imm }) => rs1 < imm ? 1n : 0n,
  sltiu: ({ rs1, imm }) => u(64, rs1) < u(64, imm) ? 1n : 0n,
  xori: ({ rs1, imm }) => rs1 ^ imm,
  ori: ({ rs1, imm }) => rs1 | imm,
  andi: ({ rs1, imm }) => rs1 & imm,
  slli: ({ rs1, imm }) => rs1 * 2n ** u(6, imm),
  srli: ({ rs1, imm }) => u(64, rs1) / 2n ** u(6, imm),
  srai: ({ rs1, imm }) => rs1 >> u(6, imm),
  add: ({ rs1, rs2 }) => rs1 + rs2,
  sub: ({ rs1, rs2 }) => rs1 - rs2,
  sll: ({ rs1, rs2 }) => rs1 * 2n ** u(6, rs2),
  slt: ({ rs1, rs2 }) => rs1 < rs2 ? 1n : 0n,
  sltu: ({ rs1, rs2 }) => u(64, rs1) < u(64, rs2) ? 1n : 0n,
  xor: ({ rs1, rs2 }) => rs1 ^ rs2,
  srl: ({ rs1, rs2 }) => u(64, rs1) / 2n ** u(6, rs2),
  sra: ({ rs1, rs2 }) => rs1 >> u(6, rs2),
  or: ({ rs1, rs2 }) => rs1 | rs2,
  and: ({ rs1, rs2 }) => rs1 & rs2,
  addiw: ({ rs1, imm }) => s(32, rs1 + imm),
  slliw: ({ rs1, imm }) => s(32, rs1 * 2n ** u(5, imm)),
  srliw: ({ rs1, imm }) => s(32, u(32, rs1) / 2n ** u(5, imm)),
  sraiw: ({ rs1, imm }) => s(32, rs1) >> u(5, imm),
  addw: ({ rs1, rs2 }) => s(32, rs1 + rs2),
  subw: ({ rs1, rs2 }) => s(32, rs1 - rs2),
  sllw: ({ rs1, rs2 }) => s(32, rs1 * 2n ** u(5, rs2)),
  srlw: ({ rs1, rs2 }) => s(32, u(32, rs1) / 2n ** u(5, rs2)),
  sraw: ({ rs1, rs2 }) => s(32, rs1) >> u(5, rs2),
  mul: ({ rs1, rs2 }) => rs1 * rs2,
  mulh: ({ rs1, rs2 }) => (rs1 * rs2) >> 64n,
  mulhsu: ({ rs1, rs2 }) => (rs1 * u(64, rs2)) >> 64n,
  mulhu: ({ rs1, rs2 }) => (u(64, rs1) * u(64, rs2)) >> 64n,
  div: ({ rs1, rs2 }) => quotient(64, rs1, rs2),
  divu: ({ rs1, rs2 }) => quotient(64, u(64, rs1), u(64, rs2)),
  rem: ({ rs1, rs2 }) => remainder(rs1, rs2),
  remu: ({ rs1, rs2 }) => remainder(u(64, rs1), u(64, rs2)),
  mulw: ({ rs1, rs2 }) => s(32, rs1 * rs2),
  divw: ({ rs1, rs2 }) => quotient(32, s(32, rs1), s(32, rs2)),
  divuw: ({ rs1, rs2 }) => s(32, quotient(32, u(32, rs1), u(32, rs2))),
  remw: ({ rs1, rs2 }) => remainder(s(32, rs1), s(32, rs2)),
  remuw: ({ rs1, rs2 }) => s(32, remainder(u(32, rs1), u(32, rs2))),
  "add.uw": ({ rs1, rs2 }) => u(32, rs1) + rs2,
  sh1add: ({ rs1, rs2 }) => 2n * rs1 + rs2,
  sh2add: ({ rs1, rs2 }) => 4n * rs1 + rs2,
  sh3add: ({ rs1, rs2 }) => 8n * rs1 + rs2,
  "sh1add.uw": ({ rs1, rs2 }) => 2n * u(32, rs1) + rs2,
  "sh2add.uw": ({ rs1, rs2 }) => 4n * u(32, rs1) + rs2,
  "sh3add.uw": ({ rs1, rs2 }) => 8n * u(32, rs1) + rs2,
  "slli.uw": ({ rs1, imm }) => u(32, rs1) * 2n ** u(6, imm),
  andn: ({ rs1, rs2 }) => rs1 & ~rs2,
  orn: ({ rs1, rs2 }) => rs1 | ~rs2,
  xnor: ({ rs1, rs2 }) => ~(rs1 ^ rs2),
  clz: ({ rs1 }) => zerosBefore(text(64, rs1)),
  clzw: ({ rs1 }) => zerosBefore(text(32, rs1)),
  ctz: ({ rs1 }) => zerosBefore(backwards(text(64, rs1))),
  ctzw: ({ rs1 }) => zerosBefore(backwards(text(32, rs1))),
  cpop: ({ rs1 }) => ones(text(64, rs1)),
  cpopw: ({ rs1 }) => ones(text(32, rs1)),
  max: ({ rs1, rs2 }) => rs1 > rs2 ? rs1 : rs2,
  maxu: ({ rs1, rs2 }) => u(64, rs1) > u(64, rs2) ? rs1 : rs2,
  min: ({ rs1, rs2 }) => rs1 < rs2 ? rs1 : rs2,
  minu: ({ rs1, rs2 }) => u(64, rs1) < u(64, rs2) ? rs1 : rs2,
  "sext.b": ({ rs1 }) => s(8, rs1),
  "sext.h": ({ rs1 }) => s(16, rs1),
  "zext.h": ({ rs1 }) => u(16, rs1),
  rol: ({ rs1, rs2 }) => rotatedLeft(64, rs1, rs2),
  rolw: ({ rs1, rs2 }) => s(32, rotatedLeft(32, rs1, rs2)),
  ror: ({ rs1, rs2 }) => rotatedLeft(64, rs1, 64n - u(6, rs2)),
  rori: ({ rs1, imm }) => rotatedLeft(64, rs1, 64n - u(6, imm)),
  roriw: ({ rs1, imm }) => s(32, rotatedLeft(32, rs1, 32n - u(5, imm))),
  rorw: ({ rs1, rs2 }) => s(32, rotatedLeft(32, rs1, 32n - u(5, rs2))),
  "orc.b": ({ rs1 }) => joined(bytes(rs1).map((byte) => byte === 0n ? 0n : 255n)),
  rev8: ({ rs1 }) => joined(bytes(rs1).reverse()),
  clmul: ({ rs1, rs2 }) => carrylessProduct(rs1, rs2),
  clmulh: ({ rs1, rs2 }) => carrylessProduct(rs1, rs2) >> 64n,
  clmulr: ({ rs1, rs2 }) => carrylessProduct(rs1, rs2) >> 63n,
  bclr: ({ rs1, rs2 }) => rs1 & ~(1n << u(6, rs2)),
  bclri: ({ rs1, imm }) => rs1 & ~(1n << u(6, imm)),
  bext: ({ rs1, rs2 }) => rs1 >> u(6, rs2) & 1n,
  bexti: ({ rs1, imm }) => rs1 >> u(6, imm) & 1n,
  binv: ({ rs1, rs2 }) => rs1 ^ 1n << u(6, rs2),
  binvi: ({ rs1, imm }) => rs1 ^ 1n << u(6, imm),
  bset: ({ rs1, rs2 }) => rs1 | 1n << u(6, rs2),
  bseti: ({ rs1, imm }) => rs1 | 1n << u(6, imm),
  "czero.eqz": ({ rs1, rs2 }) => rs2 === 0n ? 0n : rs1,
  "czero.nez": ({ rs1, rs2 }) => rs2 === 0n ? rs1 : 0n,
};

/** What an atomic instruction leaves in memory, given what it found there (sign-extended) and rs2. */
export const ATOMIC_MODEL: Readonly<Record<string, (bits: number, found: bigint, rs2: bigint) => bigint>> = {
  amoswap: (_bits, _found, rs2) => rs2,
  amoadd: (_bits, found, rs2) => found + rs2,
  amoxor: (_bits, found, rs2) => found ^ rs2,
  amoand: (_bits, found, rs2) => found & rs2,
  amoor: (_bits, found, rs2) => found | rs2,
  amomin: (bits, found, rs2) => s(bits, found) < s(bits, rs2) ? found : rs2,
  amomax: (bits, found, rs2) => s(bits, found) > s(bits, rs2) ? found : rs2,
  amominu: (bits, found, rs2) => u(bits, found) < u(bits, rs2) ? found : rs2,
  amomaxu: (bits, found, rs2) => u(bits, found) > u(bits, rs2) ? found : rs2,
};
