// RV64I and RV64M (rv64ui, rv64um): every operation on pairs of telling operands. Products are checked against sums of
// partial ones, quotients against their remainders; one line per operation, with a sum over all results.
#include "program.h"

static const u64 OPERANDS[] = {
  0, 1, 2, 3, 7, 0x1f, 0x20, 0x3f, 0x40, 0x7f, 0x80, 0xff, 0x7fff, 0x8000, 0xffff, 0x12345678, 0x7fffffff, 0x80000000,
  0xffffffff, 0x100000000, 0x123456789abcdef, 0x7fffffffffffffff, 0x8000000000000000, 0x8000000000000001,
  0xffffffff80000000, 0xfffffffffffffffe, 0xffffffffffffffff,
};
#define COUNT (sizeof OPERANDS / sizeof *OPERANDS)

#define PAIRS(name)                                                                          \
  do {                                                                                       \
    u64 sum = 0;                                                                             \
    for (unsigned i = 0; i < COUNT; i++)                                                     \
      for (unsigned j = 0; j < COUNT; j++) {                                                 \
        u64 result;                                                                          \
        __asm__ volatile(name " %0, %1, %2" : "=r"(result) : "r"(OPERANDS[i]), "r"(OPERANDS[j])); \
        sum = mix(sum, result);                                                              \
      }                                                                                      \
    show(name, sum);                                                                         \
  } while (0)

#define WITH_IMMEDIATE(name, immediate)                                                         \
  do {                                                                                          \
    u64 sum = 0;                                                                                \
    for (unsigned i = 0; i < COUNT; i++) {                                                      \
      u64 result;                                                                               \
      __asm__ volatile(name " %0, %1, " #immediate : "=r"(result) : "r"(OPERANDS[i]));          \
      sum = mix(sum, result);                                                                   \
    }                                                                                           \
    show(name " " #immediate, sum);                                                             \
  } while (0)

#define BRANCHES(name)                                                                       \
  do {                                                                                       \
    u64 sum = 0;                                                                             \
    for (unsigned i = 0; i < COUNT; i++)                                                     \
      for (unsigned j = 0; j < COUNT; j++) {                                                 \
        u64 taken = 1;                                                                       \
        __asm__ volatile(name " %1, %2, 1f\nli %0, 0\n1:" : "+r"(taken) : "r"(OPERANDS[i]), "r"(OPERANDS[j])); \
        sum = mix(sum, taken);                                                               \
      }                                                                                      \
    show(name, sum);                                                                         \
  } while (0)

#define LOADS(name)                                                                          \
  do {                                                                                       \
    u64 sum = 0;                                                                             \
    for (unsigned offset = 0; offset < 40; offset++) {                                       \
      u64 result;                                                                            \
      __asm__ volatile(name " %0, -3(%1)" : "=r"(result) : "r"((u8 *)OPERANDS + 64 + offset)); \
      sum = mix(sum, result);                                                                \
    }                                                                                        \
    show(name, sum);                                                                         \
  } while (0)

#define STORES(name)                                                                         \
  do {                                                                                       \
    u64 sum = 0;                                                                             \
    for (unsigned offset = 0; offset < 16; offset++) {                                       \
      u64 place[4] = {1, 2, 3, 4};                                                           \
      __asm__ volatile(name " %0, 5(%1)" ::"r"(0x8877665544332211), "r"((u8 *)place + offset) : "memory"); \
      for (int i = 0; i < 4; i++) sum = mix(sum, place[i]);                                  \
    }                                                                                        \
    show(name, sum);                                                                         \
  } while (0)

static int wrong_products(void) {
  int wrong = 0;
  for (unsigned i = 0; i < COUNT; i++)
    for (unsigned j = 0; j < COUNT; j++) {
      u64 a = OPERANDS[i], b = OPERANDS[j], high, signed_high, mixed_high, quotient, remainder;
      u64 low = (a & 0xffffffff) * (b & 0xffffffff), middle = (a >> 32) * (b & 0xffffffff) + (low >> 32);
      u64 other = (a & 0xffffffff) * (b >> 32) + (middle & 0xffffffff);
      u64 expected = (a >> 32) * (b >> 32) + (middle >> 32) + (other >> 32);
      __asm__("mulhu %0, %1, %2" : "=r"(high) : "r"(a), "r"(b));
      __asm__("mulh %0, %1, %2" : "=r"(signed_high) : "r"(a), "r"(b));
      __asm__("mulhsu %0, %1, %2" : "=r"(mixed_high) : "r"(a), "r"(b));
      u64 for_a = (long)a < 0 ? b : 0, for_b = (long)b < 0 ? a : 0;
      wrong += high != expected || mixed_high != expected - for_a || signed_high != expected - for_a - for_b;
      __asm__("divu %0, %1, %2" : "=r"(quotient) : "r"(a), "r"(b));
      __asm__("remu %0, %1, %2" : "=r"(remainder) : "r"(a), "r"(b));
      wrong += b == 0 ? quotient != -1ul || remainder != a : quotient * b + remainder != a || remainder >= b;
      __asm__("div %0, %1, %2" : "=r"(quotient) : "r"(a), "r"(b));
      __asm__("rem %0, %1, %2" : "=r"(remainder) : "r"(a), "r"(b));
      wrong += b == 0 ? quotient != -1ul || remainder != a : quotient * b + remainder != a;
    }
  return wrong;
}

int main(void) {
  PAIRS("add"); PAIRS("sub"); PAIRS("sll"); PAIRS("srl"); PAIRS("sra"); PAIRS("slt"); PAIRS("sltu");
  PAIRS("xor"); PAIRS("or"); PAIRS("and"); PAIRS("addw"); PAIRS("subw"); PAIRS("sllw"); PAIRS("srlw"); PAIRS("sraw");
  PAIRS("mul"); PAIRS("mulh"); PAIRS("mulhu"); PAIRS("mulhsu"); PAIRS("mulw"); PAIRS("div"); PAIRS("divu");
  PAIRS("rem"); PAIRS("remu"); PAIRS("divw"); PAIRS("divuw"); PAIRS("remw"); PAIRS("remuw");
  WITH_IMMEDIATE("addi", 2047); WITH_IMMEDIATE("addi", -2048); WITH_IMMEDIATE("slti", -1); WITH_IMMEDIATE("sltiu", -1);
  WITH_IMMEDIATE("sltiu", 1); WITH_IMMEDIATE("xori", -1); WITH_IMMEDIATE("ori", 0x555); WITH_IMMEDIATE("andi", -16);
  WITH_IMMEDIATE("slli", 63); WITH_IMMEDIATE("srli", 1); WITH_IMMEDIATE("srai", 63); WITH_IMMEDIATE("addiw", -1);
  WITH_IMMEDIATE("slliw", 31); WITH_IMMEDIATE("srliw", 31); WITH_IMMEDIATE("sraiw", 1);
  BRANCHES("beq"); BRANCHES("bne"); BRANCHES("blt"); BRANCHES("bge"); BRANCHES("bltu"); BRANCHES("bgeu");
  LOADS("lb"); LOADS("lbu"); LOADS("lh"); LOADS("lhu"); LOADS("lw"); LOADS("lwu"); LOADS("ld");
  STORES("sb"); STORES("sh"); STORES("sw"); STORES("sd");
  int wrong = wrong_products();
  show("wrong products and quotients", wrong);
  return wrong;
}
