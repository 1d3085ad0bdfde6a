/** Options of triage that `serve` and `analyze` share, and the model they mean. @module */

import type { Options, OptionTable } from "../../shared/options.ts";
import { Gemini } from "../triage/gemini.ts";
import type { TriageModel } from "../triage/model.ts";
import { OpenAi } from "../triage/openai.ts";
import { CommandError, type Edges, exitCodes } from "../../shared/command.ts";

export const triageOptions = {
  triageProvider: {
    kind: "text",
    default: "auto",
    choices: ["auto", "gemini", "openai", "none"],
    help:
      "Who explains threats beside the rules; openai is any endpoint that speaks its API (Ollama, vLLM, llama.cpp); auto: gemini when GEMINI_API_KEY is set",
  },
  triageBaseUrl: {
    kind: "text",
    default: "",
    value: "URL",
    help: "Address of the OpenAI-compatible API, up to /v1; its key, if it wants one, in OPENAI_API_KEY",
  },
  triageModel: {
    kind: "text",
    default: "",
    value: "NAME",
    help: "Model of the OpenAI-compatible API",
  },
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

type ModelOptions = Pick<
  Options<typeof triageOptions>,
  "triageProvider" | "triageBaseUrl" | "triageModel" | "geminiModel" | "geminiBaseUrl"
>;

/** The variables that everybody who uses these has set already. */
const geminiKey = "GEMINI_API_KEY", openAiKey = "OPENAI_API_KEY";
const openAiUrl = "https://api.openai.com/v1";

/** The model; null = none is configured and the rules explain alone. @throws {CommandError} */
export function readModel(
  options: ModelOptions,
  edges: Pick<Edges, "env" | "clock" | "reporter" | "randomBytes">,
): TriageModel | null {
  const { clock, reporter } = edges;
  const random = () => new DataView(edges.randomBytes(4).buffer as ArrayBuffer).getUint32(0) / 2 ** 32;
  const deps = { clock, reporter, random };
  const apiKey = edges.env(geminiKey) ?? "";
  switch (options.triageProvider) {
    case "none":
      return null;
    case "openai":
      return readOpenAi(options, edges.env(openAiKey) ?? "", deps);
    case "gemini":
      if (apiKey === "") throw usage(`Cannot use Gemini as the variable ${geminiKey} must be set`);
  }
  if (apiKey === "") return null;
  const { geminiModel: model, geminiBaseUrl: baseUrl } = options;
  if (baseUrl !== "") checkUrl("geminiBaseUrl", baseUrl);
  return new Gemini({ apiKey, model, ...(baseUrl === "" ? {} : { baseUrl }) }, deps);
}

function readOpenAi(options: ModelOptions, apiKey: string, deps: ConstructorParameters<typeof OpenAi>[1]) {
  const { triageModel: model, triageBaseUrl: baseUrl } = options;
  if (model === "") throw usage(`Cannot use an OpenAI-compatible model as "triageModel" must name one`);
  if (baseUrl !== "") checkUrl("triageBaseUrl", baseUrl);
  else if (apiKey === "") {
    throw usage(`Cannot use OpenAI as the variable ${openAiKey} must be set, or "triageBaseUrl" given`);
  }
  return new OpenAi({ baseUrl: baseUrl || openAiUrl, model, apiKey }, deps);
}

function checkUrl(name: string, url: string): void {
  if (/^https?:\/\//.test(url)) return;
  throw usage(`Cannot use model as "${name}" must begin with http:// or https://: current value is "${url}"`);
}

function usage(text: string): CommandError {
  return new CommandError(exitCodes.usage, text);
}
