/* What a hart comes with: registers from the reset vector, CSRs, and the reset vector itself. */
#include "board.h"

#define SHOW(name) print(#name " %16lx\n", READ_CSR(name))

int main(void) {
  for (int i = 1; i < 32; i++) print("x%d %16lx\n", i, boot_registers[i]);
  SHOW(mvendorid);
  SHOW(mhartid);
  SHOW(misa);
  SHOW(mstatus);
  SHOW(mie);
  SHOW(mideleg);
  SHOW(medeleg);
  SHOW(mcause);
  SHOW(mepc);
  SHOW(mtval);
  SHOW(mcounteren);
  SHOW(mcountinhibit);
  SHOW(scounteren);
  SHOW(menvcfg);
  SHOW(senvcfg);
  SHOW(satp);
  SHOW(stvec);
  SHOW(sepc);
  SHOW(scause);
  SHOW(stval);
  SHOW(sscratch);
  SHOW(sstatus);
  SHOW(fcsr);
  SHOW(pmpcfg0);
  SHOW(pmpcfg2);
  SHOW(pmpaddr0);
  SHOW(pmpaddr15);
  SHOW(tselect);
  SHOW(mip);
  WRITE_CSR(menvcfg, 1ul << 63);
  __asm__ volatile("csrr a0, 0x14d" ::: "a0");
  SHOW(menvcfg);
  for (u64 a = 0x1000; a < 0x1060; a += 4) print("%lx: %8x\n", a, REGISTER(u32, a));
  return 0;
}
