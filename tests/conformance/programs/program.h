// What every program uses: output on the UART, and traps in any mode.
#ifndef PROGRAM_H
#define PROGRAM_H

typedef unsigned char u8;
typedef unsigned int u32;
typedef unsigned long u64;

#define UART ((volatile u8 *)0x10000000)
enum { USER = 0, SUPERVISOR = 1, MACHINE = 3 };

extern long enter_mode(long mode, void *code, long argument);
extern u64 trap_a0, trap_epc, trap_value, trap_status;

static void put(char c) {
  while (!(UART[5] & 0x20)) {}
  UART[0] = c;
}

static void print(const char *text) {
  while (*text) put(*text++);
}

static void print_hex(u64 value) {
  int shift = 60;
  while (shift > 0 && !(value >> shift & 15)) shift -= 4;
  for (; shift >= 0; shift -= 4) put("0123456789abcdef"[value >> shift & 15]);
}

// One line: a name and a value.
static void show(const char *name, u64 value) {
  print(name);
  put(' ');
  print_hex(value);
  put('\n');
}

void report_unexpected_trap(u64 cause, u64 pc, u64 value) {
  show("unexpected trap", cause);
  show("at", pc);
  show("value", value);
}

// Runs `code` in a mode until it traps; one line with cause, distance of the trap from `code`, value and a0.
static void attempt(const char *name, long mode, void *code, long argument) {
  u64 cause = enter_mode(mode, code, argument);
  print(name);
  print(" cause ");
  print_hex(cause);
  print(" at +");
  print_hex(trap_epc - (u64)code);
  print(" value ");
  print_hex(trap_value);
  print(" a0 ");
  print_hex(trap_a0);
  put('\n');
}

// Instructions for `attempt`, ended by an ECALL if nothing traps before.
#define SNIPPET(name, text)                                       \
  extern char name[];                                             \
  __asm__(".text\n.align 2\n.globl " #name "\n" #name ":\n" text "\necall\n")

#define READ_CSR(csr) ({ u64 value; __asm__ volatile("csrr %0, " #csr : "=r"(value)); value; })
#define WRITE_CSR(csr, value) __asm__ volatile("csrw " #csr ", %0" ::"r"((u64)(value)) : "memory")
#define SET_CSR(csr, value) __asm__ volatile("csrs " #csr ", %0" ::"r"((u64)(value)) : "memory")
#define CLEAR_CSR(csr, value) __asm__ volatile("csrc " #csr ", %0" ::"r"((u64)(value)) : "memory")

// Order-dependent sum of everything added to it.
static u64 mix(u64 sum, u64 value) {
  return (sum ^ value) * 0x100000001b3ul + (sum >> 29);
}

#endif
