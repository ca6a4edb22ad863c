// RV64F and RV64D (rv64uf, rv64ud): every operation on telling operands in every rounding mode; one line per operation,
// with a sum over all results and flags. NaN boxing is part of it: singles come from unboxed registers too.
#include "program.h"

static const u64 DOUBLES[] = {
  0, 0x8000000000000000, 1, 0x8000000000000001, 0x000fffffffffffff, 0x0010000000000000, 0x3ff0000000000000,
  0xbff0000000000000, 0x3ff8000000000000, 0x3ff0000000000001, 0x3fefffffffffffff, 0x4000000000000000, 0x400921fb54442d18,
  0x41dfffffffc00000, 0xc1e0000000000000, 0x41f0000000000000, 0x43dfffffffffffff, 0x43e0000000000000, 0xc3e0000000000000,
  0x43f0000000000000, 0x3e112e0be826d695, 0x36a0000000000000, 0x380fffffe0000000, 0x47efffffe0000000, 0x47effffff0000000,
  0x7fefffffffffffff, 0xffefffffffffffff, 0x7ff0000000000000, 0xfff0000000000000, 0x7ff8000000000000, 0x7ff0000000000001,
  0xfff8000000000123, 0x3fe0000000000000, 0xbfe0000000000000, 0xffffffff00000000,
};
static const u64 SINGLES[] = {
  0xffffffff00000000, 0xffffffff80000000, 0xffffffff00000001, 0xffffffff807fffff, 0xffffffff00800000, 0xffffffff3f800000,
  0xffffffffbf800000, 0xffffffff3f800001, 0xffffffff3f7fffff, 0xffffffff40490fdb, 0xffffffff4b800000, 0xffffffff4effffff,
  0xffffffff4f000000, 0xffffffffcf000000, 0xffffffff4f800000, 0xffffffff5f000000, 0xffffffffdf000000, 0xffffffff7f7fffff,
  0xffffffffff7fffff, 0xffffffff7f800000, 0xffffffffff800000, 0xffffffff7fc00000, 0xffffffff7f800001, 0xffffffffffc00001,
  0xffffffff3f000000, 0xffffffffbf000000, 0x3f800000, 0x7fc00000,
};
static const u64 INTEGERS[] = {
  0, 1, -1ul, 0x7fffffff, 0x80000000, 0xffffffff, 0x1000001, 0x1fffffff, 0x20000000000001, 0x7fffffffffffffff,
  0x8000000000000000, 0x8000000000000401, 0xfffffffffffff801, 0xffffffff80000001,
};
#define LENGTH(list) (sizeof list / sizeof *list)

static u64 flags(void) { return READ_CSR(fflags); }

#define FOR_MODES for (u64 mode = 0; mode < 5; mode++)
#define BEGIN WRITE_CSR(frm, mode); WRITE_CSR(fflags, 0);
#define BITS(text) __asm__ volatile("fmv.d.x ft0, %1\nfmv.d.x ft1, %2\nfmv.d.x ft2, %3\n" text "\nfmv.x.d %0, ft3" \
  : "=r"(result) : "r"(a), "r"(b), "r"(c) : "t0", "ft0", "ft1", "ft2", "ft3")
#define INTEGER(text) __asm__ volatile("fmv.d.x ft0, %1\nfmv.d.x ft1, %2\n" text : "=r"(result) : "r"(a), "r"(b) : "ft0", "ft1")

#define TWO(name, list, form, text)                                                           \
  do {                                                                                        \
    u64 sum = 0, result;                                                                      \
    FOR_MODES for (unsigned i = 0; i < LENGTH(list); i++)                                     \
      for (unsigned j = 0; j < LENGTH(list); j++) {                                           \
        u64 a = list[i], b = list[j], c = 0;                                                  \
        (void)c;                                                                              \
        BEGIN form(text);                                                                     \
        sum = mix(mix(sum, result), flags());                                                 \
      }                                                                                       \
    show(name, sum);                                                                          \
  } while (0)
#define THREE(name, list)                                                                     \
  do {                                                                                        \
    u64 sum = 0, result;                                                                      \
    FOR_MODES for (unsigned i = 0; i < LENGTH(list); i += 1 + (mode & 1))                     \
      for (unsigned j = 0; j < LENGTH(list); j += 2)                                          \
        for (unsigned k = 0; k < LENGTH(list); k += 2) {                                      \
          u64 a = list[i], b = list[j], c = list[k];                                          \
          BEGIN BITS(name " ft3, ft0, ft1, ft2");                                             \
          sum = mix(mix(sum, result), flags());                                               \
        }                                                                                     \
    show(name, sum);                                                                          \
  } while (0)
