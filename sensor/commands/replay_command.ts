/** `picket-sensor replay FILE...`: capture files through the data path of the live sensor.
 *
 * In: pcap or pcapng files, in the order of their packets; "-" is standard input. Out: segments as lines, or shipped to
 * the fleet; last the capture's account.
 * Invariant: packets = in_flows + left_out, and that account is printed however the file ends. @module */

import type { SegmentSink } from "../pipeline.ts";
import { type Command, command, CommandError, type Edges, exitCodes } from "../../shared/command.ts";
import { FirstPackets } from "../control/shipped_captures.ts";
import {
  factsOptions,
  flowOptions,
  flowSettings,
  generalOptions,
  openRing,
  ringOptionsOf,
} from "../run/common_options.ts";
import { startDeepLane } from "../run/deep_lane.ts";
import { FileSeries, filesMax } from "../run/file_series.ts";
import { openSession, type Session, sessionOptions } from "../run/session.ts";
import {
  captureHealth,
  type CaptureSource,
  type FastLane,
  type RunningDeepLane,
  type Stages,
} from "../run/stages.ts";
import type { Options } from "../../shared/options.ts";

const options = {
  flows: { kind: "flag", default: false, help: "Print every segment as one JSON object per line" },
  ship: { kind: "flag", default: false, help: "Ship the segments to the fleet this sensor is enrolled in" },
  again: {
    kind: "flag",
    default: false,
    help: "With --ship: also a capture that was shipped before; its flows count once more",
  },
  speed: {
    kind: "number",
    default: 0,
    min: 0,
    max: 1_000_000,
    help: "Replay this many times as fast as it was captured, 0 = as fast as possible",
  },
  timeoutMs: {
    kind: "number",
    default: 60_000,
    min: 0,
    help:
      "With --ship: leave the rest in the spool when nothing could be shipped for this long, ms; 0 = wait",
  },
  ...factsOptions,
  ...flowOptions,
  ...ringOptionsOf("off"),
  ...generalOptions,
  ...sessionOptions,
} as const;
type ReplayOptions = Options<typeof options>;

/** Files below this are done before anybody could read a progress bar. */
const progressBytesMin = 20_000_000;
/** Above this share of copies the counts mislead whoever reads them. */
const copiedShareMax = 0.2;
/** With --speed the pace is kept between chunks, so they must be small. */
const pacedChunkBytes = 4_096;

export function replayCommand(stages: Stages): Command {
  return command({
    name: "replay",
    summary: "flows of capture files, printed or shipped",
    operands: "FILE...",
    about:
      `Reads pcap or pcapng files, which may be compressed by gzip, zstd or LZ4, through the same code as live capture; several are
one capture, in the order given, and "-" is standard input. Prints the capture's account as one line of JSON:
{"capture": {"file", "packets", "bytes", "first", "last", "in_flows", "left_out": {reason: packets},
"remarks": {what: count}}}.
With --flows every segment comes before it, one JSON object a line. With --ship the segments are sealed, spooled and shipped to
the aggregator; the command ends when all are acknowledged. What could not be shipped stays in the spool for the next run.
A capture that was shipped before is refused, whatever it is called now.`,
    examples: [
      "replay capture.pcap --flows > flows.jsonl",
      "replay capture.pcapng --ship --state /var/lib/picket-sensor",
      "replay capture.pcap --flows --no-facts",
      "replay part-1.pcap.gz part-2.pcap.gz --flows",
      "replay - --flows < capture.pcap",
    ],
    options,
    async run(given, operands, edges) {
      if (operands.length < 1 || operands.length > filesMax) {
        throw new CommandError(
          exitCodes.usage,
          `Cannot replay as 1 to ${filesMax} files must be named: current number is ${operands.length}`,
        );
      }
      if (operands.filter((path) => path === "-").length > 1) {
        throw new CommandError(exitCodes.usage, `Cannot replay as "-" must be named once at most`);
      }
      return await new Replay(stages, given, edges).run(operands);
    },
  });
}

interface Shipped {
  batches: number;
  /** Those that wait, and those that were set aside. */
  left_in_spool: number;
  set_aside?: number;
  dropped?: number;
}

class Replay {
  readonly #stages: Stages;
  readonly #options: ReplayOptions;
  readonly #edges: Edges;
  readonly #ring: ReturnType<typeof openRing>;
  #state: "replaying" | "idle" = "replaying";
  /** Of the capture that is being shipped. */
  #digest: string | null = null;

  constructor(stages: Stages, options: ReplayOptions, edges: Edges) {
    this.#stages = stages;
    this.#options = options;
    this.#edges = edges;
    this.#ring = openRing(options);
  }

