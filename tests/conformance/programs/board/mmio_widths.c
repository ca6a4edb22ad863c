/* Reads and writes of every width and alignment at each device, and where there is none: value or exception. */
#include "board.h"

/* Of a misaligned access that fails, the trap value may name any part: not shown. */
static void show(const char *what, u64 bytes, u64 address, u64 value) {
  if (caught.cause == ~0ul) print("%s %lx: %lx\n", what, address, value);
  else if (address % bytes) print("%s %lx: cause %lu\n", what, address, caught.cause);
  else print("%s %lx: cause %lu value %lx\n", what, address, caught.cause, caught.value);
}

static void reads(u64 address) {
  u64 value;
#define READ(instruction, bytes)                                                                     \
  caught.cause = ~0ul;                                                                        \
  __asm__ volatile("li %0, 0\n" instruction " %0, 0(%1)" : "=&r"(value) : "r"(address) : "memory"); \
  show(instruction, bytes, address, value)
  READ("lbu", 1);
  READ("lhu", 2);
  READ("lwu", 4);
  READ("ld", 8);
}

static void writes(u64 address, u64 value) {
#define WRITE(instruction, bytes)                                                         \
  caught.cause = ~0ul;                                                             \
  __asm__ volatile(instruction " %0, 0(%1)" ::"r"(value), "r"(address) : "memory"); \
  show(instruction, bytes, address, 0)
  WRITE("sb", 1);
  WRITE("sh", 2);
  WRITE("sw", 4);
  WRITE("sd", 8);
}

int main(void) {
  static const u64 places[] = {
      0x0,          0x800,        0x1000,          0x1001,          0x10fe,           0x100000,         0x100004,
      0x101020,     0x102000,     0x1fffff0,       CLINT + 2,       CLINT + 4,        CLINT + 0x3ffc,   CLINT + 0x4000,
      CLINT + 0x4004, CLINT + 0x4001, CLINT + 0x4008, CLINT + 0xc000,  PLIC,          PLIC + 4,         PLIC + 6,
      PLIC + 0x1000, PLIC + 0x2000, PLIC + 0x2004, PLIC + 0x2080,  PLIC + 0x200000, PLIC + 0x201000, PLIC + 0x202000,
      PLIC + 0x5ffffc, PLIC + 0x600000, UART + 1, UART + 2,         UART + 3,         UART + 4,         UART + 6,
      UART + 7,     UART + 8,     UART + 0x80,     UART + 0xff,     UART + 0x100,     VIRTIO,           VIRTIO + 4,   VIRTIO + 8,   VIRTIO + 0xc,    VIRTIO + 0x100,  VIRTIO + 0x200,   VIRTIO + 0x7000,  VIRTIO + 0x8000,
      FW_CFG,       FW_CFG + 8,   FW_CFG + 9,      FW_CFG + 0x10,   FW_CFG + 0x18,    0x11000000,       0x18000000,
      0x100000000000, 0xffffffffffffff00,
  };
  for (unsigned i = 0; i < sizeof places / sizeof *places; i++) reads(places[i]);
  static const u64 written[] = {
      0x0,      0x1000,     0x1003,          0x101020,        0x102000,         CLINT + 0x4000, CLINT + 0x4004, CLINT + 0xc000,
      PLIC + 4, PLIC + 6,   PLIC + 0x2000,   PLIC + 0x200000, PLIC + 0x5ffffc,  UART + 7,       UART + 8,       VIRTIO + 0x20,
      VIRTIO,   FW_CFG + 8, FW_CFG + 0x18,   0x18000000,      0x11000000,
  };
  for (unsigned i = 0; i < sizeof written / sizeof *written; i++) writes(written[i], 0x1122334455667788);
  reads(0x1000);
  reads(UART + 7);
  reads(CLINT + 0x4000);
  reads(PLIC + 4);
  reads(PLIC + 0x2000);
  reads(PLIC + 0x200000);
  writes(CLINT + 0x4000, ~0ul);
  return 0;
}
