/** What the kernel counts for each interface, beside what is captured on it: a loss in the card is seen nowhere else.
 *
 * In: names of interfaces. Out: totals since `start`;
 * null for what has none (as "any"), or where /sys is not mounted: unknown, not zero.
 * Invariant: nothing depends on it;
 * a counter that falls, as those of an interface that went and came do, goes on from there.
 * Meaning: while somebody captures, `rx_dropped` counts no frame of an unknown protocol (measured: 1,000 of 1,000
 * without a capture, none with one), so that dropped + missed + fifo never reached a capture. libpcap adds missed and
 * fifo in the same way.
 * Why `cat`: Deno opens /proc and /sys to nobody below --allow-all; `dumpcap -S` counts for a handle of its own; `ip`
 * (iproute2) gives up under the shipped unit, where it cannot drop its capabilities. A reading takes 2 ms.
 * @module */

import type { Clock } from "../../shared/clock.ts";
import type { InterfaceCounters } from "../../shared/control.ts";
import type { Reporter } from "../../shared/reporter.ts";

const counterNames = ["rx_packets", "tx_packets", "rx_dropped", "rx_missed", "rx_fifo", "rx_errors"] as const;
export type Counters = Record<typeof counterNames[number], number>;

const fileNames: Record<typeof counterNames[number], string> = {
  rx_packets: "rx_packets",
  tx_packets: "tx_packets",
  rx_dropped: "rx_dropped",
  rx_missed: "rx_missed_errors",
  rx_fifo: "rx_fifo_errors",
  rx_errors: "rx_errors",
};

/** Reads one interface; null = it has no counters. Rejects when nothing can be read here at all. */
export type ReadCounters = (name: string) => Promise<Counters | null>;

const intervalMs = 5_000;
/** The check-in takes as many. */
export const interfacesMax = 16;

export class InterfaceWatch {
  #names: readonly string[];
  #read: ReadCounters;
  #clock: Clock;
  #reporter: Reporter;
  #before = new Map<string, Counters>();
  #totals = new Map<string, InterfaceCounters>();
  #stopping = new AbortController();
  #running: Promise<void> | null = null;

  constructor(names: readonly string[], deps: { clock: Clock; reporter: Reporter; read?: ReadCounters }) {
    this.#names = names.slice(0, interfacesMax);
    this.#clock = deps.clock;
    this.#reporter = deps.reporter;
    this.#read = deps.read ?? readCounters;
  }

  /** Totals of the interfaces that have counters. */
  get totals(): readonly InterfaceCounters[] {
    return [...this.#totals.values()];
  }

  /** Takes the first reading, and goes on. Never rejects. */
  async start(): Promise<void> {
    if (await this.update()) this.#running = this.#watch();
  }

  /** Ends with a last reading: whoever asks afterwards gets no total that is seconds old. */
  async stop(): Promise<void> {
    this.#stopping.abort();
    await this.#running;
    if (this.#running !== null) await this.update();
    this.#running = null;
  }

  /** Takes a reading now; false = there are none to be had. */
  async update(): Promise<boolean> {
    try {
      for (const name of this.#names) this.#add(name, await this.#read(name));
    } catch (error) {
      this.#reporter.count("interface_counter_errors_total");
      this.#reporter.warn("cannot read the counters of interfaces, drops of the card are not seen", {
        problem: (error as Error).message,
      });
      return false;
    }
    return true;
  }

  async #watch(): Promise<void> {
    const { signal } = this.#stopping;
    while (!signal.aborted) {
      await this.#clock.sleep(intervalMs, signal);
      // One that fails now was there before: the next may do.
      if (!signal.aborted) await this.update();
    }
  }

  #add(name: string, now: Counters | null): void {
    if (now === null) return;
    const before = this.#before.get(name) ?? now;
    const zeros = Object.fromEntries(counterNames.map((counter) => [counter, 0])) as Counters;
    const total = this.#totals.get(name) ?? { name, ...zeros };
    for (const counter of counterNames) {
      total[counter] += now[counter] >= before[counter] ? now[counter] - before[counter] : now[counter];
    }
    this.#totals.set(name, total);
    this.#before.set(name, now);
  }
}

/** Asks the kernel's own files, one a counter. */
async function readCounters(name: string): Promise<Counters | null> {
  if (!/^[^/\s]{1,15}$/.test(name) || name === "." || name === "..") return null;
  const args = counterNames.map((counter) => `/sys/class/net/${name}/statistics/${fileNames[counter]}`);
  const silent = { stdin: "null", stdout: "piped", stderr: "null" } as const;
  const { success, stdout } = await new Deno.Command("cat", { args, ...silent }).output();
  return success ? countersIn(new TextDecoder().decode(stdout)) : null;
}

/** The counters in the lines of the files; null when they are not there. */
export function countersIn(text: string): Counters | null {
  const lines = text.trimEnd().split("\n");
  if (lines.length !== counterNames.length || !lines.every((line) => /^\d{1,20}$/.test(line))) return null;
  const counters = Object.fromEntries(counterNames.map((counter, i) => [counter, Number(lines[i])]));
  return Object.values(counters).every(Number.isSafeInteger) ? counters as Counters : null;
}