#define ONE(name, list, form, text)                                                           \
  do {                                                                                        \
    u64 sum = 0, result;                                                                      \
    FOR_MODES for (unsigned i = 0; i < LENGTH(list); i++) {                                   \
      u64 a = list[i], b = 0, c = 0;                                                          \
      (void)c;                                                                                \
      BEGIN form(text);                                                                       \
      sum = mix(mix(sum, result), flags());                                                   \
    }                                                                                         \
    show(name, sum);                                                                          \
  } while (0)

#define ARITHMETIC(s, list)                                                                                     \
  TWO("fadd." s, list, BITS, "fadd." s " ft3, ft0, ft1"); TWO("fsub." s, list, BITS, "fsub." s " ft3, ft0, ft1"); \
  TWO("fmul." s, list, BITS, "fmul." s " ft3, ft0, ft1"); TWO("fdiv." s, list, BITS, "fdiv." s " ft3, ft0, ft1"); \
  TWO("fmin." s, list, BITS, "fmin." s " ft3, ft0, ft1"); TWO("fmax." s, list, BITS, "fmax." s " ft3, ft0, ft1"); \
  TWO("fsgnj." s, list, BITS, "fsgnj." s " ft3, ft0, ft1"); TWO("fsgnjn." s, list, BITS, "fsgnjn." s " ft3, ft0, ft1"); \
  TWO("fsgnjx." s, list, BITS, "fsgnjx." s " ft3, ft0, ft1"); TWO("feq." s, list, INTEGER, "feq." s " %0, ft0, ft1"); \
  TWO("flt." s, list, INTEGER, "flt." s " %0, ft0, ft1"); TWO("fle." s, list, INTEGER, "fle." s " %0, ft0, ft1"); \
  ONE("fsqrt." s, list, BITS, "fsqrt." s " ft3, ft0"); ONE("fclass." s, list, INTEGER, "fclass." s " %0, ft0");   \
  ONE("fcvt.w." s, list, INTEGER, "fcvt.w." s " %0, ft0"); ONE("fcvt.wu." s, list, INTEGER, "fcvt.wu." s " %0, ft0"); \
  ONE("fcvt.l." s, list, INTEGER, "fcvt.l." s " %0, ft0"); ONE("fcvt.lu." s, list, INTEGER, "fcvt.lu." s " %0, ft0"); \
  ONE("fcvt.w." s " rmm", list, INTEGER, "fcvt.w." s " %0, ft0, rmm");                                            \
  ONE("fcvt." s ".w", INTEGERS, BITS, "fmv.x.d t0, ft0\nfcvt." s ".w ft3, t0");                                   \
  ONE("fcvt." s ".wu", INTEGERS, BITS, "fmv.x.d t0, ft0\nfcvt." s ".wu ft3, t0");                                 \
  ONE("fcvt." s ".l", INTEGERS, BITS, "fmv.x.d t0, ft0\nfcvt." s ".l ft3, t0");                                   \
  ONE("fcvt." s ".lu", INTEGERS, BITS, "fmv.x.d t0, ft0\nfcvt." s ".lu ft3, t0");                                 \
  THREE("fmadd." s, list); THREE("fmsub." s, list); THREE("fnmadd." s, list); THREE("fnmsub." s, list)

SNIPPET(reserved_rounding, "fsrmi 5\nfadd.s ft0, ft0, ft0");
SNIPPET(static_reserved_rounding, ".word 0x00005053");
SNIPPET(with_float_off, "li t0, 0x6000\ncsrc mstatus, t0\nfmv.x.d a0, ft0");
SNIPPET(csr_with_float_off, "li t0, 0x6000\ncsrc mstatus, t0\ncsrr a0, fcsr");

int main(void) {
  ARITHMETIC("d", DOUBLES);
  ARITHMETIC("s", SINGLES);
  ONE("fcvt.s.d", DOUBLES, BITS, "fcvt.s.d ft3, ft0");
  ONE("fcvt.d.s", SINGLES, BITS, "fcvt.d.s ft3, ft0");
  ONE("fmv.x.w", SINGLES, INTEGER, "fmv.x.w %0, ft0");
  ONE("fmv.w.x", INTEGERS, BITS, "fmv.x.d t0, ft0\nfmv.w.x ft3, t0");
  attempt("reserved rounding mode", MACHINE, reserved_rounding, 0);
  WRITE_CSR(frm, 0);
  attempt("reserved static rounding mode", MACHINE, static_reserved_rounding, 0);
  attempt("float off", MACHINE, with_float_off, 0);
  attempt("float off, csr", MACHINE, csr_with_float_off, 0);
  SET_CSR(mstatus, 0x2000);
  show("initial", READ_CSR(mstatus) >> 13 & 3);
  __asm__ volatile("fmv.d.x ft0, zero");
  show("dirty", READ_CSR(mstatus) >> 13 & 3);
  show("summary", READ_CSR(mstatus) >> 63);
  WRITE_CSR(fcsr, 0xffffffffffffffff);
  show("fcsr", READ_CSR(fcsr));
  show("frm", READ_CSR(frm));
  show("fflags", READ_CSR(fflags));
  return 0;
}
