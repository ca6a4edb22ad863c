/* RAM: patterns, both ends, every width and alignment, code that changes itself. */
#include "board.h"

#define RAM_BYTES 0x1000000ul

static u64 next(u64 *state) {
  *state ^= *state << 13;
  *state ^= *state >> 7;
  *state ^= *state << 17;
  return *state;
}

static u64 fill_and_sum(u64 from, u64 to) {
  u64 state = 88172645463325252ul, sum = 0;
  for (u64 a = from; a < to; a += 8) REGISTER(u64, a) = next(&state);
  for (u64 a = from; a < to; a += 8) sum = (sum << 1 | sum >> 63) ^ REGISTER(u64, a);
  return sum;
}

static void widths(u64 base) {
  u64 sum = 0;
  for (int offset = 0; offset < 16; offset++) {
    REGISTER(u64, base) = 0x0102030405060708ul;
    REGISTER(u64, base + 8) = 0x8182838485868788ul;
    REGISTER(u64, base + 16) = 0x1112131415161718ul;
    __asm__ volatile("sb %1, 0(%0)\n sh %1, 1(%0)\n sw %1, 3(%0)\n" ::"r"(base + offset), "r"(0xa1b2c3d4e5f60718ul) : "memory");
    u64 byte, half, word, full;
    __asm__ volatile("lb %0, 0(%4)\n lh %1, 1(%4)\n lw %2, 2(%4)\n ld %3, 3(%4)"
                     : "=&r"(byte), "=&r"(half), "=&r"(word), "=&r"(full)
                     : "r"(base + offset));
    sum = sum * 31 + byte + half * 3 + word * 5 + full * 7;
    print("%d: %lx %lx %lx %lx\n", offset, byte, half, word, full);
  }
  print("widths %16lx\n", sum);
}

typedef u64 (*function)(u64);

static void self_modifying(void) {
  static u32 code[4] __attribute__((aligned(16)));
  u64 sum = 0;
  for (int i = 0; i < 500; i++) {
    code[0] = 0x00050513 | (u32)i << 20;          /* addi a0, a0, i */
    code[1] = 0x00008067;                         /* ret */
    __asm__ volatile("fence.i" ::: "memory");
    sum += ((function)code)(i);
  }
  print("self-modifying %lu\n", sum);
  /* A loop that changes its own increment. */
  u64 value = 0;
  __asm__ volatile("la t0, 1f\n"
                   "li t1, 100\n"
                   "0: lw t2, 0(t0)\n"
                   "li t3, 0x100000\n"
                   "add t2, t2, t3\n"
                   "sw t2, 0(t0)\n"
                   "fence.i\n"
                   ".option push\n.option norvc\n"
                   "1: addi %0, %0, 0\n"
                   ".option pop\n"
                   "addi t1, t1, -1\n"
                   "bnez t1, 0b\n"
                   : "+r"(value)
                   :
                   : "t0", "t1", "t2", "t3", "memory");
  print("its own increment %lu\n", value);
}

int main(void) {
  u64 start = ((u64)program_end + 0xffff) & ~0xfffful, end = RAM + RAM_BYTES - 0x200000;
  print("%16lx\n", fill_and_sum(start, end));
  widths(start + 0x1000);
  widths(start + 0x2000 - 8);
  for (u64 a = RAM + RAM_BYTES - 32; a < RAM + RAM_BYTES + 16; a += 4) {
    u64 value = 0;
    caught.cause = ~0ul;
    __asm__ volatile("lw %0, 0(%1)" : "+r"(value) : "r"(a));
    print("%lx: cause %ld value %lx\n", a, caught.cause, caught.cause == ~0ul ? 0 : caught.value);
  }
  self_modifying();
  return 0;
}
