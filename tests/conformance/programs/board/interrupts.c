/* Interrupts of the board in machine and supervisor mode: UART through PLIC, CLINT's timer, priorities and thresholds. */
#include "board.h"

#define SOURCE 10
#define PRIORITY(source) REGISTER(u32, PLIC + 4 * (source))
#define PENDING REGISTER(u32, PLIC + 0x1000)
#define ENABLE(context) REGISTER(u32, PLIC + 0x2000 + 0x80 * (context))
#define THRESHOLD(context) REGISTER(u32, PLIC + 0x200000 + 0x1000 * (context))
#define CLAIM(context) REGISTER(u32, PLIC + 0x200004 + 0x1000 * (context))

static volatile u64 taken[16], claimed, last_cause;
static char text[64];
static volatile unsigned received;

static void interrupted(u64 cause, struct frame *frame) {
  (void)frame;
  last_cause = cause;
  taken[cause & 15]++;
  if (cause == 11) {
    claimed = CLAIM(0);
    u8 iir = REGISTER(u8, UART + 2);
    if ((iir & 15) == 2) REGISTER(u8, UART + 1) = 0;
    while (REGISTER(u8, UART + 5) & 1) {
      char c = REGISTER(u8, UART);
      if (received < sizeof text - 1) text[received++] = c;
    }
    CLAIM(0) = claimed;
  } else if (cause == 7) {
    REGISTER(u64, CLINT + 0x4000) = ~0ul;
  } else if (cause == 3) {
    REGISTER(u32, CLINT) = 0;
  } else {
    CLEAR_CSR(mie, 1ul << cause);
  }
}

static void pause(void) {
  for (volatile int i = 0; i < 2000; i++) {}
}

/* With interrupts off, so that none slips in between the question and the wait: wfi still sees it. */
static void wait_for_one(void) {
  __asm__ volatile("wfi");
  SET_CSR(mstatus, 8);
  __asm__ volatile("nop");
  CLEAR_CSR(mstatus, 8);
}

int main(void) {
  on_interrupt = interrupted;
  REGISTER(u64, CLINT + 0x4000) = ~0ul;
  print("line status %x, modem status %x, iir %x, ier %x, lcr %x, mcr %x\n", REGISTER(u8, UART + 5) & ~1, REGISTER(u8, UART + 6),
        REGISTER(u8, UART + 2), REGISTER(u8, UART + 1), REGISTER(u8, UART + 3), REGISTER(u8, UART + 4));
  PRIORITY(SOURCE) = 1;
  ENABLE(0) = 1 << SOURCE;
  print("priority %x enable %x threshold %x pending %x\n", PRIORITY(SOURCE), ENABLE(0), THRESHOLD(0), PENDING);
  PRIORITY(SOURCE) = ~0u;
  THRESHOLD(0) = ~0u;
  ENABLE(0) = ~1u;
  print("all ones: priority %x enable %x threshold %x\n", PRIORITY(SOURCE), ENABLE(0), THRESHOLD(0));
  PRIORITY(SOURCE) = 3;
  ENABLE(0) = 1 << SOURCE;
  WRITE_CSR(mie, 0x800);
  for (int threshold = 4; threshold >= 2; threshold--) {
    THRESHOLD(0) = threshold;
    REGISTER(u8, UART + 1) = 2;
    pause();
    print("threshold %d: mip %lx pending %x\n", threshold, READ_CSR(mip), PENDING);
    REGISTER(u8, UART + 1) = 0;
    pause();
    print("lowered: mip %lx pending %x\n", READ_CSR(mip), PENDING);
    /* A claim is not affected by the threshold, though the peer's is: claim below it only. */
    if (threshold > 2) continue;
    u32 source = CLAIM(0);
    print("claimed %u, mip %lx pending %x\n", source, READ_CSR(mip), PENDING);
    CLAIM(0) = source;
  }
  print("claimed again %u\n", CLAIM(0));
  THRESHOLD(0) = 0;
  SET_CSR(mstatus, 8);
  REGISTER(u8, UART + 1) = 2;
  pause();
  print("transmitter: cause %lu, claimed %lu, taken %lu\n", last_cause, claimed, taken[11]);
  REGISTER(u8, UART + 1) = 1;
  CLEAR_CSR(mstatus, 8);
  while (received < 5) wait_for_one();
  text[received] = 0;
  print("received %s\n", text);
  REGISTER(u8, UART + 1) = 0;

  WRITE_CSR(mie, 0x80);
  u64 before = REGISTER(u64, CLINT + 0xbff8);
  for (int i = 0; i < 5; i++) {
    u64 count = taken[7];
    REGISTER(u64, CLINT + 0x4000) = REGISTER(u64, CLINT + 0xbff8) + 20000;
    while (taken[7] == count) wait_for_one();
  }
  u64 passed = REGISTER(u64, CLINT + 0xbff8) - before;
  print("timer: taken %lu, early %d\n", taken[7], passed < 100000);
  WRITE_CSR(mie, 8);
  SET_CSR(mstatus, 8);
  REGISTER(u32, CLINT) = ~0u;
  pause();
  print("software: taken %lu, msip %x\n", taken[3], REGISTER(u32, CLINT));
  WRITE_CSR(mie, 0x222);
  SET_CSR(mip, 0x222);
  pause();
  print("supervisor's: %lu %lu %lu, mip %lx\n", taken[1], taken[5], taken[9], READ_CSR(mip));
  return 0;
}
