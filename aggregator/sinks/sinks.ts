/** All sinks of an aggregator: read from one file, started, reloaded, asked how they are.
 *
 * In: the file of sinks. Out: one sender per sink and one teller for all. Invariant: a file that cannot be used on a
 * reload leaves the sinks as they were; a sink that fails or hangs does not hold up the others. @module */

import type { Clock } from "../../shared/clock.ts";
import type { Reporter } from "../../shared/reporter.ts";
import type { OutboxMessage } from "../model/message.ts";
import type { LeaseStore, SinkStore, ThreatStore } from "../store/store.ts";
import { email } from "./email.ts";
import { fileSink } from "./file.ts";
import { blankMessage } from "./message.ts";
import { type MakeReport, Reports } from "./reports.ts";
import { type Receiver, Sender, sendWithin } from "./sender.ts";
import { readSinkSettings, reportOf, type Secret, type SinkSettings } from "./settings.ts";
import { syslog } from "./syslog.ts";
import { Teller, type TellerDeps, tellerLease } from "./teller.ts";
import { webhook } from "./webhook.ts";

const fileOctetsMax = 1024 * 1024;
const secretOctetsMax = 64 * 1024;
const tellEveryMs = 5_000;
const standbyMs = 15_000;
const stopMsMax = 3_000;

/** The file, or a secret it names, cannot be used. */
export class BadSinks extends Error {
  override name = "BadSinks";
}

export interface SinkStatus {
  name: string;
  kind: SinkSettings["kind"];
  severity_min: SinkSettings["severity_min"];
  /** Messages that wait, digests that fill included. */
  waiting: number;
  dead: number;
  /** When the oldest that waits was made. */
  oldest_ms: number | null;
  last_sent_ms: number | null;
  /** Why what waits could not be sent; null = nothing failed. */
  problem: string | null;
}

export interface SinksDeps extends Pick<TellerDeps, "sensor"> {
  store: LeaseStore & SinkStore & Pick<ThreatStore, "readThreats">;
  holder: string;
  clock: Clock;
  reporter: Reporter;
  randomBytes: (length: number) => Uint8Array;
  env: (name: string) => string | undefined;
  hostname: () => string;
  makeReport: MakeReport;
}

interface Running {
  settings: SinkSettings;
  receiver: Receiver;
  sender: Sender;
}

export class Sinks {
  readonly #path: string;
  readonly #deps: SinksDeps;
  readonly #stopping = new AbortController();
  #running: Running[] = [];
  #telling: Promise<void> | null = null;
  /** The last reload: two at once would leave senders running that nobody stops. */
  #reloading: Promise<void> = Promise.resolve();

  /** `path` "" = there are none. */
  constructor(path: string, deps: SinksDeps) {
    this.#path = path;
    this.#deps = deps;
  }

