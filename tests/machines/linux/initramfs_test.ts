import { assert, assertEquals } from "@std/assert";
import { buildInitramfs } from "../../../machines/linux/initramfs.ts";

async function withFiles(modules: string[], body: (files: Parameters<typeof buildInitramfs>[0]) => void) {
  const directory = await Deno.makeTempDir();
  try {
    await Deno.writeTextFile(`${directory}/busybox`, "BUSYBOX");
    await Deno.mkdir(`${directory}/modules`);
    for (const name of modules) await Deno.writeTextFile(`${directory}/modules/${name}`, name);
    body({ kernel: "", firmware: "", busybox: `${directory}/busybox`, modules: `${directory}/modules` });
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
}

const text = (bytes: Uint8Array) => new TextDecoder("latin1").decode(bytes);

Deno.test("the RAM disk carries init, busybox, the present modules and the driver table", async () => {
  await withFiles(["virtio_mmio.ko.xz", "virtio_blk.ko.xz", "unrelated.ko.xz"], (files) => {
    const archive = text(buildInitramfs(files));
    for (
      const part of ["init\0", "#!/bin/busybox sh", "BUSYBOX", "lib/modules/virtio_mmio.ko.xz\0", "0x0002 virtio_blk"]
    ) {
      assert(archive.includes(part), part);
    }
    assert(!archive.includes("unrelated"), "only the modules of the machine's devices");
    assert(!archive.includes("etc/command\0"));
  });
});

Deno.test("equal content makes equal bytes, and a command changes them", async () => {
  await withFiles([], (files) => {
    assertEquals(buildInitramfs(files, "true"), buildInitramfs(files, "true"));
    assert(text(buildInitramfs(files, "uname -a")).includes("etc/command\0"));
  });
});
