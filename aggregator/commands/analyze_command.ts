/** `picket-aggregator analyze FILE...`: captures in, flows and explained threats out, in one process. @module */

import { readModel, triageOptions } from "../options/triage_options.ts";
import type { analyzeFile, renderAnalysis, renderTimeline } from "../analyze.ts";
import { type Command, command, CommandError, exitCodes } from "../../shared/command.ts";
import { cacheFolderOf } from "../../shared/common_options.ts";
import { generalOptions } from "../options/store_options.ts";
import { chooseDetectors, detectionOptions, onlyThese } from "../options/detection_options.ts";

/** The file that joins sensor and aggregator is handed in by main.ts,
 * so that nothing else here depends on the sensor. */
export interface Analysis {
  analyze: typeof analyzeFile;
  render: typeof renderAnalysis;
  renderTimeline: typeof renderTimeline;
}

const filesMax = 1_000;

export function analyzeCommand({ analyze, render, renderTimeline }: Analysis): Command {
  return command({
    name: "analyze",
    summary: "find and explain threats in capture files",
    operands: "FILE...",
    about:
      `Reads pcap or pcapng files through the same stages as live traffic and prints what it found. Several files are parts of one capture,
in the order given; "-" is standard input. Needs nothing but the files; without tshark it finds less, and says so. With GEMINI_API_KEY set the model explains, else the rules do.`,
    examples: [
      "analyze capture.pcap",
      "analyze hour-1.pcap hour-2.pcap --timeline",
      "analyze - --only beacon --json",
    ],
    options: {
      ...generalOptions,
      facts: {
        kind: "flag",
        default: true,
        help: "Do not read payloads: tshark is not needed, less is found",
      },
      tsharkPath: { kind: "text", default: "tshark", value: "FILE", help: "Name or path of tshark" },
      only: {
        kind: "list",
        default: [],
        value: "NAME",
        help: "Run this detector only; may be given several times",
      },
      timeline: {
        kind: "flag",
        default: false,
        help: "Print one line per threat, in the order in which they began",
      },
      ...detectionOptions,
      ...triageOptions,
    },
    async run(options, operands, edges) {
      checkOperands(operands);
      for (const path of operands) if (path !== "-") await checkFile(path);
      const detectors = await chooseDetectors(options, edges);
      const analysis = await analyze(operands, {
        reporter: edges.reporter,
        clock: edges.clock,
        tsharkPath: options.tsharkPath,
        // The sensor's: what is kept there is about tshark, and the same for both.
        cacheFolder: cacheFolderOf("picket-sensor", edges.env),
        facts: options.facts,
        model: readModel(options, edges),
        detectors: { ...detectors, declarations: onlyThese(detectors.declarations, options.only) },
        signal: edges.signal,
      });
      const print = options.timeline ? renderTimeline : render;
      edges.print(options.json ? JSON.stringify(analysis) : print(analysis, edges.isColourful));
      return exitCodes.ok;
    },
  });
}

/** @throws {CommandError} */
function checkOperands(operands: readonly string[]): void {
  const say = (rule: string, value: number) =>
    new CommandError(exitCodes.usage, `Cannot analyze as ${rule}: ${value} are given`);
  if (operands.length === 0 || operands.length > filesMax) {
    throw say(`1 to ${filesMax} capture files must be named`, operands.length);
  }
  const pipes = operands.filter((path) => path === "-").length;
  if (pipes > 1) throw say(`standard input can be read once only`, pipes);
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
