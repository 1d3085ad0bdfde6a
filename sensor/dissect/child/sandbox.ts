/** Walls around a dissector child: which are wanted, how a child that is started here gets them,
 * and which of them stand.
 *
 * In: which of util-linux's `unshare`, `prlimit` and `setpriv` work here, for this user; the report of a child about
 * itself. Out: the words to put before the command; the walls that stand and those that are missing.
 * Invariant: a wall stands only when the child itself has shown it, from its own /proc, behind all walls, just before
 * it becomes tshark; what was asked for, or works for somebody else, counts for nothing.
 * Why by tools: Deno cannot drop capabilities of a child; each tool runs the next in its own place, so the process id
 * stays the child's. Under the shipped units none of them works, and none is needed: there a child is started by
 * systemd, see deploy/picket-dissector@.service.
 * @module */

/** Runs a command to its end; true when it exited with 0. False too when it may not be run. */
export type TryCommand = (command: string, args: readonly string[]) => Promise<boolean>;

/** No capability; no way to gain one; no network; the sensor's key out of reach; bounded memory and processor time; a
 * user of its own; a filter on system calls. */
export const wallNames = [
  "capabilities",
  "privileges",
  "network",
  "files",
  "memory",
  "time",
  "user",
  "syscalls",
] as const;
export type WallName = typeof wallNames[number];

/** Both in the order of {@link wallNames}. */
export interface Walls {
  readonly standing: readonly WallName[];
  readonly missing: readonly WallName[];
}

export interface SandboxLimits {
  memoryBytesMax: number;
  cpuSecondsMax: number;
}

/** What the child can be compared with. */
export interface OutsideWalls {
  /** The sensor's own user id; null = unknown. */
  uid: number | null;
  /** The sensor's key file; null = it has none, and there is nothing to keep from the child. */
  keyPath: string | null;
  /** Systemd starts the child: then a filter on system calls is wanted too, which no tool here can set. */
  isBehindUnit: boolean;
}

const nobody = 65_534;

/** Commands of one kind, strongest first; the first that works is taken. */
function candidates(limits: SandboxLimits): string[][][] {
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
      ["unshare", "--net", "--ipc"],
      ["unshare", "--user", "--net", "--ipc"],
    ],
    [["prlimit", ...bounds]],
    [
      ["setpriv", ...user, "--bounding-set=-all", ...drop],
      ["setpriv", "--bounding-set=-all", ...drop],
      ["setpriv", ...drop],
      ["setpriv", "--no-new-privs"],
    ],
  ];
}

/** Words to put before a command, [] = none: what works here, by running each before a harmless `setpriv --version`. */
export async function findPrefix(limits: SandboxLimits, tryCommand: TryCommand): Promise<string[]> {
  const prefix: string[] = [];
  for (const kind of candidates(limits)) {
    for (const candidate of kind) {
      const [command, ...args] = [...prefix, ...candidate, "setpriv", "--version"];
      if (!await tryCommand(command, args)) continue;
      prefix.push(...candidate);
      break;
    }
  }
  return prefix;
}

/** Shell commands by which a child shows its walls; they print lines and an empty one. */
export function reportCommands(keyPath: string | null): string {
  return [
    "grep -E '^(Uid|Cap(Prm|Eff|Amb)|NoNewPrivs|Seccomp):' /proc/self/status",
    "grep -E '^Max (address space|cpu time) ' /proc/self/limits",
    // One line for each interface but loopback; a list that cannot be read has no end either.
    "grep : /proc/self/net/dev | grep -v '^ *lo:' | sed 's/:.*//; s/^ */Interface: /'",
    "[ -r /proc/self/net/dev ] && echo 'Interfaces: shown'",
    `if [ -r ${quote(keyPath ?? "")} ]; then echo 'Key: readable'; else echo 'Key: hidden'; fi`,
    "echo",
  ].join("; ");
}

/** Reads the report of a child. */
export function wallsIn(report: string, outside: OutsideWalls): Walls {
  const shows = (line: RegExp) => line.test(report);
  const uid = /^Uid:\s+(\d+)\s/m.exec(report);
  const stands: Record<WallName, boolean> = {
    capabilities: ["CapPrm", "CapEff", "CapAmb"].every((set) => shows(RegExp(`^${set}:\\s+0+$`, "m"))),
    privileges: shows(/^NoNewPrivs:\s+1$/m),
    network: shows(/^Interfaces: shown$/m) && !shows(/^Interface: /m),
    files: shows(/^Key: hidden$/m),
    memory: shows(/^Max address space +\d+ /m),
    time: shows(/^Max cpu time +\d+ /m),
    user: uid !== null && outside.uid !== null && Number(uid[1]) !== outside.uid,
    syscalls: shows(/^Seccomp:\s+2$/m),
  };
  const hasKey = outside.keyPath !== null;
  const isWanted = (name: WallName) =>
    name === "syscalls" ? outside.isBehindUnit : name === "files" || name === "user" ? hasKey : true;
  return {
    standing: wallNames.filter((name) => stands[name] && (name !== "files" || hasKey)),
    missing: wallNames.filter((name) => !stands[name] && isWanted(name)),
  };
}

/** One word of a shell command. */
export function quote(word: string): string {
  return `'${word.replaceAll("'", `'\\''`)}'`;
}
