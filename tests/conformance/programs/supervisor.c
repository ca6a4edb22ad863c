// Supervisor mode (rv64si): Sv39 translation with every kind of permission, A and D bits, SUM and MXR, fences, delegation,
// and the supervisor's timer (Sstc).
#include "program.h"

#define V 1
#define R 2
#define W 4
#define X 8
#define U 16
#define A 64
#define D 128

static u64 root[512] __attribute__((aligned(4096))), middle[512] __attribute__((aligned(4096)));
static u64 leaves[512] __attribute__((aligned(4096)));
static u64 page[2][512] __attribute__((aligned(4096)));

// The page under test, and its neighbour, at 1 GiB; the program itself at 2 GiB, for the supervisor and for users.
#define UNDER_TEST 0x40000000ul
#define USER_CODE 0xc0000000ul

SNIPPET(load, "ld a0, 0(a0)");
SNIPPET(store, "li t0, 0x77\nsd t0, 0(a0)\nli a0, 0");
SNIPPET(fetch, "jr a0");
SNIPPET(half_load, "lh a0, 0(a0)");
SNIPPET(swap, "amoswap.w a0, zero, (a0)");
SNIPPET(set_satp, "csrw satp, a0\ncsrr a0, satp");
SNIPPET(wait, "1: j 1b");
SNIPPET(system_call, "nop");
SNIPPET(illegal, ".word 0");
SNIPPET(set_timer, "rdtime t0\naddi t0, t0, 100\ncsrw stimecmp, t0\n1: csrr t0, sip\nandi t0, t0, 32\nbeqz t0, 1b\nli a0, 1\nli t0, -1\ncsrw stimecmp, t0\ncsrr t0, sip\nandi a1, t0, 32\nadd a0, a0, a1");
SNIPPET(timer_csr, "csrr a0, stimecmp");
SNIPPET(status, "csrr a0, sstatus");
// Supervisor trap handler: it tells machine mode the cause in a0.
SNIPPET(handler, "csrr a0, scause");
SNIPPET(return_to_user, "la t0, system_call\nli t1, 0x40000000\nadd t0, t0, t1\ncsrw sepc, t0\nli t0, 0x100\ncsrc sstatus, t0\nsret");

static u64 leaf(void *address, u64 flags) { return (u64)address >> 12 << 10 | flags; }
static void fence(void) { __asm__ volatile("sfence.vma" ::: "memory"); }

static void set_up(void) {
  root[1] = leaf(middle, V);
  root[2] = leaf((void *)0x80000000, V | R | W | X | A | D);
  root[3] = leaf((void *)0x80000000, V | R | W | X | U | A | D);
  middle[0] = leaf(leaves, V);
  WRITE_CSR(satp, 8ul << 60 | (u64)root >> 12);
  fence();
}

static void permissions(void) {
  static const u64 FLAGS[] = {
    0, V, V | R, V | W, V | X, V | R | W, V | R | X, V | W | X, V | R | W | X, V | R | A, V | R | W | A, V | R | W | A | D,
    V | X | A, V | R | X | A, V | W | A | D, V | R | W | X | A | D, R | W | X | A | D, V | R | W | X | A | D | 1ul << 54,
    V | R | W | X | A | D | 1ul << 60, V | R | W | X | A | D | 1ul << 61, V | R | W | X | A | D | 1ul << 63,
    V | R | W | X | A | D | 32, V | R | W | X | A | D | 3 << 8,
  };
  for (unsigned i = 0; i < sizeof FLAGS / sizeof *FLAGS; i++)
    for (u64 user = 0; user <= U; user += U)
      for (u64 control = 0; control < 4; control++) {
        show("entry", FLAGS[i] | user);
        show("SUM and MXR", control);
        CLEAR_CSR(mstatus, 3 << 18);
        SET_CSR(mstatus, control << 18);
        page[0][0] = 0x0000000000000073; // ecall
        for (int step = 0; step < 6; step++) {
          leaves[0] = leaf(page[0], FLAGS[i] | user);
          fence();
          if (step == 0) attempt("S load", SUPERVISOR, load, UNDER_TEST);
          if (step == 1) attempt("S store", SUPERVISOR, store, UNDER_TEST + 8);
          if (step == 2) attempt("S fetch", SUPERVISOR, fetch, UNDER_TEST);
          if (step == 3) attempt("U load", USER, load + (USER_CODE - 0x80000000), UNDER_TEST);
          if (step == 4) attempt("U store", USER, store + (USER_CODE - 0x80000000), UNDER_TEST + 8);
          if (step == 5) attempt("U fetch", USER, fetch + (USER_CODE - 0x80000000), UNDER_TEST);
          show("entry after", leaves[0] & 0xff);
        }
      }
  CLEAR_CSR(mstatus, 3 << 18);
}

