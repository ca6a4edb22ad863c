/** F and D beside QEMU. Cases per instruction: `FREEHOLD_FLOAT_QEMU_CASES`. */
import { floatProgram } from "./float_program.ts";

async function runOnQemu(image: Uint8Array): Promise<Uint8Array> {
  const file = await Deno.makeTempFile({ suffix: ".bin" });
  try {
    await Deno.writeFile(file, image);
    const args = ["-M", "virt", "-bios", file, "-display", "none", "-monitor", "none", "-serial", "stdio"];
    const { stdout } = await new Deno.Command("qemu-system-riscv64", {
      args,
      stdin: "null",
      stderr: "null",
      signal: AbortSignal.timeout(60_000),
    }).output();
    return stdout;
  } finally {
    await Deno.remove(file);
  }
}

function hasQemu(): boolean {
  try {
    return new Deno.Command("qemu-system-riscv64", { args: ["--version"], stdout: "null", stderr: "null" }).outputSync()
      .success;
  } catch {
    return false;
  }
}

Deno.test({
  name: "every instruction of F and D gives what it gives in QEMU, flags included",
  ignore: !hasQemu(),
  async fn() {
    const { image, check } = floatProgram(Number(Deno.env.get("FREEHOLD_FLOAT_QEMU_CASES") ?? 150), 11);
    check(await runOnQemu(image));
  },
});
