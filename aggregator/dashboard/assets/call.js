/** Calls of the API from its own pages.
 *
 * Invariant: paths are relative, so that the page works behind any path prefix; a problem carries the server's own words. @module */

export class Problem extends Error {
           status        ;
  /** Name of the parameter or field that is wrong; null = none is. */
           field               ;

  constructor(status        , message        , field                = null) {
    super(message);
    this.status = status;
    this.field = field;
  }
}

/** @throws {Problem} */
export async function call        (method        , path        , body          )                  {
  const options              = { method, credentials: "same-origin" };
  if (body !== undefined) {
    options.body = JSON.stringify(body);
    options.headers = { "content-type": "application/json" };
  }
  let response          ;
  try {
    response = await fetch(path, options);
  } catch {
    throw new Problem(0, "The aggregator does not answer");
  }
  const answer = await response.json().catch(() => ({}));
  if (response.ok) return answer;
  const { title, detail, field } = answer;
  const words = (title ?? "Error " + response.status) + (detail ? ": " + detail : "");
  throw new Problem(response.status, words, field ?? null);
}

/** Asks the API; empty parameters are left out. @throws {Problem} */
export function get        (
  path        ,
  query                                                     = {},
)                  {
  const given = Object.entries(query).flatMap(([name, value]) =>
    value === "" || value === undefined || value === null ? [] : [[name, String(value)]]
  );
  const text = new URLSearchParams(given).toString();
  return call("GET", "api/v1" + path + (text ? "?" + text : ""));
}
