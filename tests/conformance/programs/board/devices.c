/* fw_cfg, real-time clock, virtio slots, PLIC and CLINT registers that do not depend on time; the device tree. */
#include "board.h"

static void select_item(u16 key) { REGISTER(u16, FW_CFG + 8) = (u16)(key << 8 | key >> 8); }

static u32 swap(u32 v) { return __builtin_bswap32(v); }

static void firmware_configuration(void) {
  select_item(0);
  print("signature %c%c%c%c\n", REGISTER(u8, FW_CFG), REGISTER(u8, FW_CFG), REGISTER(u8, FW_CFG), REGISTER(u8, FW_CFG));
  print("behind it %x\n", REGISTER(u8, FW_CFG));
  select_item(1);
  print("interfaces %8x\n", REGISTER(u32, FW_CFG));
  select_item(5);
  print("harts %4x\n", REGISTER(u16, FW_CFG));
  select_item(0x3fff);
  print("absent %16lx\n", REGISTER(u64, FW_CFG));
  print("DMA register %16lx\n", REGISTER(u64, FW_CFG + 16));
  static struct {
    u32 control, length;
    u64 address;
  } dma __attribute__((aligned(16)));
  static char buffer[8];
  dma.control = swap(0 << 16 | 8 | 2);
  dma.length = swap(4);
  dma.address = __builtin_bswap64((u64)buffer);
  REGISTER(u64, FW_CFG + 16) = __builtin_bswap64((u64)&dma);
  print("by DMA %s, control %x\n", buffer, dma.control);
}

static int begins(const char *text, const char *with) {
  while (*with)
    if (*text++ != *with++) return 0;
  return 1;
}

/* Nodes of devices that only the peer has, and the one that differs from boot to boot. */
static int is_apart(const char *name) {
  static const char *const apart[] = {"pmu", "flash@", "platform-bus@", "pci@", "chosen"};
  for (unsigned i = 0; i < sizeof apart / sizeof *apart; i++)
    if (begins(name, apart[i])) return 1;
  return 0;
}

/* Names and values of all properties. */
static void device_tree(void) {
  const u32 *header = (const u32 *)boot_registers[11];
  print("magic %x, versions %u %u, boot hart %u\n", swap(header[0]), swap(header[5]), swap(header[6]), swap(header[7]));
  const u32 *structure = (const u32 *)((u64)header + swap(header[2]));
  const char *strings = (const char *)header + swap(header[3]);
  int depth = 0, hidden = 0;
  for (;;) {
    u32 token = swap(*structure++);
    if (token == 1) {
      const char *name = (const char *)structure;
      int length = 0;
      while (name[length]) length++;
      if (hidden == 0 && is_apart(name)) hidden = depth + 1;
      for (int i = 0; i < depth && !hidden; i++) put(' ');
      if (!hidden) print("%s {\n", name);
      depth++;
      structure += length / 4 + 1;
    } else if (token == 2) {
      if (depth-- == hidden) hidden = 0;
    } else if (token == 3) {
      u32 length = swap(structure[0]);
      const char *name = strings + swap(structure[1]);
      structure += 2;
      const u8 *bytes = (const u8 *)structure;
      if (!hidden) {
        for (int i = 0; i < depth; i++) put(' ');
        print("%s", name);
        for (u32 i = 0; i < length; i++) print(" %2x", bytes[i]);
        put('\n');
      }
      structure += (length + 3) / 4;
    } else if (token == 9) {
      break;
    }
  }
}

int main(void) {
  firmware_configuration();
  u64 low = REGISTER(u32, RTC), high = REGISTER(u32, RTC + 4), seconds = (high << 32 | low) / 1000000000;
  print("clock is after 2020: %d\n", seconds > 1577836800);
  static const u16 rtc[] = {8, 12, 16, 20, 24, 28, 32};
  for (unsigned i = 0; i < sizeof rtc / 2; i++) print("rtc %x: %x\n", rtc[i], REGISTER(u32, RTC + rtc[i]));
  REGISTER(u32, RTC + 16) = 1;
  print("alarm on: %x %x\n", REGISTER(u32, RTC + 16), REGISTER(u32, RTC + 24));
  for (int i = 0; i < 8; i++) {
    u64 slot = VIRTIO + 0x1000 * i;
    print("virtio %d:", i);
    for (int offset = 0; offset < 0x100; offset += 4) print(" %x", REGISTER(u32, slot + offset));
    put('\n');
  }
  for (int source = 0; source < 100; source++) {
    REGISTER(u32, PLIC + 4 * source) = source + 5;
    print("%x ", REGISTER(u32, PLIC + 4 * source));
  }
  put('\n');
  for (int context = 0; context < 4; context++) {
    for (int word = 0; word < 3; word++) {
      REGISTER(u32, PLIC + 0x2000 + 0x80 * context + 4 * word) = word == 0 ? ~1u : ~0u;
      print("%x ", REGISTER(u32, PLIC + 0x2000 + 0x80 * context + 4 * word));
    }
    REGISTER(u32, PLIC + 0x200000 + 0x1000 * context) = 5;
    print("%x %x\n", REGISTER(u32, PLIC + 0x200000 + 0x1000 * context), REGISTER(u32, PLIC + 0x200004 + 0x1000 * context));
  }
  REGISTER(u32, CLINT) = ~0u;
  print("msip %x %x\n", REGISTER(u32, CLINT), REGISTER(u32, CLINT + 4));
  REGISTER(u32, CLINT + 0x4000) = 0x11223344;
  REGISTER(u32, CLINT + 0x4004) = 0x55667788;
  print("mtimecmp %lx %x %x\n", REGISTER(u64, CLINT + 0x4000), REGISTER(u32, CLINT + 0x4000), REGISTER(u32, CLINT + 0x4004));
  REGISTER(u64, CLINT + 0xbff8) = 0x5566778800000000;
  print("mtime %lx mip %lx\n", REGISTER(u64, CLINT + 0xbff8) >> 28, READ_CSR(mip));
  REGISTER(u64, CLINT + 0xbff8) = 0x5566778812000000;
  print("mtime %lx mip %lx\n", REGISTER(u64, CLINT + 0xbff8) >> 24, READ_CSR(mip));
  device_tree();
  return 77;
}
