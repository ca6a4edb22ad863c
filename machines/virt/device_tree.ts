/**
 * The device tree of `virt`: what the board has, said to firmware and kernel. Nodes, values and their order are QEMU's
 * wherever the hardware is modelled; order matters, because Linux names disks in the order in which it finds them.
 */
import {
  cells,
  type DeviceTree,
  type DeviceTreeNode,
  doubleCells,
  node,
  present,
  text,
} from "../loader/flattened_device_tree.ts";
import { ALL_FEATURES, type HartFeatures, isaString, mmuType } from "../riscv/features.ts";
import { BLOCK_BYTES } from "../riscv/layout.ts";
import { INTERRUPT, MEMORY_MAP, PLIC_SOURCES, SERIAL_CLOCK_HZ, TIMEBASE_HZ, VIRTIO_COUNT } from "./memory_map.ts";

export interface DescribedBoard {
  readonly harts: number;
  readonly ramBytes: number;
  /** Default: all that there is. */
  readonly features?: HartFeatures;
}

/** Causes that the local interrupt controller of a hart knows (privileged specification, table 14). */
const MACHINE_SOFTWARE = 3, MACHINE_TIMER = 7, SUPERVISOR_EXTERNAL = 9, MACHINE_EXTERNAL = 11;

/** What a syscon write of these values does at the test finisher. */
const POWER_OFF = 0x5555, REBOOT = 0x7777;

export function describeVirt(board: DescribedBoard): DeviceTree {
  const { serial, firmwareConfig, dram } = MEMORY_MAP;
  const handles = new Handles(board.harts);
  const root = node("", {
    "#address-cells": cells(2),
    "#size-cells": cells(2),
    compatible: text("riscv-virtio"),
    model: text("riscv-virtio,qemu"),
  }, [
    node(`fw-cfg@${hex(firmwareConfig.address)}`, {
      "dma-coherent": present,
      reg: doubleCells(firmwareConfig.address, firmwareConfig.size),
      compatible: text("qemu,fw-cfg-mmio"),
    }),
    node("chosen", { "stdout-path": text(`/soc/serial@${hex(serial.address)}`) }),
    sysconNode("poweroff", POWER_OFF, handles.testFinisher),
    sysconNode("reboot", REBOOT, handles.testFinisher),
    node(`memory@${hex(dram.address)}`, {
      device_type: text("memory"),
      reg: doubleCells(dram.address, board.ramBytes),
    }),
    cpusNode(board, handles),
    socNode(handles),
  ]);
  return { root, reservations: [] };
}

/** Phandles, numbered as QEMU does: harts from the last to the first, then the PLIC, then the finisher. */
class Handles {
  readonly plic: number;
  readonly testFinisher: number;
  readonly #harts: number;

  constructor(harts: number) {
    this.#harts = harts;
    this.plic = 2 * harts + 1;
    this.testFinisher = 2 * harts + 2;
  }

