/** Compares an answer with what the API says of itself: status, media type, and the schema of the body.
 *
 * Why in every test: each answer that any test gets is looked at,
 * so that a description cannot drift from what is served. @module */

import { assert } from "@std/assert";
import { errorsOf } from "../../../aggregator/api/admin/openapi.ts";
import { routes } from "../../../aggregator/api/routes.ts";
import { problemAnswer } from "../../../aggregator/api/schemas.ts";

const patterns = routes.map((route) => ({
  route,
  pattern: new URLPattern({ pathname: route.path.replace(/:id/, ":id") }),
}));
/** Routes that answered well in this run. */
export const answered = new Set<string>();

export function assertDescribed(
  method: string,
  path: string,
  { status, headers, body }: { status: number; headers: Headers; body: unknown },
): void {
  const url = new URL(path, "http://x");
  // A stream has no end; its head says as much as any other.
  const asked = method === "HEAD" ? "GET" : method;
  const found = patterns.find(({ route, pattern }) => route.method === asked && pattern.test(url));
  const what = `${method} ${path} answered ${status} ${JSON.stringify(body)?.slice(0, 300)}`;
  if (status === 304) return assert(found?.route.isPolled && body === null, what);
  if (status < 400) {
    if (status === found?.route.emptyStatus) return assert(body === null, what);
    if (!found) return; // Not of the table: a redirect to the prefix.
    const { route } = found;
    answered.add(`${route.method} ${route.path}`);
    assert(status === route.status, `${what}: described is ${route.status}`);
    const type = headers.get("content-type") ?? "";
    if (!route.answer || method === "HEAD" || route.answerTypes.includes(type)) {
      return assert(
        route.summary === null || route.answer !== undefined || route.answerTypes.includes(type),
        `${what}: type ${type}`,
      );
    }
    const parsed = route.answer.safeParse(body);
    assert(parsed.success, `${what}: ${JSON.stringify(parsed.error?.issues.slice(0, 3))}`);
    return;
  }
  const parsed = problemAnswer.safeParse(body);
  assert(parsed.success, `${what}: ${JSON.stringify(parsed.error?.issues.slice(0, 3))}`);
  assert(headers.get("content-type") === "application/problem+json", what);
  assert(parsed.data!.status === status && parsed.data!.instance === url.pathname, what);
  if (!found) {
    return assert(status === 404 || status === 405 || status === 421 || path.startsWith("/watch"), what);
  }
  const codes = errorsOf(found.route).get(status);
  assert(codes?.includes(parsed.data!.code), `${what}: described are ${codes?.join(", ") ?? "none"}`);
}
