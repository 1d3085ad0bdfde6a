/** Login of the dashboard: an API key in, a session cookie out.
 *
 * Invariant: a source with too many wrong keys is refused before its key is looked at; a session has the role of its key and ends
 * when the key is revoked. @module */

import { z } from "../../../shared/schema.ts";
import { roles } from "../../model/access.ts";
import { ApiError } from "../errors.ts";
import { resource } from "../route.ts";

const who = z.object({ name: z.string(), role: z.enum(roles) });

export const login = resource({
  summary: "Starts a session of the dashboard with an API key",
  body: z.strictObject({ key: z.string().min(1).max(200) }),
  bodyBytesMax: 1_024,
  answer: who,
  async handle({ body, source, nowMs, isSecure }, { keys, sessions, guessThrottle, reporter, randomBytes }) {
    const wait = guessThrottle.waitS(source, nowMs);
    if (wait !== null) {
      reporter.count("logins_total", { outcome: "throttled" });
      throw new ApiError("too_many", `Try again in ${wait} s`);
    }
    const row = await keys.find(body.key.trim(), nowMs);
    if (!row) {
      guessThrottle.take(source, nowMs);
      reporter.count("logins_total", { outcome: "refused" });
      throw new ApiError("unauthenticated", "This key is not known, or was revoked");
    }
    reporter.count("logins_total", { outcome: "accepted" });
    const cookie = sessions.open(row.key_hash, randomBytes(24), nowMs, isSecure);
    return { json: { name: row.name, role: row.role }, headers: { "set-cookie": cookie } };
  },
});

export const logout = resource({
  summary: "Ends the session",
  answer: z.object({ ended: z.literal(true) }),
  handle: ({ header, isSecure }, { sessions }) => ({
    json: { ended: true },
    headers: { "set-cookie": sessions.close(header("cookie"), isSecure) },
  }),
});

export const session = resource({
  summary: "Who is calling",
  answer: who,
  handle: ({ caller }) => ({ json: { name: caller!.name, role: caller!.role } }),
});
