/** Numbers of control and status registers (privileged specification, "CSR Listing"), for assembly text. */

/** Registers that follow one another, named by their place. */
function series(count: number, first: number, name: (i: number) => string): [string, number][] {
  return Array.from({ length: count }, (_, i) => [name(i), first + i]);
}

const NAMED = {
  fflags: 0x001,
  frm: 0x002,
  fcsr: 0x003,
  sstatus: 0x100,
  sie: 0x104,
  stvec: 0x105,
  scounteren: 0x106,
  senvcfg: 0x10a,
  sscratch: 0x140,
  sepc: 0x141,
  scause: 0x142,
  stval: 0x143,
  sip: 0x144,
  stimecmp: 0x14d,
  satp: 0x180,
  mstatus: 0x300,
  misa: 0x301,
  medeleg: 0x302,
  mideleg: 0x303,
  mie: 0x304,
  mtvec: 0x305,
  mcounteren: 0x306,
  menvcfg: 0x30a,
  mcountinhibit: 0x320,
  mscratch: 0x340,
  mepc: 0x341,
  mcause: 0x342,
  mtval: 0x343,
  mip: 0x344,
  tselect: 0x7a0,
  tdata1: 0x7a1,
  tdata2: 0x7a2,
  tdata3: 0x7a3,
  mcycle: 0xb00,
  minstret: 0xb02,
  cycle: 0xc00,
  time: 0xc01,
  instret: 0xc02,
  mvendorid: 0xf11,
  marchid: 0xf12,
  mimpid: 0xf13,
  mhartid: 0xf14,
  mconfigptr: 0xf15,
} as const;

export type CsrName = keyof typeof NAMED;

/** Numbers of the registers that programs name: `csr.mstatus` is 0x300. */
export const csr: Readonly<Record<CsrName, number>> = NAMED;

const NAMES: ReadonlyMap<number, string> = new Map(
  [
    ...Object.entries(NAMED),
    // Configuration registers of RV64 have even numbers only.
    ...series(16, 0x3a0, (i) => `pmpcfg${i}`).filter(([, number]) => number % 2 === 0),
    ...series(64, 0x3b0, (i) => `pmpaddr${i}`),
    ...series(29, 0x323, (i) => `mhpmevent${i + 3}`),
    ...series(29, 0xb03, (i) => `mhpmcounter${i + 3}`),
    ...series(29, 0xc03, (i) => `hpmcounter${i + 3}`),
  ].map(([name, number]) => [number, name]),
);

/** The name of a register, or its number in hexadecimal. */
export function csrName(number: number): string {
  return NAMES.get(number) ?? `0x${number.toString(16)}`;
}
