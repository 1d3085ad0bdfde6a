/** Live capture as a source of packets for the commands.
 *
 * In: capture options. Out: what the live sources give, and the counters of their interfaces meanwhile; a first start
 * that fails on every interface as an error with the right exit code. @module */

import { CaptureStartError } from "../capture/dumpcap.ts";
import { InterfaceWatch, type ReadCounters } from "../capture/interface_counters.ts";
import type { LiveSourceOptions } from "../capture/live_source.ts";
import { SeveralSources } from "../capture/several_sources.ts";
import { CommandError, exitCodes } from "../../shared/command.ts";
import type { InterfaceCounters } from "../../shared/control.ts";
import type { CaptureSource } from "./stages.ts";

type LiveDeps = ConstructorParameters<typeof SeveralSources>[1] & { readCounters?: ReadCounters };

export class LiveCapture extends SeveralSources implements CaptureSource {
  readonly bytesTotal = null;
  #watch: InterfaceWatch;

  constructor(options: LiveSourceOptions, deps: LiveDeps) {
    super(options, deps);
    const { clock, reporter, readCounters } = deps;
    this.#watch = new InterfaceWatch(options.interfaces, {
      clock,
      reporter,
      ...(readCounters && { read: readCounters }),
    });
  }

  get interfaces(): readonly InterfaceCounters[] {
    return this.#watch.totals;
  }

  override async start(): Promise<void> {
    try {
      await super.start();
      await this.#watch.start();
    } catch (cause) {
      if (!(cause instanceof CaptureStartError)) throw cause;
      const code = cause.code === "bad_filter" ? exitCodes.usage : exitCodes.environment;
      throw new CommandError(code, cause.message, { cause });
    }
  }

  override async close(): Promise<void> {
    await this.#watch.stop();
    await super.close();
  }
}

/** Checks the options before anything starts. @throws {CommandError} when one is out of range. */
export function openLiveCapture(
  options: LiveSourceOptions,
  deps: LiveDeps,
): LiveCapture {
  try {
    return new LiveCapture(options, deps);
  } catch (cause) {
    throw new CommandError(exitCodes.usage, (cause as Error).message, { cause });
  }
}
