// Machine mode (rv64mi): traps and what they leave, CSRs that exist and that do not, PMP, timer and software interrupts.
#include "program.h"

#define CLINT ((volatile u8 *)0x2000000)
#define MSIP (*(volatile u32 *)CLINT)
#define MTIMECMP (*(volatile u64 *)(CLINT + 0x4000))
#define MTIME (*(volatile u64 *)(CLINT + 0xbff8))

SNIPPET(ecall, "nop");
SNIPPET(illegal_zero, ".word 0");
SNIPPET(illegal_word, ".word 0xffffffff");
SNIPPET(illegal_half, ".half 0x8000");
SNIPPET(illegal_system, ".word 0x30300073");
SNIPPET(read_nowhere, "lw a1, 0(a0)");
SNIPPET(write_nowhere, "sd a1, 0(a0)");
SNIPPET(jump, "jr a0");
SNIPPET(jump_odd, "addi a0, a0, 1\njr a0\n.align 2");
SNIPPET(misaligned, "li t0, 0x1122334455667788\nsd t0, 1(a0)\nlw a0, 3(a0)");
SNIPPET(csr_absent, "csrr a0, 0x30c");
SNIPPET(csr_absent_counter, "csrr a0, 0xda0");
SNIPPET(csr_read_only, "csrw mhartid, a0");
SNIPPET(csr_read_only_set_zero, "csrrs a0, mvendorid, zero");
SNIPPET(csr_of_machine, "csrr a0, mstatus");
SNIPPET(csr_of_supervisor, "csrr a0, sstatus");
SNIPPET(mret_below, "mret");
SNIPPET(sret, "la t0, 1f\ncsrw sepc, t0\nsret\n1: nop");
SNIPPET(wfi, "wfi\nli a0, 7");
SNIPPET(fence, "fence.i\nfence\n.word 0x0100000f");
SNIPPET(fence_vma, "sfence.vma");
SNIPPET(read_cycle, "rdcycle a0\nli a0, 1");
SNIPPET(read_time, "rdtime a0\nli a0, 1");
SNIPPET(read_instret, "rdinstret a0\nli a0, 1");
SNIPPET(load, "ld a0, 0(a0)");
SNIPPET(store, "sd zero, 0(a0)");
SNIPPET(fetch, "jr a0");
SNIPPET(wait, "1: j 1b");
SNIPPET(wait_for_interrupt, "1: wfi\nj 1b");
SNIPPET(self_modifying, "lw t0, 12(a0)\nla t1, 1f\nsw t0, 0(t1)\nfence.i\n1: li a0, 1\n.align 2");

static u64 place[1024] __attribute__((aligned(4096)));
static u32 code[4] = {0x0000006f, 0, 0, 0x00200513}; // …, li a0, 2

static void traps(void) {
  for (long mode = USER; mode <= MACHINE; mode += mode == SUPERVISOR ? 2 : 1) {
    show("mode", mode);
    attempt("ecall", mode, ecall, 0);
    attempt("illegal 0", mode, illegal_zero, 0);
    attempt("illegal ffffffff", mode, illegal_word, 0);
    attempt("illegal half", mode, illegal_half, 0);
    attempt("illegal system", mode, illegal_system, 0);
    attempt("read nowhere", mode, read_nowhere, 0x200000);
    attempt("write nowhere", mode, write_nowhere, 0x200000);
    attempt("jump nowhere", mode, jump, 0x200000);
    attempt("jump to odd", mode, jump_odd, (long)ecall);
    attempt("misaligned", mode, misaligned, (long)place + 4090);
    attempt("absent csr", mode, csr_absent, 0);
    attempt("absent counter", mode, csr_absent_counter, 0);
    attempt("write of a read-only csr", mode, csr_read_only, 0);
    attempt("set of nothing in a read-only csr", mode, csr_read_only_set_zero, 0);
    attempt("mstatus", mode, csr_of_machine, 0) ;
    attempt("sstatus", mode, csr_of_supervisor, 0);
    if (mode != MACHINE) attempt("mret", mode, mret_below, 0);
    attempt("sret", mode, sret, 0);
    attempt("fences", mode, fence, 0);
    attempt("sfence.vma", mode, fence_vma, 0);
    attempt("self-modifying", mode, self_modifying, (long)code);
  }
}

