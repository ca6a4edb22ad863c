/**
 * A private apt: its own state, cache, sources and architecture beside the host's, whose mirror, proxies and keys it
 * borrows. Needs no root and changes nothing outside its directory. Signatures are always verified.
 *
 * @module
 */

/** apt, or something that it needs, could not do what was asked. The message is one sentence for the user. */
export class AptError extends Error {
  override name = "AptError";
}

/** What a private apt is made of. */
export interface PrivateApt {
  /** Its directory: `apt.conf`, `sources.list`, `state/`, `cache/`. */
  readonly directory: string;
  /** Debian architecture of the packages. */
  readonly architecture: string;
}

const DEBIAN_KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg";

/** Runs a program to its end and returns its output; a program that is missing or fails is an {@linkcode AptError}. */
async function run(program: string, args: string[], env: Record<string, string> = {}): Promise<string> {
  let output: Deno.CommandOutput;
  try {
    output = await new Deno.Command(program, { args, env: { LC_ALL: "C", ...env }, stdin: "null" }).output();
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) throw new AptError(`${program} is not installed on this machine.`);
    throw error;
  }
  if (!output.success) throw new AptError(`${program} ${args[0]} failed: ${firstComplaint(output.stderr)}`);
  return new TextDecoder().decode(output.stdout);
}

/** The first line in which apt says what went wrong. */
function firstComplaint(stderr: Uint8Array): string {
  const lines = new TextDecoder().decode(stderr).split("\n").filter((line) => line.trim() !== "");
  const complaint = lines.find((line) => line.startsWith("E:")) ?? lines[0] ?? "it gave no reason";
  return complaint.replace(/^[EW]:\s*/, "").trim().replace(/\.?$/, ".");
}

/**
 * The Debian mirrors that the host is configured with, in the order of its sources. apt itself reads its sources here
 * (both formats, and every place where they may be), because it lists the index addresses without fetching anything.
 *
 * @throws {AptError} if there is no apt, or no Debian mirror among its sources
 */
export async function hostMirrors(emptyState: string): Promise<string[]> {
  const listing = await run("apt-get", ["update", "--print-uris", "-o", `Dir::State::lists=${emptyState}/`]);
  const mirrors = new Set<string>();
  for (const [, base] of listing.matchAll(/^'([^']+)\/dists\/[^']*InRelease'/gm)) {
    if (base !== undefined && /\/debian$/.test(base)) mirrors.add(base);
  }
  if (mirrors.size === 0) throw new AptError("apt's sources on this machine name no Debian mirror.");
  return [...mirrors];
}

/** The host's transport settings (proxies, certificates, timeouts), as configuration text. Its hooks stay behind. */
async function hostTransport(): Promise<string> {
  const settings = await run("apt-config", ["dump", "--no-empty", "--format", '%F "%v";%n', "Acquire"]);
  return settings.split("\n").filter((line) => !line.startsWith("Acquire::IndexTargets")).join("\n");
}

/** Writes the configuration of a private apt that reads `suite` from `mirror`. */
export async function configure(apt: PrivateApt, mirror: string, suite: string): Promise<void> {
  const { directory, architecture } = apt;
  await Deno.mkdir(`${directory}/state/lists/partial`, { recursive: true });
  await Deno.mkdir(`${directory}/cache/archives/partial`, { recursive: true });
  await Deno.writeTextFile(`${directory}/status`, "");
  const keyring = await isReadable(DEBIAN_KEYRING) ? ` signed-by=${DEBIAN_KEYRING}` : "";
  await Deno.writeTextFile(
    `${directory}/sources.list`,
    `deb [arch=${architecture}${keyring}] ${mirror} ${suite} main\n`,
  );
  await Deno.writeTextFile(
    `${directory}/apt.conf`,
    `${await hostTransport()}
Dir::Etc::main "/dev/null";
Dir::Etc::parts "/dev/null";
Dir::Etc::sourcelist "${directory}/sources.list";
Dir::Etc::sourceparts "/dev/null";
Dir::Etc::preferences "/dev/null";
Dir::Etc::preferencesparts "/dev/null";
Dir::State "${directory}/state";
Dir::State::status "${directory}/status";
Dir::Cache "${directory}/cache";
Dir::Cache::pkgcache "";
Dir::Cache::srcpkgcache "";
APT::Architecture "${architecture}";
APT::Architectures { "${architecture}"; };
APT::Get::AllowUnauthenticated "false";
APT::Sandbox::User "";
Acquire::AllowInsecureRepositories "false";
Acquire::Languages { "none"; };
`,
  );
}