static void shapes(void) {
  leaves[0] = leaf(page[0], V | R | W | A | D);
  leaves[1] = leaf(page[1], V | R | A);
  fence();
  attempt("load across pages", SUPERVISOR, load, UNDER_TEST + 4092);
  attempt("store across pages", SUPERVISOR, store, UNDER_TEST + 4092);
  show("first page untouched", page[0][511]);
  leaves[1] = 0;
  fence();
  attempt("load into nothing", SUPERVISOR, load, UNDER_TEST + 4089);
  attempt("half into nothing", SUPERVISOR, half_load, UNDER_TEST + 4095);
  attempt("not canonical", SUPERVISOR, load, 0x4000000000);
  attempt("not canonical", SUPERVISOR, load, -0x4000000001l);
  attempt("top", SUPERVISOR, load, -8);
  middle[1] = leaf((void *)0x80000000, V | R | A);
  middle[2] = leaf((void *)0x80001000, V | R | A);
  middle[3] = leaf(leaves, V | A);
  root[4] = leaf((void *)0x80200000, V | R | A);
  fence();
  attempt("megapage", SUPERVISOR, half_load, UNDER_TEST + 0x200000);
  attempt("misaligned megapage", SUPERVISOR, load, UNDER_TEST + 0x400000);
  attempt("A in a pointer", SUPERVISOR, load, UNDER_TEST + 0x600000);
  attempt("misaligned gigapage", SUPERVISOR, load, 0x100000000);
  leaves[0] = leaf((void *)0xf0000000, V | R | W | A | D);
  fence();
  attempt("page of no memory", SUPERVISOR, load, UNDER_TEST);
  leaves[0] = leaf(page[0], V | R | W | A);
  fence();
  attempt("swap sets D", SUPERVISOR, swap, UNDER_TEST);
  show("entry after", leaves[0] & 0xff);
}

// A translation that was changed is used after a fence at the latest.
static void fences(void) {
  page[0][0] = 1;
  page[1][0] = 2;
  leaves[0] = leaf(page[0], V | R | A);
  fence();
  attempt("first page", SUPERVISOR, load, UNDER_TEST);
  leaves[0] = leaf(page[1], V | R | A);
  __asm__ volatile("sfence.vma %0, zero" ::"r"(UNDER_TEST) : "memory");
  attempt("second page", SUPERVISOR, load, UNDER_TEST);
  leaves[0] = leaf(page[0], V | R | A);
  __asm__ volatile("sfence.vma zero, %0" ::"r"(0) : "memory");
  attempt("first page", SUPERVISOR, load, UNDER_TEST);
  WRITE_CSR(satp, 0);
  attempt("no translation", SUPERVISOR, load, (long)page[1]);
  WRITE_CSR(satp, 8ul << 60 | (u64)root >> 12);
  fence();
  attempt("translation", SUPERVISOR, load, UNDER_TEST);
  attempt("unsupported mode", SUPERVISOR, set_satp, 5l << 60 | 7);
  SET_CSR(mstatus, 1 << 20);
  attempt("TVM", SUPERVISOR, set_satp, 0);
  CLEAR_CSR(mstatus, 1 << 20);
}

static void delegation(void) {
  WRITE_CSR(stvec, (u64)handler);
  WRITE_CSR(medeleg, 1 << 8 | 1 << 2 | 1 << 13);
  for (long mode = USER; mode <= SUPERVISOR; mode++) {
    u64 shift = mode == USER ? USER_CODE - 0x80000000 : 0;
    show("mode", mode);
    attempt("delegated or not: ecall", mode, system_call + shift, 5);
    show("sepc", READ_CSR(sepc) - (u64)system_call);
    attempt("delegated: illegal", mode, illegal + shift, 5);
    show("stval", READ_CSR(stval));
    attempt("delegated: load", mode, load + shift, 0x3000000000);
    show("stval", READ_CSR(stval));
    show("status", READ_CSR(sstatus) & 0x122);
  }
  attempt("machine mode keeps its own", MACHINE, illegal, 0);
  WRITE_CSR(medeleg, 0);
  attempt("return to user", SUPERVISOR, return_to_user, 0);
  show("mode before", trap_status >> 11 & 3);
  WRITE_CSR(mideleg, 0x222);
  WRITE_CSR(mie, 2);
  SET_CSR(mip, 2);
  attempt("interrupt while off", SUPERVISOR, system_call, 0);
  SET_CSR(sstatus, 2);
  attempt("delegated interrupt", SUPERVISOR, wait, 0);
  show("sepc", READ_CSR(sepc) - (u64)wait);
  show("status", READ_CSR(sstatus) & 0x122);
  CLEAR_CSR(sstatus, 2);
  attempt("user is always open", USER, wait + (USER_CODE - 0x80000000), 0);
  CLEAR_CSR(mip, 2);
  WRITE_CSR(mie, 0);
  attempt("status", SUPERVISOR, status, 0);
}

static void timer(void) {
  attempt("stimecmp while off", SUPERVISOR, timer_csr, 0);
  SET_CSR(mcounteren, 2);
  __asm__ volatile("csrs 0x30a, %0" ::"r"(1ul << 63)); // menvcfg.STCE
  attempt("timer", SUPERVISOR, set_timer, 0);
  CLEAR_CSR(mcounteren, 2);
  attempt("stimecmp without time", SUPERVISOR, timer_csr, 0);
}

int main(void) {
  set_up();
  permissions();
  shapes();
  fences();
  delegation();
  timer();
  return 0;
}
