/**
 * Where a hart's state lies in guest memory, and what a decoded instruction looks like there: the one description that
 * the generated interpreter, a translator and TypeScript share. All offsets are in bytes from the hart's base.
 */

/** Pages of the largest memory that a 32-bit WebAssembly memory can have: one module serves every machine. */
export const MAXIMUM_PAGES = 65536;
/** Positions in the table of functions: the floating-point unit's `step`, and from where on there are regions. */
export const FLOAT_UNIT = 0, FIRST_REGION = 1;

/** Integer registers, 8 bytes each. x0 is never written: its writes go to `SINK`. */
export const X = 0x000;
export const SINK = 0x100;
/** Floating-point registers as raw 64 bits. */
export const F = 0x200;

/** i64: address of the next instruction; of the current one while TypeScript is called. */
export const PC = 0x300;
/** i64: what a slow load read, or what a slow store writes. */
export const VALUE = 0x308;
/** i64: the virtual address of an access that may fault; the trap value of the next `raise`. */
export const TVAL = 0x310;
/** i64: the physical address that the last walk found. */
export const PHYSICAL = 0x318;
/** i32: instructions that may still start in this slice. */
export const BUDGET = 0x320;
/** i32: fflags, frm and mstatus.FS, which live apart from their CSRs so that float instructions reach them quickly. */
export const FFLAGS = 0x324;
export const FRM = 0x328;
export const FS = 0x32c;
/** i32: absolute address of the TLB context that loads and stores use now, and of the one for fetches. */
export const DATA_TLB = 0x330;
export const FETCH_TLB = 0x334;
/** i32: numbers of those contexts; that for fetches is the mode. */
export const DATA_CONTEXT = 0x338;
export const FETCH_CONTEXT = 0x33c;
/** i32: mstatus.MXR. */
export const MXR = 0x340;
/** i32: levels of the page table that satp names (0: bare, 3: Sv39, 4: Sv48, 5: Sv57). i64: its root. */
export const LEVELS = 0x344;
export const ROOT = 0x348;
/** i64: address in guest memory that load-reserved named, or −1, and what it read there. */
export const RESERVATION = 0x350;
export const RESERVED_VALUE = 0x358;
/** i32: address of the map from pages of guest memory to decoded pages (`decoded_pages.ts`). */
export const CODE_MAP = 0x360;
/** i32: address of the map of pages of guest memory to which stores are told first (`logged_stores.ts`). */
export const LOGGED_MAP = 0x364;
/** i32: address of the table of entries of translated regions: u16 opcode that the slot had, u16 ordinal in the region. */
export const REGION_ENTRIES = 0x378;
export const ENTRY_BYTES = 4;
export const ENTRY_OPCODE = 0, ENTRY_ORDINAL = 2;
/** i32: lengths of the two tables below. */
export const PMP_COUNT = 0x368;
export const RANGE_COUNT = 0x36c;
/** i32: the slot of the last register jump that the interpreter ran or that translated code was left by, or 0. */
export const LAST_JUMP = 0x374;
/** i32: cache-block instructions that the current mode may use (`BLOCK_…`). */
export const BLOCK_ACTIONS = 0x37c;
export const BLOCK_INVALIDATE = 1, BLOCK_MANAGE = 2, BLOCK_ZERO = 4;
/** Bytes of the block that a cache-block instruction acts on. */
export const BLOCK_BYTES = 64;
/**
 * i32: pending interrupts, as bits of mip. Whatever makes one pending while the hart runs is seen here at once, but for
 * the hart's own timer, which is looked at when a stretch begins.
 */
export const PENDING = 0x3b0;

/** PMP entries in order of priority: i64 first, i64 last byte (inclusive), i32 permissions (`PMP_*`). */
export const PMP = 0x400;
export const PMP_ENTRY_BYTES = 24;
export const PMP_LIMIT = 16;
export const PMP_READ = 1, PMP_WRITE = 2, PMP_EXECUTE = 4, PMP_LOCKED = 8;

/** Ranges of physical addresses that are guest memory: i64 first, i64 last (inclusive), i32 offset, i32 `STORES_*`. */
export const RANGES = 0x600;
export const RANGE_BYTES = 24;
export const RANGE_LIMIT = 32;
/** What becomes of stores: done, lost (ROM), or handled by a device (ROM device). */
export const STORES_WRITE = 0, STORES_LOST = 1, STORES_DISPATCHED = 2;

/**
 * CSRs that are whole 64-bit fields. `mstatus` is without FS and SD, and `mip` without the timer interrupt that
 * stimecmp makes: both are put together when read.
 */
export const CSR = {
  mstatus: 0x900,
  mie: 0x908,
  mip: 0x910,
  medeleg: 0x918,
  mideleg: 0x920,
  mtvec: 0x928,
  mcounteren: 0x930,
  mscratch: 0x938,
  mepc: 0x940,
  mcause: 0x948,
  mtval: 0x950,
  stvec: 0x958,
  scounteren: 0x960,
  sscratch: 0x968,
  sepc: 0x970,
  scause: 0x978,
  stval: 0x980,
  satp: 0x988,
  stimecmp: 0x990,
  menvcfg: 0x998,
  mcountinhibit: 0x9a0,
  senvcfg: 0x9a8,
} as const;

/** mhpmcounter3 and on, mhpmevent3 and on: i64 each. */
export const IDLE_COUNTERS = 0xa00, IDLE_COUNTER_COUNT = 16;
export const EVENT_SELECTORS = 0xa80, EVENT_SELECTOR_COUNT = 29;