static void counters(void) {
  for (u64 machine = 0; machine < 8; machine++) {
    WRITE_CSR(mcounteren, machine);
    WRITE_CSR(scounteren, (7 & ~machine) | 1);
    for (long mode = USER; mode <= SUPERVISOR; mode++) {
      attempt("cycle", mode, read_cycle, 0);
      attempt("time", mode, read_time, 0);
      attempt("instret", mode, read_instret, 0);
    }
  }
  u64 first = READ_CSR(instret), second = READ_CSR(instret);
  show("instret counts", second > first);
  show("time passes", ({ u64 start = READ_CSR(time); while (READ_CSR(time) == start) {} 1; }));
  show("time is mtime", MTIME - READ_CSR(time) < 10000000);
}

static void virtualisation(void) {
  SET_CSR(mstatus, 1 << 20 | 1 << 21 | 1 << 22);
  attempt("TSR: sret", SUPERVISOR, sret, 0);
  attempt("TW: wfi", SUPERVISOR, wfi, 0);
  attempt("TVM: sfence.vma", SUPERVISOR, fence_vma, 0);
  attempt("user wfi", USER, wfi, 0);
  CLEAR_CSR(mstatus, 1 << 20 | 1 << 21 | 1 << 22);
}

#define WARL(name, value) do { WRITE_CSR(name, value); show(#name " <- " #value, READ_CSR(name)); } while (0)

static void legal_values(void) {
  show("misa", READ_CSR(misa));
  WARL(misa, 0);
  WARL(mtvec, 0x80001001);
  WARL(mtvec, 0x80001000);
  WARL(mepc, 0x80001002);
  WARL(mscratch, -1);
  WARL(mcause, 0x8000000000000007);
  WARL(mtval, 0x123456789abcdef0);
  WARL(stvec, 0x80001001);
  WARL(satp, 0x1000000000000001);
  WARL(satp, 0x8000000000080000);
  WARL(satp, 0);
  WARL(medeleg, 0xb109);
  WARL(medeleg, 0);
  WARL(mideleg, 0x222);
  WARL(mideleg, 0);
  WARL(mie, 0xaaa);
  WARL(mie, 0);
  WARL(mcounteren, 7);
  WARL(sscratch, 0x5555);
  WARL(pmpaddr1, 0x3fffffffffffff);
  WARL(pmpaddr1, 0);
  WARL(pmpcfg2, 0);
  u64 hart = READ_CSR(mhartid);
  show("mhartid", hart);
}

// Traps vectored through a table go to BASE + 4 × cause for interrupts only.
extern char vectors[];
__asm__(".text\n.align 8\nvectors:\n.rept 16\nj vectored\n.endr\n"
        "vectored: csrr a0, mcause\nla t0, vector_cause\nsd a0, 0(t0)\nla t0, vector_pc\ncsrr t1, mepc\nsd t1, 0(t0)\n"
        "csrw mie, zero\nli t0, 0x2000000\nsw zero, 0(t0)\nmret\n");
u64 vector_cause, vector_pc;

