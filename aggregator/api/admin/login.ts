/** Login of the dashboard: an API key in, a session cookie out.
 *
 * Invariant: a right key gets in however many wrong ones came from the same address; a session has the role of its key
 * and ends when the key is revoked. @module */

import { z } from "../../../shared/schema.ts";
import { roles } from "../../model/access.ts";
import { refuseGuess } from "../authenticate.ts";
import { resource } from "../route.ts";

const who = z.object({ name: z.string(), role: z.enum(roles) });

export const login = resource({
  summary: "Starts a session of the dashboard with an API key",
  body: z.strictObject({ key: z.string().min(1).max(200) }),
  bodyBytesMax: 1_024,
  answer: who,
  errors: ["unauthenticated", "too_many"],
  needs: ["keys", "sessions", "guessRate", "reporter", "randomBytes"],
  async handle({ body, source, nowMs }, { keys, sessions, guessRate, reporter, randomBytes }) {
    const row = await keys.find(body.key.trim(), nowMs);
    if (!row) {
      const waitS = guessRate.take(source, nowMs);
      reporter.count("logins_total", { outcome: waitS === null ? "refused" : "throttled" });
      throw refuseGuess(waitS, guessRate.headers("guesses", source, nowMs));
    }
    reporter.count("logins_total", { outcome: "accepted" });
    const session = sessions.open(row.key_hash, randomBytes(24), nowMs);
    return { json: { name: row.name, role: row.role }, session };
  },
});

export const logout = resource({
  summary: "Ends the session",
  answer: z.object({ ended: z.literal(true) }),
  needs: ["sessions"],
  handle({ session }, { sessions }) {
    sessions.close(session);
    return { json: { ended: true }, session: { id: "", maxAgeS: 0 } };
  },
});

export const session = resource({
  summary: "Who is calling",
  answer: who,
  handle: ({ caller }) => ({ json: { name: caller!.name, role: caller!.role } }),
});