  /** @throws {BadSinks} */
  async start(): Promise<void> {
    if (this.#path === "") return;
    await this.#use(await this.#read());
    this.#telling = this.#tell();
  }

  /** Reads the file again. */
  async reload(): Promise<void> {
    if (this.#path === "") return;
    this.#reloading = this.#reloading.then(() => this.#readAgain());
    await this.#reloading;
  }

  async #readAgain(): Promise<void> {
    try {
      await this.#use(await this.#read());
      this.#deps.reporter.info("sinks read", { sinks: this.#running.length });
    } catch (error) {
      this.#deps.reporter.count("sink_reloads_failed_total");
      this.#deps.reporter.error("cannot use the file of sinks, the old sinks stay", { error });
    }
  }

  async stop(): Promise<void> {
    const { store, holder, clock } = this.#deps;
    this.#stopping.abort();
    const given = new AbortController();
    await Promise.race([this.#telling, clock.sleep(stopMsMax, given.signal)]);
    given.abort();
    await Promise.all(this.#running.map(({ sender }) => sender.stop()));
    if (this.#path !== "") await store.releaseLease(tellerLease, holder).catch(() => undefined);
  }

  async status(): Promise<SinkStatus[]> {
    const counts = new Map((await this.#deps.store.countMessages()).map((row) => [row.sink, row]));
    return this.#running.map(({ settings: { name, kind, severity_min } }) => {
      const { waiting = 0, dead = 0, oldest_ms = null, last_sent_ms = null, reason = "" } =
        counts.get(name) ?? {};
      return { name, kind, severity_min, waiting, dead, oldest_ms, last_sent_ms, problem: reason || null };
    });
  }

  /** Of this process; the sinks of another one may be better off. */
  areWell(): boolean {
    return this.#running.every(({ sender }) => !sender.isFailing);
  }

  /** Newest first; null = there is no such sink. */
  async dead(name: string, limit: number): Promise<OutboxMessage[] | null> {
    if (!this.#running.some(({ settings }) => settings.name === name)) return null;
    return await this.#deps.store.readDeadMessages(name, limit);
  }

  /** Sends a test message past the outbox. Null = there is no such sink; else "" or why it failed. */
  async test(name: string): Promise<string | null> {
    const { clock, randomBytes, reporter } = this.#deps;
    const found = this.#running.find(({ settings }) => settings.name === name);
    if (!found) return null;
    const message = blankMessage(randomBytes(8).toHex(), "test", clock.nowMs());
    try {
      await sendWithin({ receiver: found.receiver, clock }, message);
      return "";
    } catch (error) {
      reporter.count("sink_failures_total", { sink: name });
      return (error as Error).message || "no reason given";
    }
  }

  async #read(): Promise<{ settings: SinkSettings; receiver: Receiver }[]> {
    const read = readSinkSettings(await readShort(this.#path, fileOctetsMax));
    if (!read.ok) throw new BadSinks(read.problems.join("\n"));
    return await Promise.all(
      read.sinks.map(async (settings) => ({ settings, receiver: await this.#receiverOf(settings) })),
    );
  }

  async #use(sinks: readonly { settings: SinkSettings; receiver: Receiver }[]): Promise<void> {
    // They stay listed until the new ones replace them: without sinks the teller would tick off untold changes.
    await Promise.all(this.#running.map(({ sender }) => sender.stop()));
    if (this.#stopping.signal.aborted) return;
    this.#running = sinks.map(({ settings, receiver }) => {
      const sender = new Sender({ ...this.#deps, sink: settings.name, receiver });
      sender.start();
      return { settings, receiver, sender };
    });
    this.#deps.reporter.gauge("sinks", sinks.length);
  }

  async #receiverOf(settings: SinkSettings): Promise<Receiver> {
    const { clock, hostname, makeReport } = this.#deps;
    const secretOf = async (secret: Secret | undefined) =>
      secret === undefined ? null : await this.#secret(secret);
    const caOf = async (path: string | undefined) =>
      path === undefined ? null : await readShort(path, secretOctetsMax);
    switch (settings.kind) {
      case "webhook": {
        const url = typeof settings.url === "string" ? settings.url : await this.#secret(settings.url);
        if (!URL.canParse(url) || !/^https?:$/.test(new URL(url).protocol)) {
          throw new BadSinks(`Cannot use sink "${settings.name}" as "url" must be like "https://host/path"`);
        }
        const { template, private: mayBePrivate } = settings;
        return webhook({ url, secret: await secretOf(settings.secret), template, mayBePrivate }, { clock });
      }
      case "email":
        return email(settings, {
          password: await secretOf(settings.password),
          ca: await caOf(settings.ca_file),
          makeReport,
        });
      case "syslog":
        return syslog(settings, { ca: await caOf(settings.ca_file), hostname: hostname() });
      case "file":
        return fileSink({ ...settings, bytesMax: settings.max_megabytes * 1e6 }, { makeReport });
    }
  }

  async #secret(secret: Secret): Promise<string> {
    if ("file" in secret) return (await readShort(secret.file, secretOctetsMax)).trim();
    const value = this.#deps.env(secret.env);
    if (value) return value;
    throw new BadSinks(`Cannot use sinks as the environment must have ${secret.env}: it is not set`);
  }

  async #tell(): Promise<void> {
    const { clock, reporter } = this.#deps;
    const { signal } = this.#stopping;
    const all = () => this.#running.map(({ settings }) => settings);
    const teller = new Teller({ ...this.#deps, sinks: () => all().filter((one) => !reportOf(one)?.only) });
    const reports = new Reports({
      ...this.#deps,
      sinks: () => all().map((one) => ({ name: one.name, report: reportOf(one) })),
    });
    while (!signal.aborted) {
      const result = await teller.turn().catch((error) => {
        reporter.count("sink_turns_failed_total");
        reporter.warn("cannot decide what to send to sinks, will retry", { error });
        return "idle" as const;
      });
      await reports.turn().catch((error) => {
        reporter.count("sink_turns_failed_total");
        reporter.warn("cannot note that a report is due, will retry", { error });
      });
      if (result !== "more") await clock.sleep(result === "idle" ? tellEveryMs : standbyMs, signal);
    }
  }
}

/** @throws {BadSinks} */
async function readShort(path: string, octetsMax: number): Promise<string> {
  try {
    const { size } = await Deno.stat(path);
    if (size > octetsMax) throw new Error(`it is larger than ${octetsMax} octets`);
    return await Deno.readTextFile(path);
  } catch (cause) {
    throw new BadSinks(`Cannot use sinks as "${path}" must be readable: ${(cause as Error).message}`, {
      cause,
    });
  }
}
