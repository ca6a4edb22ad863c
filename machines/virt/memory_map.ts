/**
 * Where everything is on the `virt` board, and which line of the interrupt controller it drives. The same as QEMU's
 * `virt` (docs/system/riscv/virt), so that firmware and kernels built for that one run here.
 */

/** Guest-physical `[address, size]` in bytes. */
export const MEMORY_MAP = {
  resetVector: { address: 0x1000, size: 0xf000 },
  testFinisher: { address: 0x10_0000, size: 0x1000 },
  realTimeClock: { address: 0x10_1000, size: 0x1000 },
  clint: { address: 0x200_0000, size: 0x1_0000 },
  plic: { address: 0xc00_0000, size: 0x60_0000 },
  serial: { address: 0x1000_0000, size: 0x100 },
  virtio: { address: 0x1000_1000, size: 0x1000 },
  firmwareConfig: { address: 0x1010_0000, size: 0x18 },
  dram: { address: 0x8000_0000, size: undefined },
} as const;

/** Windows of the virtio-mmio transport, one after the other. */
export const VIRTIO_COUNT = 8;

/** Interrupt sources at the PLIC. Window i of virtio drives source `virtio + i`. */
export const INTERRUPT = { virtio: 1, serial: 10, realTimeClock: 11 } as const;

/** What the device tree says the PLIC has: source 0 is none, so 95 usable ones and it. */
export const PLIC_SOURCES = 96;

/** Frequency of `time` and of the CLINT's mtime, in Hz. */
export const TIMEBASE_HZ = 10_000_000;

/** What the UART's divisor is fed with, in Hz. */
export const SERIAL_CLOCK_HZ = 3_686_400;

/** All guest RAM fits the 32-bit address space below which WebAssembly memory ends. */
export const MAX_RAM_BYTES = 3 * 2 ** 30;
export const MAX_HARTS = 8;
