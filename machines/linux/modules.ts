/**
 * Kernel modules of the machine's devices. Debian builds the virtio transport and most virtio drivers as modules
 * (virtio_console is built in); no `modules.dep` comes with the package, so the order is stated here.
 *
 * @module
 */

/** Module that makes the virtio-mmio slots visible; loaded always, before any driver. */
const TRANSPORT_MODULE = "virtio_mmio";

/** Modules to load, dependencies first, for each virtio device type (virtio 1.2, section 5: device types). */
export const DRIVER_MODULES: Readonly<Record<number, readonly string[]>> = {
  1: ["failover", "net_failover", "virtio_net"],
  2: ["virtio_blk"],
  4: ["virtio-rng"],
};

/** Every module that a guest of this job may load. */
export const GUEST_MODULES: readonly string[] = [TRANSPORT_MODULE, ...Object.values(DRIVER_MODULES).flat()];
