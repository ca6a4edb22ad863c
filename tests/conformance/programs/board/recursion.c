/* Deep recursion, returns across frames, sorting, and numbers in decimal. */
#include "board.h"

static unsigned ackermann(unsigned m, unsigned n) {
  if (m == 0) return n + 1;
  if (n == 0) return ackermann(m - 1, 1);
  return ackermann(m - 1, ackermann(m, n - 1));
}

static u64 depth(u64 n, volatile u64 *first) {
  volatile u64 mine = n;
  return n == 0 ? *first : depth(n - 1, first) + mine;
}

struct context {
  u64 registers[14];
};
__attribute__((naked, noinline, returns_twice)) int save(struct context *context) {
  (void)context;
  __asm__("sd ra,0(a0); sd sp,8(a0); sd s0,16(a0); sd s1,24(a0); sd s2,32(a0); sd s3,40(a0); sd s4,48(a0);"
          "sd s5,56(a0); sd s6,64(a0); sd s7,72(a0); sd s8,80(a0); sd s9,88(a0); sd s10,96(a0); sd s11,104(a0);"
          "li a0, 0; ret");
}
__attribute__((naked, noinline)) void restore(struct context *context, int value) {
  (void)context, (void)value;
  __asm__("ld ra,0(a0); ld sp,8(a0); ld s0,16(a0); ld s1,24(a0); ld s2,32(a0); ld s3,40(a0); ld s4,48(a0);"
          "ld s5,56(a0); ld s6,64(a0); ld s7,72(a0); ld s8,80(a0); ld s9,88(a0); ld s10,96(a0); ld s11,104(a0);"
          "mv a0, a1; ret");
}

static struct context context;
static void dive(int n) {
  if (n == 0) restore(&context, 42);
  if (n < 1000) dive(n - 1);
  print("never\n");
}

static int values[1000];
static void sort(int *v, int n) {
  if (n < 2) return;
  int pivot = v[n / 2], i = 0, j = n - 1;
  while (i <= j) {
    while (v[i] < pivot) i++;
    while (v[j] > pivot) j--;
    if (i <= j) {
      int t = v[i];
      v[i++] = v[j];
      v[j--] = t;
    }
  }
  sort(v, j + 1);
  sort(v + i, n - i);
}

int main(void) {
  print("%u %u\n", ackermann(2, 9), ackermann(3, 5));
  volatile u64 first = 7;
  print("%lu\n", depth(1000, &first));
  int value = save(&context);
  print("saved: %d\n", value);
  if (value == 0) dive(100);
  u32 state = 12345;
  for (int i = 0; i < 1000; i++) values[i] = (int)(state = state * 1103515245 + 12345);
  sort(values, 1000);
  for (int i = 0; i < 1000; i += 37) print("%d ", values[i]);
  print("\n%ld %lu %lx %8x\n", (int64_t)1 << 63, ~0ul, ~0ul, 0xabcu);
  return 3;
}
