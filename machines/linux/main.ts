/**
 * `deno task linux`: an unmodified Debian kernel, booted to a shell.
 *
 * @module
 */

import { parseJobOptions, UsageError } from "./arguments.ts";
import { runJob } from "./job.ts";

const HELP = `Boots Debian's Linux for RISC-V to a busybox shell.

Usage: deno task linux [option]…

  --exec COMMAND    run COMMAND in the guest, print what it prints, exit with its status
  --update          fetch Debian's kernel, OpenSBI and busybox anew instead of using the cached ones
  --print-command   print the command line that runs the same guest in QEMU, and exit
  --help            this text

Every other option goes to the machine (deno task virt -h lists them); -append adds to the kernel's command line.
The packages are fetched with apt, once, into $XDG_CACHE_HOME/freehold or ~/.cache/freehold.

On a terminal, Ctrl-A x quits and Ctrl-A h helps. Without a terminal, the shell reads standard input, and the guest powers
off at its end.

Examples:
  deno task linux
  deno task linux -smp 2 -m 512M
  deno task linux --exec "uname -a; poweroff -f"
  echo "cat /proc/cpuinfo" | deno task linux
  deno task linux -drive file=disk.img,format=raw,if=none,id=d -device virtio-blk-device,drive=d
  deno task linux -kernel Image -initrd initrd.gz -append "console=ttyS0"
`;

async function main(args: string[]): Promise<number> {
  try {
    const options = parseJobOptions(args);
    if (options.help) {
      console.log(HELP.trimEnd());
      return 0;
    }
    return await runJob(options);
  } catch (error) {
    if (!(error instanceof UsageError)) throw error;
    console.error(error.message);
    return 1;
  }
}

// Standard input may still have a pending read, which would keep the process alive.
if (import.meta.main) Deno.exit(await main(Deno.args));
