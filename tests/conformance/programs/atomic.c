// RV64A (rv64ua): every AMO on telling operands, and what LR and SC promise.
#include "program.h"

static const u64 OPERANDS[] = {
  0, 1, 0x7fffffff, 0x80000000, 0xffffffff, 0x7fffffffffffffff, 0x8000000000000000, 0xffffffffffffffff, 0x123456789abcdef,
};
#define COUNT (sizeof OPERANDS / sizeof *OPERANDS)

#define AMO(name)                                                                               \
  do {                                                                                          \
    u64 sum = 0;                                                                                \
    for (unsigned i = 0; i < COUNT; i++)                                                        \
      for (unsigned j = 0; j < COUNT; j++) {                                                    \
        u64 place = OPERANDS[i], old;                                                           \
        __asm__ volatile(name " %0, %1, (%2)" : "=r"(old) : "r"(OPERANDS[j]), "r"(&place) : "memory"); \
        sum = mix(mix(sum, old), place);                                                        \
      }                                                                                         \
    show(name, sum);                                                                            \
  } while (0)
#define BOTH(name) AMO(name ".w"); AMO(name ".d"); AMO(name ".w.aqrl")

SNIPPET(misaligned_amo, "addi a0, a0, 2\namoadd.w a1, a0, (a0)");
SNIPPET(misaligned_lr, "addi a0, a0, 4\nlr.d a1, (a0)");
SNIPPET(misaligned_sc, "lr.w a1, (a0)\naddi a0, a0, 1\nsc.w a1, a1, (a0)");

static u64 pair[4];

int main(void) {
  BOTH("amoswap"); BOTH("amoadd"); BOTH("amoxor"); BOTH("amoand"); BOTH("amoor");
  BOTH("amomin"); BOTH("amomax"); BOTH("amominu"); BOTH("amomaxu");
  u64 read, failed;
  pair[0] = 0x80000001ffffffff;
  __asm__ volatile("lr.w %0, (%2)\nsc.w %1, %0, (%2)" : "=&r"(read), "=&r"(failed) : "r"(pair) : "memory");
  show("lr.w", read); show("sc.w fails", failed != 0); show("memory", pair[0]);
  __asm__ volatile("sc.w %0, zero, (%1)" : "=&r"(failed) : "r"(pair) : "memory");
  show("sc.w again fails", failed != 0); show("memory", pair[0]);
  __asm__ volatile("lr.d %0, (%2)\nsc.d %1, sp, (%3)" : "=&r"(read), "=&r"(failed) : "r"(pair), "r"(pair + 2) : "memory");
  show("sc.d elsewhere fails", failed != 0); show("memory", pair[2]);
  attempt("misaligned lr", MACHINE, misaligned_lr, (long)pair);
  u64 cause = enter_mode(MACHINE, misaligned_amo, (long)pair);
  // A misaligned AMO is a store fault; peers have been seen to call it otherwise.
  show("misaligned amo traps", cause == 6 || cause == 4);
  show("misaligned sc", enter_mode(MACHINE, misaligned_sc, (long)pair) == 6 || trap_a0 == (u64)pair + 1);
  return 0;
}
