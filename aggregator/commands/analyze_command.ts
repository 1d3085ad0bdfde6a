/** `picket-aggregator analyze FILE`: a capture in, flows and explained threats out, in one process. @module */

import { readModel, triageOptions } from "../options/triage_options.ts";
import type { analyzeFile, renderAnalysis } from "../analyze.ts";
import { type Command, command, CommandError, exitCodes, onlyOperand } from "../../shared/command.ts";
import { cacheFolderOf } from "../../shared/common_options.ts";
import { generalOptions } from "../options/store_options.ts";
import { chooseDetectors, detectionOptions } from "../options/detection_options.ts";

/** The file that joins sensor and aggregator is handed in by main.ts, so that nothing else here depends on the sensor. */
export interface Analysis {
  analyze: typeof analyzeFile;
  render: typeof renderAnalysis;
}

export function analyzeCommand({ analyze, render }: Analysis): Command {
  return command({
    name: "analyze",
    summary: "find and explain threats in a capture file",
    operands: "FILE",
    about:
      `Reads a pcap or pcapng file through the same stages as live traffic and prints what it found. Needs nothing but the file;
without tshark it finds less, and says so. With GEMINI_API_KEY set the model explains, else the rules do.`,
    examples: ["analyze capture.pcap", "analyze capture.pcapng --json"],
    options: {
      ...generalOptions,
      facts: {
        kind: "flag",
        default: true,
        help: "Do not read payloads: tshark is not needed, less is found",
      },
      tsharkPath: { kind: "text", default: "tshark", value: "FILE", help: "Name or path of tshark" },
      ...detectionOptions,
      ...triageOptions,
    },
    async run(options, operands, edges) {
      const path = onlyOperand(operands, "capture file");
      await checkFile(path);
      const analysis = await analyze(path, {
        reporter: edges.reporter,
        clock: edges.clock,
        tsharkPath: options.tsharkPath,
        // The sensor's: what is kept there is about tshark, and the same for both.
        cacheFolder: cacheFolderOf("picket-sensor", edges.env),
        facts: options.facts,
        model: readModel(options, edges),
        detectors: await chooseDetectors(options, edges),
        signal: edges.signal,
      });
      edges.print(options.json ? JSON.stringify(analysis) : render(analysis, edges.isColourful));
      return exitCodes.ok;
    },
  });
}

/** @throws {CommandError} when there is no such file. */
async function checkFile(path: string): Promise<void> {
  try {
    const { isDirectory } = await Deno.stat(path);
    if (!isDirectory) return;
  } catch (cause) {
    const why = cause instanceof Deno.errors.NotFound ? "there is no such file" : (cause as Error).message;
    throw new CommandError(exitCodes.environment, `Cannot read capture "${path}": ${why}`, { cause });
  }
  throw new CommandError(exitCodes.environment, `Cannot read capture "${path}": it is a folder`);
}
