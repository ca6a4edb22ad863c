# Entry of every program: keeps the registers that it was entered with, parks harts other than 0 until `release`.
.section .text.start
.global _start, boot_registers, trap_entry
_start:
  csrw mscratch, t0
  csrr t0, mhartid
  bnez t0, secondary
  la t0, boot_registers
  sd x1, 8(t0); sd x2, 16(t0); sd x3, 24(t0); sd x4, 32(t0)
  sd x6, 48(t0); sd x7, 56(t0); sd x8, 64(t0); sd x9, 72(t0)
  sd x10, 80(t0); sd x11, 88(t0); sd x12, 96(t0); sd x13, 104(t0)
  sd x14, 112(t0); sd x15, 120(t0); sd x16, 128(t0); sd x17, 136(t0)
  sd x18, 144(t0); sd x19, 152(t0); sd x20, 160(t0); sd x21, 168(t0)
  sd x22, 176(t0); sd x23, 184(t0); sd x24, 192(t0); sd x25, 200(t0)
  sd x26, 208(t0); sd x27, 216(t0); sd x28, 224(t0); sd x29, 232(t0)
  sd x30, 240(t0); sd x31, 248(t0)
  csrr t1, mscratch
  sd t1, 40(t0)
  csrw mscratch, x0
  la sp, stack_top
.option push
.option norelax
  la gp, __global_pointer$
.option pop
  la t0, trap_entry
  csrw mtvec, t0
  li t0, 0x2000
  csrs mstatus, t0
  call main
  mv a1, a0
  li a0, 0x100000
  li t0, 0x5555
  beqz a1, 1f
  slli a1, a1, 16
  li t0, 0x3333
  or t0, t0, a1
1:
  sw t0, 0(a0)
  j 1b

secondary:
  la t1, trap_entry
  csrw mtvec, t1
  la sp, stack_top
  slli t1, t0, 14
  sub sp, sp, t1
  mv a0, t0
  li t0, 0x2000
  csrs mstatus, t0
1:
  la t1, release
  lw t1, 0(t1)
  beqz t1, 1b
  fence
  call secondary_main
2:
  wfi
  j 2b

# Calls `trap(struct frame *)`, which may change what it returns to.
.align 2
trap_entry:
  addi sp, sp, -272
  sd x1, 8(sp); sd x3, 24(sp); sd x4, 32(sp); sd x5, 40(sp); sd x6, 48(sp); sd x7, 56(sp)
  sd x8, 64(sp); sd x9, 72(sp); sd x10, 80(sp); sd x11, 88(sp); sd x12, 96(sp); sd x13, 104(sp)
  sd x14, 112(sp); sd x15, 120(sp); sd x16, 128(sp); sd x17, 136(sp); sd x18, 144(sp); sd x19, 152(sp)
  sd x20, 160(sp); sd x21, 168(sp); sd x22, 176(sp); sd x23, 184(sp); sd x24, 192(sp); sd x25, 200(sp)
  sd x26, 208(sp); sd x27, 216(sp); sd x28, 224(sp); sd x29, 232(sp); sd x30, 240(sp); sd x31, 248(sp)
  addi t0, sp, 272
  sd t0, 16(sp)
  csrr t0, mepc
  sd t0, 0(sp)
  mv a0, sp
  call trap
  ld t0, 0(sp)
  csrw mepc, t0
  ld x1, 8(sp); ld x3, 24(sp); ld x4, 32(sp); ld x5, 40(sp); ld x6, 48(sp); ld x7, 56(sp)
  ld x8, 64(sp); ld x9, 72(sp); ld x10, 80(sp); ld x11, 88(sp); ld x12, 96(sp); ld x13, 104(sp)
  ld x14, 112(sp); ld x15, 120(sp); ld x16, 128(sp); ld x17, 136(sp); ld x18, 144(sp); ld x19, 152(sp)
  ld x20, 160(sp); ld x21, 168(sp); ld x22, 176(sp); ld x23, 184(sp); ld x24, 192(sp); ld x25, 200(sp)
  ld x26, 208(sp); ld x27, 216(sp); ld x28, 224(sp); ld x29, 232(sp); ld x30, 240(sp); ld x31, 248(sp)
  ld x2, 16(sp)
  mret

.global release
.data
.align 3
release: .dword 0
.bss
.align 4
boot_registers: .space 256
.space 0x20000
stack_top:
