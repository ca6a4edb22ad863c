import { assertEquals } from "@std/assert";
import { parseCommandLine } from "../../../machines/command_line/options.ts";
import { type DeviceTreeNode, readDeviceTree } from "../../../machines/loader/flattened_device_tree.ts";
import { describeVirt } from "../../../machines/virt/device_tree.ts";

const PLAIN_CPU = "rv64,h=false,zba=false,zbb=false,zbc=false,zbs=false";
const PLAIN = parseCommandLine(["-cpu", PLAIN_CPU]).features!;
const QEMU = "qemu-system-riscv64";
const hasQemu = await new Deno.Command(QEMU, { args: ["--version"], stdout: "null", stderr: "null" }).output()
  .then((out) => out.success, () => false);

/** Hardware that QEMU's board has and ours does not, and what is random. */
const NOT_MODELLED = ["/pmu", "/flash@20000000", "/platform-bus@4000000", "/soc/pci@30000000"];
const RANDOM = "/chosen rng-seed";

for (const harts of [1, 2, 8]) {
  Deno.test({
    name: `the device tree for ${harts} harts is QEMU's, node by node and in order, less the hardware not modelled`,
    ignore: !hasQemu,
    fn: async () => {
      const file = await Deno.makeTempFile();
      try {
        const machine = ["-M", `virt,dumpdtb=${file}`, "-cpu", PLAIN_CPU];
        const args = [...machine, "-m", "3G", "-smp", String(harts), "-bios", "none", "-display", "none"];
        await new Deno.Command(QEMU, { args, stdout: "null", stderr: "null" }).output();
        const theirs = lines(readDeviceTree(await Deno.readFile(file)).root);
        assertEquals(lines(describeVirt({ harts, ramBytes: 3 * 2 ** 30, features: PLAIN }).root), theirs);
      } finally {
        await Deno.remove(file);
      }
    },
  });
}

/** Every node in order, each followed by its properties sorted by name. */
function lines(item: DeviceTreeNode, path = ""): string[] {
  if (NOT_MODELLED.includes(path)) return [];
  const properties = [...item.properties].map(([name, value]) => `${path} ${name} = ${value.toHex()}`).sort();
  const own = [path, ...properties.filter((line) => !line.startsWith(RANDOM))];
  return own.concat(item.children.flatMap((child) => lines(child, `${path}/${child.name}`)));
}

for (
  const [cpu, expected] of [
    ["rv64", {
      "riscv,isa": "rv64imafdc_zicbom_zicboz_zicond_zicsr_zifencei_zihintpause_zba_zbb_zbc_zbs_sstc",
      "mmu-type": "riscv,sv57",
      "riscv,cbom-block-size": 64,
      "riscv,cboz-block-size": 64,
    }],
    ["rv64,zba=off,zicbom=off,sv57=off", {
      "riscv,isa": "rv64imafdc_zicboz_zicond_zicsr_zifencei_zihintpause_zbb_zbc_zbs_sstc",
      "mmu-type": "riscv,sv48",
      "riscv,cboz-block-size": 64,
    }],
    ["rv64,zicboz=off,zihintpause=off,sstc=off,sv48=off", {
      "riscv,isa": "rv64imafdc_zicbom_zicond_zicsr_zifencei_zba_zbb_zbc_zbs",
      "mmu-type": "riscv,sv39",
      "riscv,cbom-block-size": 64,
    }],
    [`${PLAIN_CPU},mmu=off`, {
      "riscv,isa": "rv64imafdc_zicsr_zifencei_zihintpause_sstc",
      "mmu-type": "riscv,none",
    }],
  ] as const
) {
  Deno.test(`the device tree tells what harts of -cpu ${cpu} have`, () => {
    const { features } = parseCommandLine(["-cpu", cpu]);
    const { root } = describeVirt({ harts: 1, ramBytes: 2 ** 20, ...(features && { features }) });
    const cpus = root.children.find(({ name }) => name === "cpus");
    const properties = cpus?.children.find(({ name }) => name === "cpu@0")?.properties;
    const told = [...properties ?? []].filter(([name]) => /^(riscv,|mmu-type)/.test(name)).map(([name, value]) => [
      name,
      name.endsWith("size")
        ? new DataView(value.slice().buffer).getUint32(0)
        : new TextDecoder().decode(value.slice(0, -1)),
    ]);
    assertEquals(Object.fromEntries(told), expected);
  });
}
