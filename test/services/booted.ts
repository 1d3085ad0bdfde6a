/** A Debian with a real systemd as its first process, for tests of units and packages.
 *
 * In: files to lay into it before it boots. Out: `run` for commands inside; the process ids inside as seen from here.
 * Invariant: every machine starts as debootstrap left it, in an overlay of its own that goes with it; when the test run
 * ends in any way, so does the machine.
 * What debootstrap made is kept in `.cache/booted`, so that only the first run takes its minute.
 * Why systemd-nspawn and not a container image: the units are tested, so what starts them must be what starts them in
 * the field. It has no cgroup of the memory controller, so MemoryMax is not enforced in it;
 * the limits of a process are. @module */

import { fileURLToPath } from "node:url";
import { findProgram, GuardedChild } from "./guarded_child.ts";

const suite = "bookworm";
const packages = ["ca-certificates", "dbus", "iproute2", "systemd", "systemd-sysv", "tshark"];
const cacheFolder = fileURLToPath(new URL("../../.cache/booted", import.meta.url));
const image = `${cacheFolder}/${suite}-${packages.join("-")}`;
const bootTimeoutMs = 60_000;
const commandTimeoutMs = 60_000;
const makeTimeoutMs = 600_000;

export interface Ran {
  code: number;
  stdout: string;
  stderr: string;
}

/** Why no machine can be booted here; undefined = one can. Makes the image when there is none. */
export async function missingForBoot(): Promise<string | undefined> {
  if (Deno.uid() !== 0) return "booting a machine needs root";
  for (const program of ["systemd-nspawn", "debootstrap", "nsenter", "unshare"]) {
    if (!await findProgram(program)) {
      return `${program} is not installed (apt: systemd-container debootstrap util-linux)`;
    }
  }
  if (await Deno.stat(`${image}/etc/os-release`).then(() => true, () => false)) return undefined;
  return await makeImage();
}

async function makeImage(): Promise<string | undefined> {
  await Deno.mkdir(cacheFolder, { recursive: true });
  const part = `${cacheFolder}/.part-${crypto.randomUUID()}`;
  const made = await execute("debootstrap", [
    "--variant=minbase",
    `--include=${packages.join(",")}`,
    suite,
    part,
  ], makeTimeoutMs);
  if (made.code !== 0) {
    await Deno.remove(part, { recursive: true }).catch(() => undefined);
    return `debootstrap failed: ${made.stdout.trim().slice(-500)}`;
  }
  await Deno.remove(`${part}/var/cache/apt`, { recursive: true }).catch(() => undefined);
  // Two test files may make it at once; the first rename wins.
  await Deno.rename(part, image).catch(() => Deno.remove(part, { recursive: true }));
  return undefined;
}

/** A running machine. */
export class Booted {
  readonly #child: GuardedChild;
  readonly #folder: string;
  #leader = 0;

