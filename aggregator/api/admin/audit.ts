/** Who changed what, newest first. Why admins only: it says who works here, and when. @module */

import { z } from "../../../shared/schema.ts";
import { auditActions } from "../../model/audit.ts";
import { resource } from "../route.ts";
import { pageOf, pageQuery } from "../schemas.ts";

export const audit = resource({
  summary: "What people changed: status, suppressions, feedback, tokens, keys, sensors; newest first",
  query: z.strictObject(pageQuery),
  isQuery: true,
  answer: pageOf(z.object({
    id: z.int(),
    at_ms: z.number(),
    made_by: z.string().describe("Name of the API key"),
    key_id: z.string().describe("Id of the API key"),
    action: z.enum(auditActions),
    subject: z.string().describe("Id of what was changed"),
    detail: z.string(),
  })),
  needs: ["auditStore"],
  async handle({ query: { limit, cursor } }, { auditStore }) {
    return { json: await auditStore.readAudit({ limit, ...cursor !== undefined && { cursor } }) };
  },
});
