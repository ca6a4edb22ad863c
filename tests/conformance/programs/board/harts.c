/* Four harts: a roll call by software interrupts, counters under locks of both kinds, a barrier, messages in a ring. */
#include "board.h"

#define HARTS 4
#define ROUNDS 3000

static volatile int lock_by_pair, lock_by_amo;
static volatile u64 counted_by_pair, counted_by_amo, counted_plainly, arrived, sum;
static volatile u64 mail[HARTS], interrupts[HARTS];

static void acquire_by_pair(volatile int *lock) {
  int old, failed;
  do {
    __asm__ volatile("0: lr.w.aq %0, (%2)\n"
                     "bnez %0, 0b\n"
                     "sc.w %1, %3, (%2)\n"
                     : "=&r"(old), "=&r"(failed)
                     : "r"(lock), "r"(1)
                     : "memory");
  } while (failed);
}

static void acquire_by_amo(volatile int *lock) {
  int old;
  do __asm__ volatile("amoswap.w.aq %0, %2, (%1)" : "=r"(old) : "r"(lock), "r"(1) : "memory");
  while (old);
}

static void let_go(volatile int *lock) {
  __asm__ volatile("amoswap.w.rl x0, x0, (%0)" ::"r"(lock) : "memory");
}

static void barrier(u64 goal) {
  __atomic_fetch_add(&arrived, 1, __ATOMIC_SEQ_CST);
  while (arrived < goal) {}
}

static void count(u64 hart) {
  for (int i = 0; i < ROUNDS; i++) {
    acquire_by_pair(&lock_by_pair);
    counted_by_pair = counted_by_pair + 1;
    let_go(&lock_by_pair);
    acquire_by_amo(&lock_by_amo);
    counted_by_amo = counted_by_amo + hart;
    let_go(&lock_by_amo);
    __atomic_fetch_add(&counted_plainly, hart + 1, __ATOMIC_RELAXED);
  }
}

static void interrupted(u64 cause, struct frame *frame) {
  (void)frame;
  u64 hart = READ_CSR(mhartid);
  if (cause == 3) {
    REGISTER(u32, CLINT + 4 * hart) = 0;
    interrupts[hart] = interrupts[hart] + 1;
  }
}

static void ring(u64 hart) {
  WRITE_CSR(mie, 8);
  SET_CSR(mstatus, 8);
  for (int round = 0; round < 50; round++) {
    if (hart == 0) {
      mail[1] = round;
      __asm__ volatile("fence");
      REGISTER(u32, CLINT + 4) = 1;
    }
    CLEAR_CSR(mstatus, 8);
    while (interrupts[hart] < (u64)round + 1) {
      __asm__ volatile("wfi");
      SET_CSR(mstatus, 8);
      __asm__ volatile("nop");
      CLEAR_CSR(mstatus, 8);
    }
    SET_CSR(mstatus, 8);
    if (hart == 0) {
      sum += mail[0];
    } else {
      u64 next = (hart + 1) % HARTS;
      mail[next] = mail[hart] + hart;
      __asm__ volatile("fence");
      REGISTER(u32, CLINT + 4 * next) = 1;
    }
  }
  CLEAR_CSR(mstatus, 8);
  WRITE_CSR(mie, 0);
}

void secondary_main(u64 hart) {
  barrier(HARTS);
  count(hart);
  barrier(2 * HARTS);
  ring(hart);
  barrier(3 * HARTS);
  for (;;) __asm__ volatile("wfi");
}

int main(void) {
  on_interrupt = interrupted;
  release = 1;
  barrier(HARTS);
  count(0);
  barrier(2 * HARTS);
  print("%lu %lu %lu\n", counted_by_pair, counted_by_amo, counted_plainly);
  ring(0);
  barrier(3 * HARTS);
  print("%lu\n", sum);
  for (int i = 0; i < HARTS; i++) print("hart %d: %lu interrupts\n", i, interrupts[i]);
  return 0;
}
