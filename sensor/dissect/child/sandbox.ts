/** Walls around a dissector child: no network, no capability, no gain of privilege, bounded memory and time.
 *
 * In: which of util-linux's `unshare`, `prlimit` and `setpriv` work here, for this user. Out: the command line to put before tshark's.
 * Invariant: each wall is tried before it is relied on; what is in force is named for the health report, never assumed.
 * Why by tools: Deno cannot drop capabilities of a child; each tool runs the next in its own place, so the process id stays the child's.
 * @module */

/** Runs a command to its end; true when it exited with 0. False too when it may not be run. */
export type TryCommand = (command: string, args: readonly string[]) => Promise<boolean>;

export interface Sandbox {
  /** Words to put before the command, "" = none. */
  readonly prefix: readonly string[];
  /** Names of the walls in force: "network", "memory", "user", "capabilities", "privileges". */
  readonly walls: readonly string[];
}

export interface SandboxLimits {
  memoryBytesMax: number;
  cpuSecondsMax: number;
}

const nobody = 65_534;

/** Walls of one kind, strongest first; the first that works is taken. */
function candidates(limits: SandboxLimits): { walls: string[]; command: string[] }[][] {
  const bounds = [
    `--as=${limits.memoryBytesMax}`,
    `--cpu=${limits.cpuSecondsMax}`,
    "--core=0",
    "--nofile=64",
  ];
  const drop = ["--no-new-privs", "--inh-caps=-all", "--ambient-caps=-all"];
  const user = [`--reuid=${nobody}`, `--regid=${nobody}`, "--clear-groups"];
  return [
    [
      { walls: ["network"], command: ["unshare", "--net", "--ipc"] },
      { walls: ["network"], command: ["unshare", "--user", "--net", "--ipc"] },
    ],
    [{ walls: ["memory", "time"], command: ["prlimit", ...bounds] }],
    [
      {
        walls: ["user", "capabilities", "privileges"],
        command: ["setpriv", ...user, "--bounding-set=-all", ...drop],
      },
      { walls: ["capabilities", "privileges"], command: ["setpriv", "--bounding-set=-all", ...drop] },
      { walls: ["capabilities", "privileges"], command: ["setpriv", ...drop] },
      { walls: ["privileges"], command: ["setpriv", "--no-new-privs"] },
    ],
  ];
}

/** Finds the walls that work here, by running each before a harmless `setpriv --version`. */
export async function findSandbox(limits: SandboxLimits, tryCommand: TryCommand): Promise<Sandbox> {
  const prefix: string[] = [];
  const walls: string[] = [];
  for (const kind of candidates(limits)) {
    for (const candidate of kind) {
      const [command, ...args] = [...prefix, ...candidate.command, "setpriv", "--version"];
      if (!await tryCommand(command, args)) continue;
      prefix.push(...candidate.command);
      walls.push(...candidate.walls);
      break;
    }
  }
  return { prefix, walls };
}
