/* What every source of kernels shares: short names of types, numbers that look random, and the checksum on the UART. */
typedef unsigned long u64;
typedef unsigned int u32;
typedef unsigned short u16;
typedef unsigned char u8;

static u64 state = 88172645463325252ul;
__attribute__((unused)) static u64 next(void) {
  state ^= state << 13;
  state ^= state >> 7;
  state ^= state << 17;
  return state;
}

u64 KERNEL(void);

void kernel(void) {
  volatile u8 *uart = (volatile u8 *)0x10000000;
  u64 sum = KERNEL();
  for (int shift = 60; shift >= 0; shift -= 4) *uart = "0123456789abcdef"[sum >> shift & 15];
  *uart = '\n';
}