  constructor(folder: string) {
    this.#folder = folder;
    // The overlay lives in a mount namespace of its own, so nothing is left mounted whoever dies.
    const script = `
mount -t overlay overlay -o lowerdir="$1",upperdir="$2/upper",workdir="$2/work" "$2/root" || exit 1
# nspawn that is killed leaves what it booted behind: that goes first.
trap 'kill -KILL $(cat /proc/$machine/task/$machine/children) $machine; exit' TERM INT HUP
code=133 # It wants to boot again.
while [ $code = 133 ]; do
  setpriv --pdeathsig KILL systemd-nspawn -D "$2/root" --boot --register=no --keep-unit --private-network --link-journal=no \\
    --console=pipe --capability=CAP_NET_RAW,CAP_NET_ADMIN &
  machine=$!
  wait $machine
  code=$?
done`;
    this.#child = new GuardedChild({
      command: "unshare",
      args: ["--mount", "--propagation", "private", "bash", "-c", script, "machine", image, folder],
      folder,
    });
  }

  /** Boots a machine with `files`, from a path here to a path inside. */
  static async boot(files: Record<string, string>): Promise<Booted> {
    const folder = await Deno.makeTempDir({ dir: cacheFolder, prefix: "run-" });
    for (const part of ["upper", "work", "root"]) await Deno.mkdir(`${folder}/${part}`);
    for (const [from, to] of Object.entries(files)) {
      const path = `${folder}/upper${to}`;
      await Deno.mkdir(path.slice(0, path.lastIndexOf("/")), { recursive: true });
      await Deno.copyFile(from, path);
    }
    const machine = new Booted(folder);
    await machine.#child.waitUntilReady("the machine", () => machine.#isUp(), bootTimeoutMs);
    return machine;
  }

  async #isUp(): Promise<boolean> {
    this.#leader ||= await leaderOf(`${this.#folder}/root`);
    if (this.#leader === 0) return false;
    const { stdout } = await this.run("systemctl is-system-running");
    return /^(running|degraded)/.test(stdout);
  }

  /** Runs a shell command inside, as root. */
  run(command: string): Promise<Ran> {
    const clean = ["env", "-i", "HOME=/root", "LC_ALL=C.UTF-8", `PATH=${insidePath}`, "sh", "-c", command];
    return execute("nsenter", ["-t", String(this.#leader), "-a", ...clean], commandTimeoutMs);
  }

  /** The same; fails the test when the command does. */
  async must(command: string): Promise<string> {
    const { code, stdout, stderr } = await this.run(command);
    if (code !== 0) throw new Error(`${command}: exit status ${code}\n${stdout}\n${stderr}`);
    return stdout;
  }

  /** Runs a program of this machine in the network of that one. */
  async onItsNetwork(program: string, ...args: string[]): Promise<Ran> {
    return await execute("nsenter", ["-t", String(this.#leader), "-n", program, ...args], commandTimeoutMs);
  }

  /** Runs `command` until it succeeds and prints what matches. @throws {Error} with what it printed last. */
  async until(command: string, pattern: RegExp, seconds: number): Promise<string> {
    const end = performance.now() + seconds * 1_000;
    for (;;) {
      const { code, stdout, stderr } = await this.run(command);
      if (code === 0 && pattern.test(stdout)) return stdout;
      if (performance.now() > end) {
        throw new Error(`${command}: not ${pattern} within ${seconds} s, but\n${stdout}\n${stderr}`);
      }
      await new Promise((resolve) => setTimeout(resolve, 200));
    }
  }

  /** Process ids inside, as numbered there, of programs of this name. */
  async pidsOf(name: string): Promise<number[]> {
    const { stdout } = await this.run(
      `grep -lx ${name} /proc/[0-9]*/comm 2>/dev/null | sed 's,/proc/,,; s,/comm,,'`,
    );
    return stdout.split("\n").filter(Boolean).map(Number);
  }

  /** Shuts down in order and boots again: the same disk, another network. */
  async reboot(): Promise<void> {
    await this.run("systemctl reboot --no-block");
    const leader = this.#leader;
    const end = performance.now() + bootTimeoutMs;
    while (await Deno.stat(`/proc/${leader}`).then(() => true, () => false)) {
      if (performance.now() > end) throw new Error("It did not shut down");
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
    this.#leader = 0;
    while (!await this.#isUp()) {
      if (performance.now() > end) throw new Error("It did not boot again");
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
  }

  async stop(): Promise<void> {
    await this.#child.stop();
  }
}

const insidePath = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/** The first process of the machine with this root, numbered as here; 0 = not yet. */
async function leaderOf(root: string): Promise<number> {
  for await (const { name } of Deno.readDir("/proc")) {
    if (!/^\d+$/.test(name)) continue;
    const command = await Deno.readTextFile(`/proc/${name}/cmdline`).catch(() => "");
    if (!command.startsWith("systemd-nspawn\0") || !command.includes(`\0${root}\0`)) continue;
    const children = await Deno.readTextFile(`/proc/${name}/task/${name}/children`).catch(() => "");
    for (const child of children.split(" ").filter(Boolean)) {
      const status = await Deno.readTextFile(`/proc/${child}/status`).catch(() => "");
      if (/^NSpid:\t\d+\t1$/m.test(status)) return Number(child);
    }
  }
  return 0;
}

async function execute(program: string, args: string[], timeoutMs: number): Promise<Ran> {
  const { code, stdout, stderr } = await new Deno.Command(program, {
    args,
    stdin: "null",
    stdout: "piped",
    stderr: "piped",
    signal: AbortSignal.timeout(timeoutMs),
  }).output();
  return { code, stdout: new TextDecoder().decode(stdout), stderr: new TextDecoder().decode(stderr) };
}
