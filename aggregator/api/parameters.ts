/** Checks what a caller wrote: query parameters and JSON bodies, against the route's schemas.
 *
 * In: text. Out: typed values, or an error that names the parameter, the rule and the value.
 * Invariant: a parameter nobody declared is an error, as a misspelt filter would otherwise select everything.
 * Why no coercion by the schema: `z.coerce` reads "" as 0 and says nothing in OpenAPI; here the declared type decides. @module */

import { z } from "../../shared/schema.ts";
import { ApiError } from "./errors.ts";

const valueLengthMax = 500;
const typesOf = new WeakMap<z.ZodObject, Map<string, string>>();

/** Reads query parameters by `schema`. */
export function readQuery(schema: z.ZodObject, given: URLSearchParams): unknown {
  const types = parameterTypes(schema);
  const values: Record<string, unknown> = {};
  for (const [name, text] of given) {
    const type = types.get(name);
    if (type === undefined) {
      throw new ApiError(
        "bad_parameter",
        `Unknown parameter "${cut(name)}": known are ${[...types.keys()].join(", ")}`,
        { field: cut(name) },
      );
    }
    if (Object.hasOwn(values, name)) {
      throw new ApiError("bad_parameter", `Parameter "${name}" must be given once`, { field: name });
    }
    if (text.length > valueLengthMax) {
      throw new ApiError("bad_parameter", `Parameter "${name}" must have <= ${valueLengthMax} characters`, {
        field: name,
      });
    }
    values[name] = convert(type, text);
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

function parameterTypes(schema: z.ZodObject): Map<string, string> {
  let types = typesOf.get(schema);
  if (!types) {
    const json = z.toJSONSchema(schema, { io: "input" }) as {
      properties?: Record<string, { type?: string }>;
    };
    types = new Map(
      Object.entries(json.properties ?? {}).map(([name, part]) => [name, part.type ?? "string"]),
    );
    typesOf.set(schema, types);
  }
  return types;
}

/** Text that is no number or boolean stays text, so that the schema refuses it and the message shows it. */
function convert(type: string, text: string): unknown {
  if (type === "integer" || type === "number") {
    return /^-?[0-9]{1,16}(\.[0-9]{1,9})?$/.test(text) ? Number(text) : text;
  }
  if (type === "boolean") return text === "true" ? true : text === "false" ? false : text;
  return text;
}

function cut(text: string): string {
  return text.length > 100 ? `${text.slice(0, 100)}...` : text;
}
