/** Checks what a caller wrote: query parameters and JSON bodies, against the route's schemas.
 *
 * In: text. Out: typed values, or an error that names the parameter, the rule and the value.
 * Invariant: a parameter nobody declared is an error, as a misspelt filter would otherwise select everything.
 * Why no coercion by the schema: `z.coerce` reads "" as 0 and says nothing in OpenAPI; here the declared type decides.
 * @module */

import { z } from "../../shared/schema.ts";
import { readTime } from "../model/time_text.ts";
import { ApiError } from "./errors.ts";

const valueLengthMax = 500;
const kindsOf = new WeakMap<z.ZodObject, Map<string, Kind>>();

/** What JSON Schema says of one parameter, as far as it is read here. */
interface Kind {
  type?: string;
  /** "time": in any form that `readTime` reads. */
  format?: string;
  enum?: unknown[];
  maxLength?: number;
}

/** Reads query parameters by `schema`. `nowMs`: what a time like `now-1h` starts from. */
export function readQuery(schema: z.ZodObject, given: URLSearchParams, nowMs: number): unknown {
  const kinds = parameterKinds(schema);
  const values: Record<string, unknown> = {};
  for (const [name, text] of given) {
    const kind = kinds.get(name);
    if (kind === undefined) {
      throw new ApiError(
        "bad_parameter",
        `Unknown parameter "${cut(name)}": known are ${[...kinds.keys()].join(", ")}`,
        { field: cut(name) },
      );
    }
    if (Object.hasOwn(values, name)) {
      throw new ApiError("bad_parameter", `Parameter "${name}" must be given once`, { field: name });
    }
    const lengthMax = Math.max(kind.maxLength ?? 0, valueLengthMax);
    if (text.length > lengthMax) {
      throw new ApiError("bad_parameter", `Parameter "${name}" must have <= ${lengthMax} characters`, {
        field: name,
      });
    }
    values[name] = convert(kind, text, nowMs);
  }
  return check(schema, values, "bad_parameter", "Parameter");
}

/** Reads a JSON body by `schema`. */
export function readJson(schema: z.ZodType, bytes: Uint8Array): unknown {
  let value: unknown;
  try {
    value = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes));
  } catch {
    throw new ApiError("bad_body", "Body must be JSON");
  }
  return check(schema, value, "bad_body", "Field");
}

function check(schema: z.ZodType, value: unknown, code: "bad_parameter" | "bad_body", word: string): unknown {
  const result = schema.safeParse(value);
  if (result.success) return result.data;
  const [issue] = result.error.issues;
  const at = issue.path.map(String).join(".");
  const current = issue.path.reduce<unknown>(
    (part, key) => (part as Record<PropertyKey, unknown>)?.[key],
    value,
  );
  const shown = current === undefined ? "it is missing" : `current value is ${cut(JSON.stringify(current))}`;
  throw new ApiError(code, `${word} "${cut(at)}": ${cut(issue.message)}: ${shown}`, {
    field: cut(at),
  });
}

function parameterKinds(schema: z.ZodObject): Map<string, Kind> {
  let kinds = kindsOf.get(schema);
  if (!kinds) {
    const json = z.toJSONSchema(schema, { io: "input" }) as { properties?: Record<string, Kind> };
    kinds = new Map(Object.entries(json.properties ?? {}));
    kindsOf.set(schema, kinds);
  }
  return kinds;
}

/** Text that is no number, time or boolean stays text, so that the schema refuses it and the message shows it. A word
 * of a closed list counts in any case. */
function convert({ type, format, enum: words }: Kind, text: string, nowMs: number): unknown {
  if (format === "time") return readTime(text, nowMs) ?? text;
  if (type === "integer" || type === "number") {
    return /^-?[0-9]{1,16}(\.[0-9]{1,9})?$/.test(text) ? Number(text) : text;
  }
  if (type === "boolean") return text === "true" ? true : text === "false" ? false : text;
  const lower = text.toLowerCase();
  return words?.find((word) => typeof word === "string" && word.toLowerCase() === lower) ?? text;
}

function cut(text: string): string {
  return text.length > 100 ? `${text.slice(0, 100)}...` : text;
}
