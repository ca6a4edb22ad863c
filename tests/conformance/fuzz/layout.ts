/** Where things are in the memory of a random program: offsets from the start of RAM, and what each page is for. */

export const RAM = 0x8000_0000n;
export const PAGE = 0x1000;

/** Of programs that end by themselves; others have less, and the end of it in their windows. */
export const MACHINE_RAM_BYTES = 16 << 20, BENCH_RAM_BYTES = 0x20_0000;

/** Stacks, below which is nothing: what recurs without end faults. */
export const STACKS = 0x0000, STACK_BYTES = 2 * PAGE;
/** Random code, and data that it is sent to by pointers. Behind both of them lies something else. */
export const CODE = 0x4000, CODE_PAGES = 4;
export const DATA = 0x8000, DATA_PAGES = 4;
/** On a bench a page of data lies elsewhere in guest memory, from the start of RAM: what is next to it is not. */
export const SEAMED = DATA + PAGE, SEAM_TO = 0x10_0000;
/** The page behind all data is another thing in each space: a device, other data, nothing, or not to be written. */
export const BEHIND = DATA + DATA_PAGES * PAGE;
/**
 * Page tables: for each space a root, a middle table and one of leaves. Each hart has its own, since it is not told by a
 * fence when another one changes them: then either entry may be used, and tiers need not agree.
 */
export const HARTS = 2, TABLES = 0x1_0000, SPACES = 4, TABLE_PAGES = 3 * SPACES;
/** The harts' save areas; where a program that ends leaves its registers; the handlers. */
export const SAVE_AREAS = TABLES + HARTS * TABLE_PAGES * PAGE, SAVE_BYTES = 0x200, REGISTERS = SAVE_AREAS + 0x800;
export const HANDLER = SAVE_AREAS + PAGE, SUPERVISOR_HANDLER = HANDLER + 0xc00;
/** What a program that ends has trapped for: mepc, the sum of all registers, mcause and mtval. */
export const LOG = HANDLER + PAGE, LOG_ENTRY_BYTES = 32, TRAP_LIMIT = 250;
/** What programs can change, and what is compared. */
export const COMPARED_BYTES = LOG + 2 * PAGE;

/**
 * Virtual addresses of the first 2 MiB of RAM in every space: as in machine mode, once more where kernels are, and as a
 * piece of a gigapage. The last 2 MiB of the address space show them, too.
 */
export const WINDOWS = [0x8000_0000n, 0xffff_ffff_c000_0000n, 0xc000_0000n] as const;

/** A physical window of one page that the host moves over RAM. */
export const MOVED_WINDOW = 0x6000_0000n;

/** Fields of a hart's save area. */
export const SAVE = {
  t0: 0x00,
  t1: 0x08,
  t2: 0x10,
  t6: 0x18,
  traps: 0x20,
  /** Traps until the program ends. */
  limit: 0x28,
  /** How often control was sent to another function. */
  turns: 0x30,
  services: 0x38,
  /** 16 doublewords: addresses of functions. */
  functions: 0x40,
  /** Registers that hold addresses, in the order of POINTERS. */
  pointers: 0xc0,
  /** Words of instructions that services write into the code. */
  templates: 0x100,
  templatePlaces: 0x140,
  /** From the page number of the first hart's tables to that of this one's. */
  tables: 0x180,
} as const;
export const FUNCTIONS = 16, TEMPLATES = 8;