  async run(paths: readonly string[]): Promise<number> {
    const { clock, reporter } = this.#edges;
    let session: Session | null = null;
    const sink: SegmentSink = {
      take: async (page) => {
        if (this.#options.flows && page.length > 0) {
          const lines = Array.from({ length: page.length }, (_, i) => JSON.stringify(page.object(i)));
          this.#edges.print(lines.join("\n"));
        }
        await session?.outbox.take(page);
      },
    };
    // The files are opened before anything else starts, so that a wrong name is said at once.
    const chunkBytes = this.#options.speed > 0 ? pacedChunkBytes : undefined;
    const files = paths.map((path) => this.#stages.fileSource(path, chunkBytes));
    const source = files.length === 1 ? files[0] : new FileSeries(files);
    await source.start();
    const deepLane = await startDeepLane(
      this.#stages,
      this.#options,
      { live: false, keyPath: null },
      this.#edges,
    ).catch(async (error) => {
      await source.close();
      throw error;
    });
    const fastLane = this.#stages.fastLane({ live: false, flow: flowSettings(this.#options) }, {
      sink,
      reporter,
      clock,
      deepLane,
      ring: this.#ring,
    });
    const first = new FirstPackets(fastLane);
    source.attach(this.#options.ship ? first : fastLane);
    try {
      if (this.#options.ship) {
        // Nothing leaves the fast lane before its first turn, so that there is time to look.
        while (!first.isWhole && await source.next());
        session = await this.#openSession(source, fastLane, deepLane);
        await this.#recognise(session, first.digest(), source.name);
      }
      await session?.start();
      await this.#feed(source, fastLane);
      await fastLane.finish();
    } finally {
      await source.close();
      await deepLane?.stop();
    }
    this.#state = "idle";
    return await this.#conclude(source, fastLane, session);
  }

