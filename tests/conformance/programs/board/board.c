#include "board.h"

struct caught caught;
void (*on_interrupt)(u64, struct frame *);

void put(char c) {
  while (!(REGISTER(u8, UART + 5) & 0x20)) {}
  REGISTER(u8, UART) = c;
}

static void number(u64 value, unsigned base, int width) {
  char digits[24];
  int n = 0;
  do {
    digits[n++] = "0123456789abcdef"[value % base];
    value /= base;
  } while (value || n < width);
  while (n) put(digits[--n]);
}

void print(const char *format, ...) {
  va_list arguments;
  va_start(arguments, format);
  for (; *format; format++) {
    if (*format != '%') {
      put(*format);
      continue;
    }
    int width = 0, is_long = 0;
    for (format++; *format >= '0' && *format <= '9'; format++) width = width * 10 + *format - '0';
    if (*format == 'l') is_long = 1, format++;
    switch (*format) {
    case 'c':
      put(va_arg(arguments, int));
      break;
    case 's':
      for (const char *s = va_arg(arguments, const char *); *s; s++) put(*s);
      break;
    case 'd': {
      int64_t value = is_long ? va_arg(arguments, int64_t) : va_arg(arguments, int);
      if (value < 0) put('-');
      number(value < 0 ? -(u64)value : (u64)value, 10, width);
      break;
    }
    case 'u':
    case 'x':
      number(is_long ? va_arg(arguments, u64) : va_arg(arguments, u32), *format == 'x' ? 16 : 10, width);
      break;
    default:
      put(*format);
    }
  }
  va_end(arguments);
}

/* Exceptions are noted, and the instruction is skipped. */
void trap(struct frame *frame) {
  u64 cause = READ_CSR(mcause);
  if ((int64_t)cause < 0) {
    if (on_interrupt) on_interrupt(cause & ~(1ul << 63), frame);
    return;
  }
  caught.cause = cause;
  caught.value = READ_CSR(mtval);
  if (cause == 1) frame->pc = frame->x[1];
  else frame->pc += (REGISTER(u16, frame->pc) & 3) == 3 ? 4 : 2;
}

__attribute__((weak)) void secondary_main(u64 hart) { (void)hart; }

void *memset(void *to, int value, size_t n) {
  for (u8 *p = to; n--;) *p++ = value;
  return to;
}

void *memcpy(void *to, const void *from, size_t n) {
  u8 *p = to;
  for (const u8 *q = from; n--;) *p++ = *q++;
  return to;
}
