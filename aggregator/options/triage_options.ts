/** Options of triage that `serve` and `analyze` share, and the model they mean. @module */

import type { Options, OptionTable } from "../../shared/options.ts";
import { Gemini } from "../triage/gemini.ts";
import type { TriageModel } from "../triage/model.ts";
import { CommandError, type Edges, exitCodes } from "../../shared/command.ts";

export const triageOptions = {
  geminiModel: {
    kind: "text",
    default: "gemini-2.5-flash",
    value: "NAME",
    help: "Model that explains threats when the variable GEMINI_API_KEY is set",
  },
  geminiBaseUrl: {
    kind: "text",
    default: "",
    value: "URL",
    help: "Address of the Gemini API; else Google's",
  },
} as const satisfies OptionTable;

/** The variable that everybody who uses Gemini has set already. */
const keyVariable = "GEMINI_API_KEY";

/** The model; null = none is configured and the rules explain alone. @throws {CommandError} */
export function readModel(
  options: Pick<Options<typeof triageOptions>, "geminiModel" | "geminiBaseUrl">,
  edges: Pick<Edges, "env" | "clock" | "reporter" | "randomBytes">,
): TriageModel | null {
  const apiKey = edges.env(keyVariable) ?? "";
  if (apiKey === "") return null;
  const { geminiModel: model, geminiBaseUrl: baseUrl } = options;
  if (baseUrl !== "" && !/^https?:\/\//.test(baseUrl)) {
    throw new CommandError(
      exitCodes.usage,
      `Cannot use Gemini as "geminiBaseUrl" must begin with http:// or https://: current value is "${baseUrl}"`,
    );
  }
  const random = () => new DataView(edges.randomBytes(4).buffer as ArrayBuffer).getUint32(0) / 2 ** 32;
  const { clock, reporter } = edges;
  return new Gemini({ apiKey, model, ...(baseUrl === "" ? {} : { baseUrl }) }, { clock, reporter, random });
}
