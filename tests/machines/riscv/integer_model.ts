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
