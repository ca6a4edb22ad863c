// The devices of the board, as far as they answer a program alone: UART, PLIC, CLINT, RTC, fw_cfg, virtio-mmio, test finisher.
#include "program.h"

#define PLIC 0xc000000ul
#define RTC 0x101000ul
#define FW_CFG 0x10100000ul
#define WORD(address) (*(volatile u32 *)(address))

static u8 uart(int index) { return UART[index]; }

static void serial(void) {
  while ((uart(5) & 0x60) != 0x60) {}
  show("LSR", uart(5));
  show("IER", uart(1));
  show("IIR", uart(2));
  show("LCR", uart(3));
  show("MCR", uart(4));
  show("MSR", uart(6) & 0xf0);
  UART[7] = 0x5a;
  show("scratch", uart(7));
  UART[3] = 0x83;
  UART[0] = 0x01;
  UART[1] = 0x00;
  u8 low = uart(0), high = uart(1);
  UART[3] = 0x03;
  show("divisor", low | high << 8);
  UART[2] = 0x07;
  show("FIFO on", uart(2));
  UART[4] = 0x10;
  UART[0] = 0x42;
  for (int i = 0; i < 10000 && !(uart(5) & 1); i++) {}
  u8 line = uart(5), looped = line & 1 ? uart(0) : 0, after = uart(5), modem = uart(6) & 0xf0;
  UART[4] = 0x1f;
  u8 all = uart(6) & 0xf0;
  UART[4] = 0;
  show("loopback ready", line & 1);
  show("loopback", looped);
  show("loopback drained", after & 1);
  show("modem", modem);
  show("modem looped", all);
  // The transmitter interrupt, through the PLIC: source 10, context 0 is hart 0 in machine mode.
  WORD(PLIC + 4 * 10) = 3;
  show("priority", WORD(PLIC + 4 * 10));
  WORD(PLIC + 0x2000) = 1 << 10;
  show("enabled", WORD(PLIC + 0x2000));
  WORD(PLIC + 0x200000) = 2;
  show("threshold", WORD(PLIC + 0x200000));
  UART[1] = 2;
  u32 pending = READ_CSR(mip) >> 11 & 1, bits = WORD(PLIC + 0x1000);
  u32 claimed = WORD(PLIC + 0x200004), again = WORD(PLIC + 0x200004);
  u32 reason = uart(2);
  UART[1] = 0;
  WORD(PLIC + 0x200004) = claimed;
  show("MEIP", pending);
  show("pending", bits);
  show("claimed", claimed);
  show("claimed again", again);
  show("reason", reason & 0xf);
  show("MEIP", READ_CSR(mip) >> 11 & 1);
  WORD(PLIC + 0x200000) = 3;
  UART[1] = 2;
  pending = READ_CSR(mip) >> 11 & 1;
  UART[1] = 0;
  show("at the threshold", pending);
}

static void firmware_configuration(void) {
  *(volatile unsigned short *)(FW_CFG + 8) = 0; // big-endian selector 0: signature
  for (int i = 0; i < 4; i++) put(*(volatile u8 *)FW_CFG);
  put('\n');
  *(volatile unsigned short *)(FW_CFG + 8) = 0x0100; // selector 1: interface
  show("interface", WORD(FW_CFG));
  show("DMA", *(volatile u64 *)(FW_CFG + 16));
}

static void slots(void) {
  for (u64 slot = 0x10001000; slot <= 0x10008000; slot += 0x1000) {
    show("slot", slot);
    show("magic", WORD(slot));
    show("version", WORD(slot + 4));
    show("device", WORD(slot + 8));
    show("vendor", WORD(slot + 12));
    show("status", WORD(slot + 0x70));
  }
}

static void clock(void) {
  u64 low = WORD(RTC), high = WORD(RTC + 4);
  show("after 2020", (high << 32 | low) > 1577836800000000000ul);
  show("alarm", WORD(RTC + 0x18));
}

int main(void) {
  serial();
  firmware_configuration();
  slots();
  clock();
  show("msip of hart 0", WORD(0x2000000));
  WORD(0x2004000) = 0xffffffff;
  WORD(0x2004004) = 0x7fffffff;
  show("mtimecmp", *(volatile u64 *)0x2004000);
  return 5;
}