  async #openSession(
    source: CaptureSource,
    fastLane: FastLane,
    deepLane: RunningDeepLane | null,
  ): Promise<Session> {
    const capture = () => captureHealth(this.#state, source, fastLane, deepLane);
    const { disk } = this.#stages;
    return await openSession({ live: false }, this.#options, this.#edges, {
      disk,
      capture,
      ring: this.#ring,
    });
  }

  /** Refuses a capture that was shipped before, and notes this one. */
  async #recognise(session: Session, digest: string | null, file: string): Promise<void> {
    if (digest === null) return;
    const { shipped } = session;
    await shipped.start();
    const before = shipped.find(digest);
    const when = before && `${new Date(before.at_ms).toISOString().slice(0, 19)}Z, as ${before.file}`;
    if (before?.whole && !this.#options.again) {
      const rest = await this.#shipRest(session);
      throw new CommandError(
        exitCodes.failed,
        `Cannot ship ${file} as it was shipped on ${when}: its flows would be counted twice. --again ships it nevertheless${rest}`,
      );
    }
    if (before && !before.whole) {
      this.#edges.reporter.warn("a part of this capture was shipped before, its flows may be counted twice", {
        when,
      });
    }
    this.#digest = digest;
    await this.#noteCapture(session, file, false);
  }

  /** What of it still waits in the spool needs no second reading; says so. */
  async #shipRest(session: Session): Promise<string> {
    const waiting = await session.waiting();
    if (waiting === 0) {
      session.release();
      return "";
    }
    await session.start();
    const { left_in_spool } = await this.#ship(session);
    return `; of ${waiting} batches that waited in the spool, ${left_in_spool} are left`;
  }

  async #noteCapture({ shipped }: Session, file: string, whole: boolean): Promise<void> {
    const { clock, reporter } = this.#edges;
    if (this.#digest === null) return;
    await shipped.add({ digest: this.#digest, file, at_ms: clock.nowMs(), whole }).catch((error) => {
      reporter.count("shipped_captures_errors_total");
      reporter.warn("cannot note this capture, it will not be recognised", { error: error.message });
    });
  }

  async #feed(source: CaptureSource, fastLane: FastLane): Promise<void> {
    const { signal, progress, clock } = this.#edges;
    const total = source.bytesTotal ?? 0;
    const isShown = progress !== null && total >= progressBytesMin;
    const startedMs = clock.monotonicMs();
    let shownMs = 0;
    while (!signal.aborted && await source.next()) {
      await fastLane.turn();
      if (this.#options.speed > 0) await this.#keepPace(fastLane, startedMs);
      const nowMs = clock.monotonicMs();
      if (isShown && nowMs - shownMs > 200) {
        shownMs = nowMs;
        progress(bar("replay", source.bytesRead / total, (nowMs - startedMs) / 1_000));
      }
    }
    if (isShown) progress("");
  }

  /** Waits until the capture's own time, divided by the speed, has passed. */
  async #keepPace(fastLane: FastLane, startedMs: number): Promise<void> {
    const { first, last } = fastLane.summary("");
    if (first === null || last === null) return;
    const { clock, signal } = this.#edges;
    const dueMs = startedMs + (last - first) * 1_000 / this.#options.speed;
    if (dueMs > clock.monotonicMs()) await clock.sleep(dueMs - clock.monotonicMs(), signal);
  }

  /** Says how it ended, ships what is left, prints the account. */
  async #conclude(source: CaptureSource, fastLane: FastLane, session: Session | null): Promise<number> {
    const { reporter, signal, print } = this.#edges;
    const summary = fastLane.summary(source.name);
    const isInterrupted = signal.aborted;
    if (session && !isInterrupted) await this.#noteCapture(session, source.name, true);
    const shipped = session ? await this.#ship(session) : null;
    const note = source.problem?.code ?? (isInterrupted ? "interrupted" : null);
    if (source.problem) reporter.warn(`${source.name}: ${source.problem.message}`);
    const copied = summary.remarks.packets_copied ?? 0;
    if (copied > copiedShareMax * summary.packets) {
      reporter.warn(
        "many packets are copies of others, as a mirror port makes them; flows count each of them",
        {
          packets: summary.packets,
          copied,
        },
      );
    }
    print(
      JSON.stringify({
        capture: note === null ? summary : { ...summary, note },
        ...(shipped === null ? {} : { shipped }),
      }),
    );
    if (shipped !== null) {
      const { left_in_spool, set_aside = 0, dropped = 0 } = shipped;
      if (left_in_spool > set_aside) return exitCodes.environment;
      if (set_aside > 0 || dropped > 0) return exitCodes.failed;
    }
    if (note === null || note === "cut_capture") return exitCodes.ok;
    const isUsed = note === "bad_record" || note === "bad_block" || note === "bad_compression";
    return isUsed && summary.packets > 0 ? exitCodes.ok : exitCodes.failed;
  }

  async #ship(session: Session): Promise<Shipped> {
    const { reporter, signal } = this.#edges;
    await session.outbox.flush();
    const isDone = await this.#drain(session, signal);
    const problem = session.shipper.problem;
    await session.stop();
    const { batches, setAside, droppedBatches } = session.spool;
    const sealed = session.shipper.sentBatches + batches + setAside + droppedBatches;
    if (sealed === 0 && this.#digest) await session.shipped.forget(this.#digest).catch(() => {});
    const shipped = {
      batches: session.shipper.sentBatches,
      left_in_spool: batches + setAside,
      ...(setAside > 0 ? { set_aside: setAside } : {}),
      ...(droppedBatches > 0 ? { dropped: droppedBatches } : {}),
    };
    if (setAside > 0 || droppedBatches > 0) {
      reporter.error(
        "not everything was shipped: batches were set aside in the spool's quarantine, or dropped",
        {
          set_aside: setAside,
          dropped: droppedBatches,
        },
      );
    }
    if (!isDone || batches > 0) {
      reporter.error("not everything was shipped, the rest stays in the spool for the next run", {
        batches,
        why: problem?.message ?? (signal.aborted ? "interrupted" : "time limit"),
      });
    }
    return shipped;
  }

  /** Waits for the last acknowledgement, and says how far it is. */
  async #drain(session: Session, signal: AbortSignal): Promise<boolean> {
    const done = new AbortController();
    const shown = this.#showShipping(session, done.signal);
    try {
      return await this.#drained(session, signal);
    } finally {
      done.abort();
      await shown;
    }
  }

  async #showShipping({ shipper, spool }: Session, done: AbortSignal): Promise<void> {
    const { clock, progress, reporter } = this.#edges;
    const startedMs = clock.monotonicMs();
    for (let nextMs = progress ? 200 : 5_000; !done.aborted;) {
      await clock.sleep(nextMs, done);
      if (done.aborted) break;
      const { batches } = spool, sent = shipper.sentBatches;
      const seconds = (clock.monotonicMs() - startedMs) / 1_000;
      if (progress) progress(bar("ship", sent / Math.max(1, sent + batches), seconds));
      else reporter.info("waiting for acknowledgements", { acknowledged: sent, waiting: batches });
      if (!progress) nextMs = Math.min(60_000, nextMs * 2);
    }
    progress?.("");
  }

  /** As long as there is progress now and then. */
  async #drained(session: Session, signal: AbortSignal): Promise<boolean> {
    const { clock } = this.#edges;
    const limitMs = this.#options.timeoutMs;
    let sent = session.shipper.sentBatches;
    for (;;) {
      const given = new AbortController();
      const abort = () => given.abort();
      signal.addEventListener("abort", abort, { once: true });
      if (signal.aborted) abort();
      if (limitMs > 0) clock.sleep(limitMs, given.signal).then(abort);
      const isDone = await session.outbox.drained(given.signal);
      signal.removeEventListener("abort", abort);
      abort();
      const hasProgress = session.shipper.sentBatches > sent;
      sent = session.shipper.sentBatches;
      if (isDone || signal.aborted || !hasProgress) return isDone;
    }
  }
}

function bar(what: string, share: number, seconds: number): string {
  const filled = Math.round(Math.min(1, share) * 30);
  const percent = String(Math.floor(Math.min(1, share) * 100)).padStart(3);
  return `${what} [${"#".repeat(filled)}${"-".repeat(30 - filled)}] ${percent} % ${seconds.toFixed(1)} s`;
}
