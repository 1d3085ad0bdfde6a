/** Runs one program to its end and measures it: wall clock, CPU of all its processes, memory of each.
 *
 * In: a command. Out: {@link Measured}. Wall and CPU come from bash's `time`, which also counts children that were
 * waited for; memory is sampled from /proc,
 * because a program's own peak and that of the child it watches are two things.
 * What it does not mean: a process that lives for less than `sampleMs` may never be seen, so its memory may be missing.
 * @module */

export interface Sample {
  /** Octets of the capture that had been read. */
  position: number;
  residentBytes: number;
}

export interface Measured {
  wallS: number;
  /** User and system, of the whole process tree. */
  cpuS: number;
  /** Highest sum over the processes alive at once. */
  peakBytes: number;
  /** Highest of the program itself, of one child, and of all children at once. */
  ownPeakBytes: number;
  childPeakBytes: number;
  /** Children ever seen, apart from the program itself. */
  children: number;
  /** The program itself, over time. */
  samples: Sample[];
  /** The end of it, at most {@link tailBytesMax} octets: tshark prints gigabytes. */
  stdout: string;
}

const sampleMs = 50;
const tailBytesMax = 65_536;
/** A program that hangs must not take the bench with it. */
const programSecondsMax = 3_600;

/** Rejects when the command fails; what it said on standard error is in the message. */
export async function measure(
  command: readonly string[],
  options: { capture: string; cwd: string },
): Promise<Measured> {
  const quoted = command.map((word) => `'${word.replaceAll("'", `'\\''`)}'`).join(" ");
  const errors = await Deno.makeTempFile({ prefix: "picket-bench-" });
  const script = `TIMEFORMAT='%R %U %S'; time timeout ${programSecondsMax} ${quoted} 2>'${errors}'`;
  const child = new Deno.Command("bash", {
    args: ["-c", script],
    cwd: options.cwd,
    stdout: "piped",
    stderr: "piped",
    stdin: "null",
  }).spawn();
  const watch = new Watch(child.pid, await Deno.realPath(options.capture));
  const timer = setInterval(() => watch.sample(), sampleMs);
  try {
    const [{ code }, stdout, stderr] = await Promise.all([
      child.status,
      tail(child.stdout),
      tail(child.stderr),
    ]);
    const said = (await Deno.readTextFile(errors)).trim();
    if (code !== 0) throw new Error(`Cannot measure ${command[0]} as it failed with ${code}: ${said}`);
    const [wallS, user, system] = stderr.trim().split("\n").at(-1)!.split(" ").map(Number);
    return { wallS, cpuS: user + system, ...watch.result(), stdout };
  } finally {
    clearInterval(timer);
    await Deno.remove(errors);
  }
}

async function tail(stream: ReadableStream<Uint8Array>): Promise<string> {
  let kept = new Uint8Array(0);
  for await (const chunk of stream) {
    const both = new Uint8Array(kept.length + chunk.length);
    both.set(kept);
    both.set(chunk, kept.length);
    kept = both.slice(-tailBytesMax);
  }
  return new TextDecoder().decode(kept);
}

/** Looks at the processes below a shell: the first is `timeout`, the next the program itself,
 * all others are its children. */
class Watch {
  readonly #shell: number;
  readonly #capture: string;
  readonly #peaks = new Map<number, number>();
  #program = -1;
  #descriptor = -1;
  #peakBytes = 0;
  readonly #samples: Sample[] = [];

  constructor(shell: number, capture: string) {
    this.#shell = shell;
    this.#capture = capture;
  }

  sample(): void {
    const pids = below(this.#shell).slice(1);
    if (pids.length === 0) return;
    if (this.#program < 0) this.#program = pids[0];
    let sum = 0;
    for (const pid of pids) {
      const status = read(`/proc/${pid}/status`);
      const resident = kilobytes(status, "VmRSS");
      sum += resident;
      this.#peaks.set(pid, Math.max(this.#peaks.get(pid) ?? 0, kilobytes(status, "VmHWM")));
      if (pid === this.#program) this.#note(resident);
    }
    this.#peakBytes = Math.max(this.#peakBytes, sum);
  }

  result() {
    const own = this.#peaks.get(this.#program) ?? 0;
    const others = [...this.#peaks].filter(([pid]) => pid !== this.#program).map(([, peak]) => peak);
    return {
      peakBytes: Math.max(this.#peakBytes, own),
      ownPeakBytes: own,
      childPeakBytes: Math.max(0, ...others),
      children: others.length,
      samples: this.#samples,
    };
  }

  #note(residentBytes: number): void {
    if (this.#descriptor < 0) this.#descriptor = descriptorOf(this.#program, this.#capture);
    if (this.#descriptor < 0) return;
    const info = read(`/proc/${this.#program}/fdinfo/${this.#descriptor}`);
    const position = Number(/^pos:\s+(\d+)/m.exec(info)?.[1] ?? -1);
    if (position > 0) this.#samples.push({ position, residentBytes });
  }
}

function below(pid: number): number[] {
  const children = read(`/proc/${pid}/task/${pid}/children`).split(" ").filter((word) => word !== "").map(
    Number,
  );
  // A thread of the program may be the parent, not only its first.
  const threads = pid === 0 ? [] : list(`/proc/${pid}/task`).filter((name) => name !== String(pid));
  const others = threads.flatMap((thread) =>
    read(`/proc/${pid}/task/${thread}/children`).split(" ").filter((word) => word !== "").map(Number)
  );
  return [...children, ...others].flatMap((child) => [child, ...below(child)]);
}

function descriptorOf(pid: number, path: string): number {
  for (const name of list(`/proc/${pid}/fd`)) {
    try {
      if (Deno.readLinkSync(`/proc/${pid}/fd/${name}`) === path) return Number(name);
    } catch {
      // Closed in the meantime.
    }
  }
  return -1;
}

function list(folder: string): string[] {
  try {
    return [...Deno.readDirSync(folder)].map(({ name }) => name);
  } catch {
    return [];
  }
}

/** "" when the process has ended. */
function read(path: string): string {
  try {
    return Deno.readTextFileSync(path);
  } catch {
    return "";
  }
}

function kilobytes(status: string, name: string): number {
  return Number(new RegExp(`^${name}:\\s+(\\d+) kB`, "m").exec(status)?.[1] ?? 0) * 1024;
}

/** Growth of a program's memory over the second half of a capture, octets a packet: by least squares. */
export function slope(samples: readonly Sample[], captureBytes: number, packets: number): number {
  const late = samples.filter(({ position }) => position > captureBytes / 2);
  if (late.length < 3) return NaN;
  const x = late.map(({ position }) => position / captureBytes * packets);
  const y = late.map(({ residentBytes }) => residentBytes);
  const mean = (values: number[]) => values.reduce((sum, value) => sum + value, 0) / values.length;
  const middleX = mean(x), middleY = mean(y);
  const above = x.reduce((sum, value, i) => sum + (value - middleX) * (y[i] - middleY), 0);
  const under = x.reduce((sum, value) => sum + (value - middleX) ** 2, 0);
  return under === 0 ? NaN : above / under;
}