  hart(id: number): number {
    return 2 * (this.#harts - id) - 1;
  }

  localInterrupts(id: number): number {
    return 2 * (this.#harts - id);
  }

  /** `interrupts-extended` of a controller that drives these causes of every hart. */
  everyHart(...causes: number[]): Uint8Array {
    const ids = Array.from({ length: this.#harts }, (_, id) => id);
    return cells(...ids.flatMap((id) => causes.flatMap((cause) => [this.localInterrupts(id), cause])));
  }
}

function sysconNode(name: string, value: number, regmap: number): DeviceTreeNode {
  return node(name, {
    value: cells(value),
    offset: cells(0),
    regmap: cells(regmap),
    compatible: text(`syscon-${name}`),
  });
}

function cpusNode(board: DescribedBoard, handles: Handles): DeviceTreeNode {
  const ids = Array.from({ length: board.harts }, (_, id) => id);
  const harts = ids.map((id) =>
    node(`cpu@${id}`, {
      phandle: cells(handles.hart(id)),
      device_type: text("cpu"),
      reg: cells(id),
      status: text("okay"),
      compatible: text("riscv"),
      ...hartProperties(board.features ?? ALL_FEATURES),
    }, [
      node("interrupt-controller", {
        "#interrupt-cells": cells(1),
        "interrupt-controller": present,
        compatible: text("riscv,cpu-intc"),
        phandle: cells(handles.localInterrupts(id)),
      }),
    ])
  );
  const cores = ids.map((id) => node(`core${id}`, { cpu: cells(handles.hart(id)) }));
  return node("cpus", {
    "#address-cells": cells(1),
    "#size-cells": cells(0),
    "timebase-frequency": cells(TIMEBASE_HZ),
  }, [...harts, node("cpu-map", {}, [node("cluster0", {}, cores)])]);
}

/** What a hart has (Linux: Documentation/devicetree/bindings/riscv/cpus.yaml). */
function hartProperties(features: HartFeatures): Record<string, Uint8Array> {
  const { extensions } = features;
  return {
    ...(extensions.has("Zicboz") && { "riscv,cboz-block-size": cells(BLOCK_BYTES) }),
    ...(extensions.has("Zicbom") && { "riscv,cbom-block-size": cells(BLOCK_BYTES) }),
    "riscv,isa": text(isaString(features)),
    "mmu-type": text(mmuType(features)),
  };
}

function socNode(handles: Handles): DeviceTreeNode {
  const { realTimeClock, serial, testFinisher, virtio, plic, clint } = MEMORY_MAP;
  const windows = Array.from({ length: VIRTIO_COUNT }, (_, i) => VIRTIO_COUNT - 1 - i);
  return node("soc", {
    "#address-cells": cells(2),
    "#size-cells": cells(2),
    compatible: text("simple-bus"),
    ranges: present,
  }, [
    node(`rtc@${hex(realTimeClock.address)}`, {
      interrupts: cells(INTERRUPT.realTimeClock),
      "interrupt-parent": cells(handles.plic),
      reg: doubleCells(realTimeClock.address, realTimeClock.size),
      compatible: text("google,goldfish-rtc"),
    }),
    node(`serial@${hex(serial.address)}`, {
      interrupts: cells(INTERRUPT.serial),
      "interrupt-parent": cells(handles.plic),
      "clock-frequency": cells(SERIAL_CLOCK_HZ),
      reg: doubleCells(serial.address, serial.size),
      compatible: text("ns16550a"),
    }),
    node(`test@${hex(testFinisher.address)}`, {
      phandle: cells(handles.testFinisher),
      reg: doubleCells(testFinisher.address, testFinisher.size),
      compatible: text("sifive,test1", "sifive,test0", "syscon"),
    }),
    ...windows.map((i) =>
      node(`virtio_mmio@${hex(virtio.address + i * virtio.size)}`, {
        interrupts: cells(INTERRUPT.virtio + i),
        "interrupt-parent": cells(handles.plic),
        reg: doubleCells(virtio.address + i * virtio.size, virtio.size),
        compatible: text("virtio,mmio"),
      })
    ),
    node(`plic@${hex(plic.address)}`, {
      phandle: cells(handles.plic),
      "riscv,ndev": cells(PLIC_SOURCES),
      reg: doubleCells(plic.address, plic.size),
      "interrupts-extended": handles.everyHart(MACHINE_EXTERNAL, SUPERVISOR_EXTERNAL),
      "interrupt-controller": present,
      compatible: text("sifive,plic-1.0.0", "riscv,plic0"),
      "#address-cells": cells(0),
      "#interrupt-cells": cells(1),
    }),
    node(`clint@${hex(clint.address)}`, {
      "interrupts-extended": handles.everyHart(MACHINE_SOFTWARE, MACHINE_TIMER),
      reg: doubleCells(clint.address, clint.size),
      compatible: text("sifive,clint0", "riscv,clint0"),
    }),
  ]);
}

function hex(address: number): string {
  return address.toString(16);
}
