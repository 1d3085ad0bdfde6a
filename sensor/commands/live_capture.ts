/** Live capture as a source of packets for the commands.
 *
 * In: capture options. Out: what the live source gives; a failing first start as an error with the right exit code. @module */

import { CaptureStartError } from "../capture/dumpcap.ts";
import { LiveSource, type LiveSourceOptions } from "../capture/live_source.ts";
import { CommandError, exitCodes } from "../../shared/command.ts";
import type { CaptureSource } from "./stages.ts";

export class LiveCapture extends LiveSource implements CaptureSource {
  readonly bytesTotal = null;

  override async start(): Promise<void> {
    try {
      await super.start();
    } catch (cause) {
      if (!(cause instanceof CaptureStartError)) throw cause;
      const code = cause.code === "bad_filter" ? exitCodes.usage : exitCodes.environment;
      throw new CommandError(code, cause.message, { cause });
    }
  }
}

/** Checks the options before anything starts. @throws {CommandError} when one is out of range. */
export function openLiveCapture(
  options: LiveSourceOptions,
  deps: ConstructorParameters<typeof LiveSource>[1],
): LiveCapture {
  try {
    return new LiveCapture(options, deps);
  } catch (cause) {
    throw new CommandError(exitCodes.usage, (cause as Error).message, { cause });
  }
}
