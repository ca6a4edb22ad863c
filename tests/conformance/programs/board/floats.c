/* Floating point: formatting, series, conversions, flags and rounding modes. */
#include "board.h"

static void show(double value) {
  union {
    double d;
    u64 bits;
  } u = {value};
  if (value < 0) put('-'), value = -value;
  u64 whole = (u64)value;
  print("%lu.%9lu (%16lx)", whole, (u64)((value - (double)whole) * 1e9), u.bits);
}

static double root(double x) {
  double r;
  __asm__ volatile("fsqrt.d %0, %1" : "=f"(r) : "f"(x));
  return r;
}

static double exponential(double x) {
  double sum = 1, term = 1;
  for (int n = 1; n < 40; n++) sum += term *= x / n;
  return sum;
}

int main(void) {
  double pi = 0;
  for (int k = 20; k >= 0; k--) {
    double p = 1;
    for (int i = 0; i < k; i++) p /= 16;
    pi += p * (4.0 / (8 * k + 1) - 2.0 / (8 * k + 4) - 1.0 / (8 * k + 5) - 1.0 / (8 * k + 6));
  }
  show(pi), put('\n');
  for (int i = -3; i < 4; i++) show(exponential(i * 1.25)), put(' '), show(root(i * i * 2.0)), put('\n');
  for (int mode = 0; mode < 5; mode++) {
    WRITE_CSR(fcsr, mode << 5);
    volatile double a = 1, b = 3, c = 1e308, tiny = 2.2250738585072014e-308;
    volatile float f = 16777217.0 + mode, g = 0.1f;
    show(a / b), put(' '), show(-a / b), put(' ');
    u64 flags = READ_CSR(fflags);
    volatile double huge = c * 10, small = tiny / 3;
    union {
      double d;
      u64 bits;
    } h = {huge}, s = {small};
    print("%lx %lx %lx %lx ", flags, h.bits, s.bits, READ_CSR(fcsr));
    long converted[4];
    double values[4] = {2.5, -2.5, 3.5, -0.5};
    for (int i = 0; i < 4; i++) __asm__ volatile("fcvt.l.d %0, %1, dyn" : "=r"(converted[i]) : "f"(values[i]));
    for (int i = 0; i < 4; i++) print("%ld ", converted[i]);
    show((double)f), put(' '), show((double)(g * 3)), put('\n');
  }
  WRITE_CSR(fcsr, 0);
  static const double wild[] = {0.0, -0.0, 1e300, -1e300, 5e-324, __builtin_inf(), -__builtin_inf(), __builtin_nan("")};
  for (unsigned i = 0; i < sizeof wild / sizeof *wild; i++) {
    u64 kind, whole, word;
    __asm__ volatile("fclass.d %0, %1" : "=r"(kind) : "f"(wild[i]));
    __asm__ volatile("fcvt.lu.d %0, %1, rtz" : "=r"(whole) : "f"(wild[i]));
    __asm__ volatile("fcvt.w.d %0, %1, rtz" : "=r"(word) : "f"(wild[i]));
    print("%lx %lx %lx %lx\n", kind, whole, word, READ_CSR(fflags));
    WRITE_CSR(fflags, 0);
  }
  print("%16lx\n", READ_CSR(mstatus));
  /* What leaves FS alone, and what does not. */
  static const char *names[] = {"fmv.x.d", "feq.d", "fclass.d", "fsd", "fld", "fmv.d.x", "fcvt.w.d exact", "fcvt.w.d inexact", "fadd.d", "csrr fcsr", "csrw fcsr", "feq.d of a signaling NaN", "fsgnj.d", "fcvt.d.w"};
  for (int i = 0; i < 14; i++) {
    u64 x = 0, memory = 0x3ff0000000000000, signaling = 0x7ff0000000000001;
    WRITE_CSR(fflags, 0);
    __asm__ volatile("fmv.d.x fa0, %0\n fmv.d.x fa1, %1\n fmv.d.x fa2, %2" ::"r"(memory), "r"(0x3ff8000000000000), "r"(signaling) : "fa0", "fa1", "fa2");
    CLEAR_CSR(mstatus, 0x6000);
    SET_CSR(mstatus, 0x2000);
    switch (i) {
    case 0: __asm__ volatile("fmv.x.d %0, fa0" : "=r"(x)); break;
    case 1: __asm__ volatile("feq.d %0, fa0, fa0" : "=r"(x)); break;
    case 2: __asm__ volatile("fclass.d %0, fa0" : "=r"(x)); break;
    case 3: __asm__ volatile("fsd fa0, %0" : "=m"(memory)); break;
    case 4: __asm__ volatile("fld fa0, %0" ::"m"(memory) : "fa0"); break;
    case 5: __asm__ volatile("fmv.d.x fa0, %0" ::"r"(memory) : "fa0"); break;
    case 6: __asm__ volatile("fcvt.w.d %0, fa0" : "=r"(x)); break;
    case 7: __asm__ volatile("fcvt.w.d %0, fa1" : "=r"(x)); break;
    case 8: __asm__ volatile("fadd.d fa0, fa0, fa0" ::: "fa0"); break;
    case 9: x = READ_CSR(fcsr); break;
    case 10: WRITE_CSR(fcsr, 0); break;
    case 11: __asm__ volatile("feq.d %0, fa2, fa0" : "=r"(x)); break;
    case 12: __asm__ volatile("fsgnj.d fa0, fa0, fa0" ::: "fa0"); break;
    case 13: __asm__ volatile("fcvt.d.w fa0, x0" ::: "fa0"); break;
    }
    /* New flags make FS Dirty (3.1.6.6); the peer forgets it where an integer register is written: not shown. */
    u64 dirty = READ_CSR(mstatus) >> 13 & 3;
    print("%s: FS %lu, %lx\n", names[i], i == 7 || i == 11 ? 0 : dirty, x);
    SET_CSR(mstatus, 0x6000);
  }
  return 0;
}