async function isReadable(path: string): Promise<boolean> {
  try {
    await Deno.lstat(path);
    return true;
  } catch {
    return false;
  }
}

const withConfiguration = (apt: PrivateApt) => ({ APT_CONFIG: `${apt.directory}/apt.conf` });

/** Runs apt-get in `cwd`, turning its machine-readable progress into calls of `progress` (0–100 %). */
async function fetchWith(
  apt: PrivateApt,
  args: string[],
  cwd: string,
  progress: (percent: number) => void,
): Promise<void> {
  const child = new Deno.Command("apt-get", {
    // Error-Mode: an index that can't be had is an error, not a warning that leaves an older index in use.
    args: ["-o", "APT::Status-Fd=1", "-o", "APT::Update::Error-Mode=any", "-q", ...args],
    cwd,
    env: { LC_ALL: "C", ...withConfiguration(apt) },
    stdin: "null",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
  const complaints = child.stderr.bytes();
  for await (const text of child.stdout.pipeThrough(new TextDecoderStream())) {
    for (const [, percent] of text.matchAll(/^dlstatus:\d+:([\d.]+):/gm)) progress(Number(percent));
  }
  const { success } = await child.status;
  if (!success) throw new AptError(`apt-get ${args[0]} failed: ${firstComplaint(await complaints)}`);
  await complaints;
}

/** Fetches and verifies the package index. */
export async function updateIndex(apt: PrivateApt, progress: (percent: number) => void): Promise<void> {
  await fetchWith(apt, ["update"], apt.directory, progress);
}

/** The packages that `name` depends on, by name, as the index states them. */
export async function dependencies(apt: PrivateApt, name: string): Promise<string[]> {
  const record = await run("apt-cache", ["show", "--no-all-versions", name], withConfiguration(apt));
  const depends = /^Depends: (.*)$/m.exec(record)?.[1] ?? "";
  return depends.split(/[,|]/).map((entry) => entry.trim().split(/[\s:]/)[0] ?? "").filter((entry) => entry !== "");
}

/**
 * Downloads packages into `into`; returns the .deb files. A download that was cut short continues where it stopped;
 * apt checks size and checksum against the signed index.
 */
export async function download(
  apt: PrivateApt,
  packages: string[],
  into: string,
  progress: (percent: number) => void,
): Promise<string[]> {
  await Deno.mkdir(into, { recursive: true });
  await fetchWith(apt, ["download", ...packages], into, progress);
  const files: string[] = [];
  for (const name of packages) {
    for await (const entry of Deno.readDir(into)) {
      if (entry.name.startsWith(`${name}_`) && entry.name.endsWith(".deb")) files.push(`${into}/${entry.name}`);
    }
  }
  if (files.length !== packages.length) {
    throw new AptError(`apt-get left ${files.length} of ${packages.length} packages.`);
  }
  return files;
}

/** Extracts those members of a .deb that match `patterns` (tar wildcards) into `into`. Absent members are no error. */
export async function extract(deb: string, patterns: string[], into: string): Promise<void> {
  await Deno.mkdir(into, { recursive: true });
  const archive = new Deno.Command("dpkg-deb", {
    args: ["--fsys-tarfile", deb],
    stdin: "null",
    stdout: "piped",
    stderr: "null",
  }).spawn();
  const tar = new Deno.Command("tar", {
    args: ["-xf", "-", "-C", into, "--no-same-owner", "--wildcards", ...patterns],
    stdin: "piped",
    stdout: "null",
    stderr: "null",
  }).spawn();
  await archive.stdout.pipeTo(tar.stdin);
  // tar's status also reports patterns without a match, which the caller judges; a broken archive shows in dpkg-deb's.
  await tar.status;
  if (!(await archive.status).success) throw new AptError(`dpkg-deb cannot read ${deb}.`);
}
