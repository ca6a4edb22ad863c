/* What the programs share: the board's registers, printing, traps. */
#pragma once
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

typedef uint8_t u8;
typedef uint16_t u16;
typedef uint32_t u32;
typedef uint64_t u64;

#define FINISHER 0x100000ul
#define RTC 0x101000ul
#define CLINT 0x2000000ul
#define PLIC 0xc000000ul
#define UART 0x10000000ul
#define VIRTIO 0x10001000ul
#define FW_CFG 0x10100000ul
#define RAM 0x80000000ul

#define REGISTER(type, address) (*(volatile type *)(address))
#define READ_CSR(name) ({ u64 value_; __asm__ volatile("csrr %0, " #name : "=r"(value_)); value_; })
#define WRITE_CSR(name, value) __asm__ volatile("csrw " #name ", %0" ::"r"((u64)(value)) : "memory")
#define SET_CSR(name, value) __asm__ volatile("csrs " #name ", %0" ::"r"((u64)(value)) : "memory")
#define CLEAR_CSR(name, value) __asm__ volatile("csrc " #name ", %0" ::"r"((u64)(value)) : "memory")

/* x0 needs no place: where execution goes on has it. */
struct frame {
  union {
    u64 pc;
    u64 x[32];
  };
};

extern u64 boot_registers[32];
extern volatile u64 release;
extern char program_end[];

/* The last exception; cause is all ones if there was none since `catch_begin`. */
struct caught {
  u64 cause, value;
};
extern struct caught caught;

void put(char c);
/* %d %u %x %c %s, with l for 64 bits, and zero-padded widths. */
void print(const char *format, ...);
void sink(void *frame);
/* Called for interrupts. */
extern void (*on_interrupt)(u64 cause, struct frame *frame);
void trap(struct frame *frame);
void secondary_main(u64 hart);
