/** Starts a program that cannot outlive the test run.
 *
 * In: a command, a folder of its own, a log file in that folder. Out: `exited`, `stop()`, the log's last lines.
 * Invariant: when the owner ends in any way (also by SIGKILL or Ctrl-C),
 * the program ends too and its folder is removed.
 * Why: the guard is a shell whose standard input is a pipe from us. The kernel closes that pipe when we die, whatever
 * killed us, and the end of input is the guard's order to stop.
 * Should the guard die first, the kernel signals the program (pdeathsig). @module */

const stopWaitTenthsMax = 100;
const logTailBytesMax = 8_000;

const guardScript = `
log=$1 folder=$2 ordered=no
shift 2
exec 3<&0
stop() {
  ordered=yes
  kill -TERM $child
  for _ in $(seq ${stopWaitTenthsMax}); do kill -0 $child || return; sleep 0.1; done
  kill -KILL $child
}
setpriv --pdeathsig TERM "$@" >>"$log" 2>&1 </dev/null 3<&- &
child=$!
trap stop TERM INT HUP
( trap - TERM INT HUP; while read -r _; do :; done <&3; kill -TERM $$ ) &
watcher=$!
wait $child
kill $watcher
wait $child
rm -rf -- "$folder"
[ $ordered = yes ] && rm -f -- "$log"
exit 0
`;

export interface GuardedChildOptions {
  command: string;
  args: readonly string[];
  /** Where the program writes; removed when it has ended. */
  folder: string;
  env?: Record<string, string>;
}

export class GuardedChild {
  readonly #guard: Deno.ChildProcess;
  readonly #logPath: string;
  readonly #folder: string;
  #ended = false;
  #stopping: Promise<void> | undefined;

  constructor(options: GuardedChildOptions) {
    this.#folder = options.folder;
    // The log lies beside the folder, so that it can still be read after a start that failed.
    this.#logPath = `${options.folder}.log`;
    this.#guard = new Deno.Command("setsid", {
      // Deno kills its direct children when a test file's worker ends;
      // the guard must live on to clear up, so it is a grandchild.
      args: [
        "--fork",
        "--wait",
        "bash",
        "-c",
        guardScript,
        "guard",
        this.#logPath,
        options.folder,
        options.command,
        ...options.args,
      ],
      stdin: "piped",
      stdout: "null",
      stderr: "null",
      ...(options.env ? { env: options.env } : {}),
    }).spawn();
    this.#guard.status.then(() => this.#ended = true);
  }

  get ended(): boolean {
    return this.#ended;
  }

  /** The process to look at in `ps`; the program itself is its child. */
  get guardPid(): number {
    return this.#guard.pid;
  }

  /** The end of what the program said, for the message of a failure. */
  async logTail(): Promise<string> {
    const text = await Deno.readTextFile(this.#logPath).catch(() => "(no log)");
    return text.slice(-logTailBytesMax);
  }

  stop(): Promise<void> {
    return this.#stopping ??= (async () => {
      await this.#guard.stdin.close().catch(() => undefined);
      await this.#guard.status;
      await Deno.remove(this.#folder, { recursive: true }).catch(() => undefined);
      await Deno.remove(this.#logPath).catch(() => undefined);
    })();
  }

  /** Waits until `isReady` says so; a program that ended or took too long is stopped and shown. */
  async waitUntilReady(name: string, isReady: () => Promise<boolean>, timeoutMs: number): Promise<void> {
    const end = performance.now() + timeoutMs;
    while (!await isReady()) {
      if (!this.#ended && performance.now() < end) {
        await new Promise((resolve) => setTimeout(resolve, 100));
        continue;
      }
      const why = this.#ended ? "it ended" : `it did not answer within ${timeoutMs} ms`;
      const tail = await this.logTail();
      await this.stop();
      throw new Error(`Cannot start ${name} as ${why}: its last lines are\n${tail}`);
    }
  }
}

/** A port nobody listens on. Below the range that the system takes for outgoing connections (from 32768), so that none
 * of those has it by the time a program listens there. */
export function freePort(): number {
  for (let tries = 0; tries < 100; tries++) {
    const port = 20_000 + Math.floor(Math.random() * 12_000);
    try {
      Deno.listen({ hostname: "127.0.0.1", port }).close();
      return port;
    } catch (error) {
      if (!(error instanceof Deno.errors.AddrInUse)) throw error;
    }
  }
  throw new Error("Cannot find a free port between 20000 and 31999: all of a hundred tried are in use");
}

/** The absolute path of a program, or undefined. */
export async function findProgram(...names: string[]): Promise<string | undefined> {
  const folders = [...(Deno.env.get("PATH") ?? "").split(":"), "/usr/sbin", "/sbin"];
  for (const name of names) {
    for (const folder of folders) {
      const path = `${folder}/${name}`;
      const isFile = await Deno.stat(path).then((info) => info.isFile, () => false);
      if (folder && isFile) return path;
    }
  }
  return undefined;
}