/**
 * Where translated code accessed memory last, by base register, for loads and for stores: i64 address of the page, or
 * what no page has; i32 from there to guest memory; i32 0, or −1 if there is none. No mapping changes while
 * translated code runs; when it is entered, it forgets those that the i64 in WINDOWS_USED has a bit for.
 */
export const WINDOWS = 0xc00, WINDOW_BYTES = 16;
export const WINDOW_PAGE = 0, WINDOW_DISTANCE = 8, WINDOW_MISSING = 12;
export const NO_PAGE = -1;
export const WINDOWS_USED = 0xb80;

/** One bit for each 2 MiB granule (hashed) of which the TLB holds a piece of a larger page. */
export const SUPERPAGES = 0x1000;
export const SUPERPAGE_BITS = 1 << 15;

/** TLBs: four contexts of three tables, whose entries are i64 page address (or −1), i32 value, i32 second value. */
export const TLB = 0x2000;
export const TLB_ENTRIES = 1024;
export const TLB_ENTRY_BYTES = 16;
export const TLB_TABLE_BYTES = TLB_ENTRIES * TLB_ENTRY_BYTES;
/** Tables of a context. Read and write entries add the value to an address; fetch entries hold slots and RAM page. */
export const READ_TABLE = 0, WRITE_TABLE = TLB_TABLE_BYTES, FETCH_TABLE = 2 * TLB_TABLE_BYTES;
export const TLB_CONTEXT_BYTES = 3 * TLB_TABLE_BYTES;
/** Contexts: user, supervisor, supervisor with SUM, machine. */
export const USER = 0, SUPERVISOR = 1, SUPERVISOR_SUM = 2, MACHINE = 3;
export const CONTEXTS = 4;

/**
 * How translated code was left, i64 counts by the opcode of the next instruction: first those that regions were left for,
 * then those that they asked the interpreter to run. `EXIT_TO_REGION` stands for all opcodes of entries.
 */
export const EXITS = TLB + CONTEXTS * TLB_CONTEXT_BYTES;
export const EXIT_OPCODES = 512;
export const EXIT_TO_REGION = EXIT_OPCODES - 1;

/**
 * Instructions that run apart from any page, because they straddle pages or lie outside of guest memory, by a hash of
 * their address. Each has three slots, and an i32: the word that is decoded there.
 */
export const SINGLES = EXITS + 2 * EXIT_OPCODES * 8;
export const SINGLE_COUNT = 64, SINGLE_BYTES = 64;
export const SINGLE_WORD = 48;

export const HART_BYTES = SINGLES + SINGLE_COUNT * SINGLE_BYTES;

/** A decoded instruction: 16 bytes for each halfword of a page. Register fields are offsets from the hart's base. */
export const SLOT_BYTES = 16;
/** Slots of a halfword are found by shifting a byte offset in the page left by this much. */
export const SLOT_SHIFT = 3;
export const SLOT_OPCODE = 0; // u16
export const SLOT_RD = 2; // u16
export const SLOT_RS1 = 4; // u16
export const SLOT_RS2 = 6; // u16
export const SLOT_IMM = 8; // i32; a near branch's distance in slots' bytes; raw bits of what is illegal or straddles
export const SLOT_RS3 = 8; // u16
export const SLOT_LENGTH = 12; // u8
export const SLOT_RM = 13; // u8
/** Of a CSR instruction: where generated code finds the register, or 0, and which bits of it stay 0 (`direct_csrs.ts`). */
export const SLOT_CSR_FIELD = SLOT_RS2; // u16
export const SLOT_CSR_ZEROS = SLOT_RM; // u8
export const SLOT_COUNT = 14; // u16; how often control came here otherwise than from the instruction before

/** A decoded page: its slots, one sentinel, then a header. */
export const PAGE_BYTES = 4096;
export const PAGE_SENTINEL = (PAGE_BYTES / 2) * SLOT_BYTES;
/** i32: address of the page in guest memory. */
export const PAGE_SOURCE = PAGE_SENTINEL + SLOT_BYTES;
/** i32: stores to the page since it was decoded. */
export const PAGE_STORES = PAGE_SOURCE + 4;
/** i64: one bit for each 64 bytes of the page from which translated regions were made. */
export const PAGE_TRANSLATED = PAGE_STORES + 4;
export const GRANULE_SHIFT = 6;
export const DECODED_PAGE_BYTES = PAGE_SENTINEL + 2 * SLOT_BYTES;

/** How the interpreter enters translated regions: at once, not at all, or by way of TypeScript, which checks them. */
export const ENTER_DIRECTLY = 0, ENTER_NEVER = 1, ENTER_CHECKED = 2;

/** What TypeScript and the memory functions answer: go on, the program counter changed, or fetch again. */
export const CONTINUE = 0, RELOAD = 1, FETCH_AGAIN = 2;

/** Kinds of slow accesses: log2 of the size, plus these. */
export const KIND_SIGNED = 4, KIND_FLOAT = 8;

/** Exception codes (privileged specification, table "mcause values"). */
export const CAUSE = {
  instructionMisaligned: 0,
  instructionAccess: 1,
  illegal: 2,
  breakpoint: 3,
  loadMisaligned: 4,
  loadAccess: 5,
  storeMisaligned: 6,
  storeAccess: 7,
  ecallUser: 8,
  instructionPage: 12,
  loadPage: 13,
  storePage: 15,
} as const;