static void interrupts(void) {
  WRITE_CSR(mie, 1 << 3);
  MSIP = 1;
  show("msip pending", READ_CSR(mip) >> 3 & 1);
  attempt("software interrupt in user mode", USER, wait, 0);
  MSIP = 0;
  show("msip pending", READ_CSR(mip) >> 3 & 1);
  MTIMECMP = MTIME + 10000;
  WRITE_CSR(mie, 1 << 7);
  attempt("timer interrupt in supervisor mode", SUPERVISOR, wait, 0);
  show("mtip pending", READ_CSR(mip) >> 7 & 1);
  MTIMECMP = -1;
  show("mtip pending", READ_CSR(mip) >> 7 & 1);
  MTIMECMP = MTIME + 10000;
  u64 cause = enter_mode(SUPERVISOR, wait_for_interrupt, 0);
  show("timer ends wfi", cause);
  MTIMECMP = 0;
  MSIP = 1;
  WRITE_CSR(mie, 1 << 3 | 1 << 7);
  attempt("software before timer", USER, wait, 0);
  MTIMECMP = -1;
  WRITE_CSR(mie, 1 << 3);
  WRITE_CSR(mtvec, (u64)vectors | 1);
  SET_CSR(mstatus, 8);
  show("vectored cause", *(volatile u64 *)&vector_cause);
  show("status after", READ_CSR(mstatus) & 0x1888);
  CLEAR_CSR(mstatus, 8);
  WRITE_CSR(mie, 0);
  SET_CSR(mip, 1 << 5 | 1 << 1 | 1 << 9);
  show("supervisor bits", READ_CSR(mip) & 0x222);
  WRITE_CSR(mideleg, 0x222);
  WRITE_CSR(mie, 0x222);
  show("sip", READ_CSR(sip));
  show("sie", READ_CSR(sie));
  WRITE_CSR(mideleg, 0);
  // An external interrupt would come first (3.1.9); the peer takes the lowest number.
  CLEAR_CSR(mip, 1 << 9);
  attempt("supervisor interrupts by priority", SUPERVISOR, wait, 0);
  CLEAR_CSR(mip, 1 << 1);
  attempt("supervisor interrupts by priority", USER, wait, 0);
  CLEAR_CSR(mip, 1 << 5);
  WRITE_CSR(mie, 0);
}

static void protect(const char *name, u64 configuration, u64 address) {
  print(name);
  put('\n');
  WRITE_CSR(pmpcfg0, 0x1f00 | configuration);
  WRITE_CSR(pmpaddr1, -1);
  WRITE_CSR(pmpaddr0, address);
  show("pmpcfg0", READ_CSR(pmpcfg0));
  show("pmpaddr0", READ_CSR(pmpaddr0));
  for (int offset = 0; offset <= 4096; offset += offset == 16 ? 4080 : 8) {
    attempt("load", SUPERVISOR, load, (long)place + offset);
    attempt("store", USER, store, (long)place + offset);
  }
  attempt("machine", MACHINE, load, (long)place);
  place[0] = 0x00000073; // ecall
  __asm__ volatile("fence.i");
  attempt("fetch", SUPERVISOR, fetch, (long)place);
}

static void protection(void) {
  u64 at = (u64)place >> 2;
  protect("NAPOT 8 bytes, nothing", 0x18, at);
  protect("NAPOT 16 bytes, read", 0x19, at | 1);
  protect("NAPOT page, execute", 0x1c, at | 0x1ff);
  protect("NA4, read and write", 0x13, at + 2);
  protect("TOR from 0, read and execute", 0x0d, at + 4);
  protect("off", 0x07, at);
  WRITE_CSR(pmpaddr0, at);
  WRITE_CSR(pmpaddr1, at + 4);
  WRITE_CSR(pmpaddr2, -1);
  WRITE_CSR(pmpcfg0, 0x1f0900);
  attempt("TOR range, store", SUPERVISOR, store, (long)place + 8);
  attempt("TOR range, load", SUPERVISOR, load, (long)place + 8);
  attempt("TOR range, above", SUPERVISOR, store, (long)place + 16);
  SET_CSR(mstatus, 1 << 17);
  CLEAR_CSR(mstatus, 0x1800);
  // MPRV: machine mode's accesses are made as user mode.
  show("MPRV load", ({ u64 value; __asm__ volatile("ld %0, 0(%1)" : "=r"(value) : "r"(place)); value; }));
  CLEAR_CSR(mstatus, 1 << 17);
  WRITE_CSR(pmpcfg0, 0x1f0980);
  WRITE_CSR(pmpaddr0, 0);
  show("locked address", READ_CSR(pmpaddr0) == at);
  show("locked configuration", READ_CSR(pmpcfg0) & 0xff);
}

int main(void) {
  place[0] = 0x1122334455667788;
  for (int i = 1; i < 1024; i++) place[i] = i;
  traps();
  counters();
  virtualisation();
  legal_values();
  interrupts();
  protection();
  return 0;
}
