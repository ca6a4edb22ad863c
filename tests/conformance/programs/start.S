# Entry of every program, and `enter_mode`, which runs a few instructions in any mode until they trap.

    .section .text.start
    .globl _start
_start:
    csrr t0, mhartid
    bnez t0, park
    la sp, stack_top
    la t0, unexpected_trap
    csrw mtvec, t0
    li t0, 0x6000               # FS dirty: floating point is on
    csrs mstatus, t0
    li t0, -1                   # one PMP entry opens everything to the lower modes
    csrw pmpaddr0, t0
    li t0, 0x1f
    csrw pmpcfg0, t0
    call main
    # The test finisher takes the exit status: 0x5555 for success, else status << 16 | 0x3333.
    li t0, 0x100000
    li t1, 0x5555
    beqz a0, 1f
    slli t1, a0, 16
    li t2, 0x3333
    or t1, t1, t2
1:  sw t1, 0(t0)
park:
    wfi
    j park

    .align 2
unexpected_trap:
    csrr a0, mcause
    csrr a1, mepc
    csrr a2, mtval
    la sp, stack_top
    call report_unexpected_trap
    li t0, 0x100000
    li t1, 0x00633333
    sw t1, 0(t0)
    j park

# long enter_mode(long mode, void *code, long argument): a0 of `code` is the argument. Returns the cause of the trap;
# trap_epc, trap_value, trap_a0 and trap_status hold what the trap left.
    .globl enter_mode
enter_mode:
    addi sp, sp, -112
    sd ra, 0(sp)
    .irp n, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11
    sd s\n, 8 + 8 * \n(sp)
    .endr
    la t0, saved_sp
    sd sp, 0(t0)
    la t0, mode_left
    csrw mtvec, t0
    li t0, 0x1800
    csrc mstatus, t0
    slli a0, a0, 11
    csrs mstatus, a0
    csrw mepc, a1
    mv a0, a2
    mret

    .align 2
mode_left:
    la t0, trap_a0
    sd a0, 0(t0)
    csrr t1, mepc
    sd t1, 8(t0)
    csrr t1, mtval
    sd t1, 16(t0)
    csrr t1, mstatus
    sd t1, 24(t0)
    la t1, unexpected_trap
    csrw mtvec, t1
    ld sp, 32(t0)
    ld ra, 0(sp)
    .irp n, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11
    ld s\n, 8 + 8 * \n(sp)
    .endr
    addi sp, sp, 112
    csrr a0, mcause
    ret

    .bss
    .align 3
    .globl trap_a0, trap_epc, trap_value, trap_status
trap_a0: .dword 0
trap_epc: .dword 0
trap_value: .dword 0
trap_status: .dword 0
saved_sp: .dword 0
