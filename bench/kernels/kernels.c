/* Integer and floating-point kernels for a comparison of emulators: each gives a checksum. Chosen by -DKERNEL=name. */
typedef unsigned long u64;
typedef unsigned int u32;
typedef unsigned char u8;

static u64 state = 88172645463325252ul;
static u64 next(void) {
  state ^= state << 13;
  state ^= state >> 7;
  state ^= state << 17;
  return state;
}

/* Product of 4096-bit numbers: mulhu, mul and carries. */
static u64 a[64], b[64], c[128];
u64 bignum(void) {
  for (int i = 0; i < 64; i++) a[i] = next(), b[i] = next();
  for (int round = 0; round < 90000; round++) {
    for (int i = 0; i < 64; i++) {
      u64 carry = 0;
      for (int j = 0; j < 64; j++) {
        unsigned __int128 p = (unsigned __int128)a[i] * b[j] + c[i + j] + carry;
        c[i + j] = p, carry = p >> 64;
      }
      c[i + 64] = carry;
    }
    a[round & 63] ^= c[64];
  }
  return c[100] ^ c[3];
}

/* Keccak-f[1600], unrolled by the compiler as Linux's is. */
static u64 lanes[25];
static const u8 rotation[25] = {0,1,62,28,27,36,44,6,55,20,3,10,43,25,39,41,45,15,21,8,18,2,61,56,14};
#define ROL(x, n) ((n) ? ((x) << (n)) | ((x) >> (64 - (n))) : (x))
u64 keccak(void) {
  for (int round = 0; round < 8000000; round++) {
    u64 t[25], p[5];
#pragma GCC unroll 5
    for (int x = 0; x < 5; x++) p[x] = lanes[x] ^ lanes[x + 5] ^ lanes[x + 10] ^ lanes[x + 15] ^ lanes[x + 20];
#pragma GCC unroll 25
    for (int i = 0; i < 25; i++) {
      u64 v = lanes[i] ^ p[(i + 4) % 5] ^ ROL(p[(i + 1) % 5], 1);
      int n = rotation[i];
      t[(i / 5) + 5 * ((2 * (i % 5) + 3 * (i / 5)) % 5)] = ROL(v, n);
    }
#pragma GCC unroll 25
    for (int i = 0; i < 25; i++) lanes[i] = t[i] ^ (~t[i / 5 * 5 + (i + 1) % 5] & t[i / 5 * 5 + (i + 2) % 5]);
    lanes[0] ^= 0x8000000080008008ul + round;
  }
  return lanes[0] ^ lanes[24];
}

static u32 crcTable[256];
static u8 bytes[1 << 20];
u64 crc(void) {
  for (u32 i = 0; i < 256; i++) {
    u32 v = i;
    for (int k = 0; k < 8; k++) v = v & 1 ? (v >> 1) ^ 0xedb88320 : v >> 1;
    crcTable[i] = v;
  }
  for (u32 i = 0; i < sizeof bytes; i++) bytes[i] = next();
  u32 v = ~0u;
  for (int round = 0; round < 250; round++)
    for (u32 i = 0; i < sizeof bytes; i++) v = crcTable[(v ^ bytes[i]) & 255] ^ (v >> 8);
  return ~v;
}

static u8 composite[1 << 21];
u64 sieve(void) {
  u64 count = 0;
  for (int round = 0; round < 24; round++) {
    for (u32 i = 0; i < sizeof composite; i++) composite[i] = 0;
    for (u32 i = 2; i < sizeof composite; i++) {
      if (composite[i]) continue;
      count++;
      for (u32 j = 2 * i; j < sizeof composite; j += i) composite[j] = 1;
    }
  }
  return count;
}

static u32 words[1 << 16];
static int less(u32 p, u32 q) { return p < q; }
static void quicksort(u32 *v, long n, int (*before)(u32, u32)) {
  while (n > 16) {
    u32 pivot = v[n / 2];
    long i = 0, j = n - 1;
    for (;;) {
      while (before(v[i], pivot)) i++;
      while (before(pivot, v[j])) j--;
      if (i >= j) break;
      u32 t = v[i]; v[i++] = v[j]; v[j--] = t;
    }
    quicksort(v, i, before);
    v += i, n -= i;
  }
  for (long i = 1; i < n; i++) {
    u32 t = v[i];
    long j = i;
    for (; j > 0 && before(t, v[j - 1]); j--) v[j] = v[j - 1];
    v[j] = t;
  }
}
u64 sort(void) {
  u64 sum = 0;
  int (*volatile order)(u32, u32) = less;
  for (int round = 0; round < 60; round++) {
    for (u32 i = 0; i < 1 << 16; i++) words[i] = next();
    quicksort(words, 1 << 16, order);
    for (u32 i = 0; i < 1 << 16; i += 1000) sum = sum * 31 + words[i];
  }
  return sum;
}

__attribute__((noinline)) u64 fib(u64 n) { return n < 2 ? n : fib(n - 1) + fib(n - 2); }
u64 fibonacci(void) { return fib(38); }

static int m1[128][128], m2[128][128], m3[128][128];
u64 matrix(void) {
  for (int i = 0; i < 128; i++) for (int j = 0; j < 128; j++) m1[i][j] = next(), m2[i][j] = next();
  for (int round = 0; round < 300; round++)
    for (int i = 0; i < 128; i++)
      for (int j = 0; j < 128; j++) {
        int s = 0;
        for (int k = 0; k < 128; k++) s += m1[i][k] * m2[k][j];
        m3[i][j] += s;
      }
  return m3[5][7];
}

static u32 nodes[1 << 18];
u64 list(void) {
  for (u32 i = 0; i < 1 << 18; i++) nodes[i] = i;
  for (u32 i = (1 << 18) - 1; i > 0; i--) {
    u32 j = next() % i, t = nodes[i];
    nodes[i] = nodes[j], nodes[j] = t;
  }
  u32 at = 0;
  u64 sum = 0;
  for (int i = 0; i < 160000000; i++) at = nodes[at], sum += at;
  return sum;
}

/* A bytecode interpreter: a jump table and unpredictable control. */
static u8 code[4096];
u64 bytecode(void) {
  for (int i = 0; i < 4096; i++) code[i] = next() % 12;
  u64 acc = 1, other = 7;
  for (u64 steps = 0, pc = 0; steps < 70000000; steps++, pc = (pc + 1) & 4095) {
    switch (code[pc]) {
      case 0: acc += other; break;
      case 1: acc ^= other << 3; break;
      case 2: other = acc >> 5; break;
      case 3: acc *= 3; break;
      case 4: if (acc & 1) pc = (pc + 7) & 4095; break;
      case 5: other -= acc; break;
      case 6: acc = ~acc; break;
      case 7: other |= acc & 0xff; break;
      case 8: acc -= 12345; break;
      case 9: { u64 t = acc; acc = other; other = t; break; }
      case 10: if (other & 2) pc = (pc + 3) & 4095; break;
      case 11: acc = (acc << 7) | (acc >> 57); break;
    }
  }
  return acc ^ other;
}

/* Strings: length, copy, compare, by bytes. */
u64 strings(void) {
  u64 sum = 0;
  static char text[256], copy[256];
  for (int round = 0; round < 2400000; round++) {
    for (int i = 0; i < 90; i++) text[i] = 'a' + (i * 7 + round) % 26;
    text[90] = 0;
    const char *s = text;
    char *d = copy;
    while ((*d++ = *s++)) {}
    s = text, d = copy;
    while (*s && *s == *d) s++, d++;
    sum += s - text;
  }
  return sum;
}

static double bodies[5][7];
u64 nbody(void) {
  for (int i = 0; i < 5; i++)
    for (int k = 0; k < 7; k++) bodies[i][k] = (double)(next() % 1000) / (k < 3 ? 37 : k < 6 ? 3100 : 500) + 0.1;
  for (int round = 0; round < 1200000; round++) {
    for (int i = 0; i < 5; i++)
      for (int j = i + 1; j < 5; j++) {
        double d[3], q = 0.01;
        for (int k = 0; k < 3; k++) d[k] = bodies[i][k] - bodies[j][k], q += d[k] * d[k];
        double f = 0.001 / (q * __builtin_sqrt(q));
        for (int k = 0; k < 3; k++) bodies[i][3 + k] -= d[k] * bodies[j][6] * f, bodies[j][3 + k] += d[k] * bodies[i][6] * f;
      }
    for (int i = 0; i < 5; i++) for (int k = 0; k < 3; k++) bodies[i][k] += 0.001 * bodies[i][3 + k];
  }
  union { double d; u64 u; } bits = { bodies[0][0] };
  return bits.u;
}

u64 mandelbrot(void) {
  u64 sum = 0;
  for (int y = 0; y < 300; y++)
    for (int x = 0; x < 300; x++) {
      double cr = x / 150.0 - 1.5, ci = y / 150.0 - 1.0, zr = 0, zi = 0;
      int i = 0;
      for (; i < 1200 && zr * zr + zi * zi < 4; i++) {
        double t = zr * zr - zi * zi + cr;
        zi = 2 * zr * zi + ci, zr = t;
      }
      sum += i;
    }
  return sum;
}

/* The checksum in hexadecimal, on the UART. */
void kernel(void) {
  volatile u8 *uart = (volatile u8 *)0x10000000;
  u64 sum = KERNEL();
  for (int shift = 60; shift >= 0; shift -= 4) *uart = "0123456789abcdef"[sum >> shift & 15];
  *uart = '\n';
}
