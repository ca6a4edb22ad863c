import { assertEquals } from "@std/assert";
import { type DeviceTreeNode, readDeviceTree } from "../../../machines/loader/flattened_device_tree.ts";
import { describeVirt } from "../../../machines/virt/device_tree.ts";

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
        const machine = ["-M", `virt,dumpdtb=${file}`, "-cpu", "rv64,h=false,zba=false,zbb=false,zbc=false,zbs=false"];
        const args = [...machine, "-m", "3G", "-smp", String(harts), "-bios", "none", "-display", "none"];
        await new Deno.Command(QEMU, { args, stdout: "null", stderr: "null" }).output();
        const theirs = lines(readDeviceTree(await Deno.readFile(file)).root);
        assertEquals(lines(describeVirt({ harts, ramBytes: 3 * 2 ** 30 }).root), theirs);
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
