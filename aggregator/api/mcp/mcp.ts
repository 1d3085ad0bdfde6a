/** `POST /mcp`: the Model Context Protocol over HTTP, for an assistant that is not started beside Picket.
 *
 * In: one JSON-RPC message. Out: one answer, or 202 where none is due.
 * Invariant: each tool is a GET of this API by the same caller, with the same rights, limits and counters; nothing is
 * kept between two calls, so there is no session and no stream to open.
 * Transport: https://modelcontextprotocol.io/specification/2025-11-25/basic/transports. @module */

import { z } from "../../../shared/schema.ts";
import { answerMessage, revisions } from "../../mcp/conversation.ts";
import { ApiError } from "../errors.ts";
import { resource } from "../route.ts";

const version = "mcp-protocol-version";

const message = z.looseObject({
  jsonrpc: z.literal("2.0"),
  id: z.union([z.string().max(200), z.int()]).optional().describe("Absent: nothing is to be answered"),
  method: z.string().max(200).optional().describe("initialize, ping, tools/list, tools/call"),
  params: z.looseObject({}).optional(),
});

export const mcp = resource({
  summary: "One message of the Model Context Protocol (streamable HTTP): read-only tools for an assistant",
  body: message,
  answer: z.looseObject({ jsonrpc: z.literal("2.0"), id: z.union([z.string(), z.number(), z.null()]) }),
  emptyStatus: 202,
  errors: ["bad_parameter"],
  async handle({ body, header, ask }) {
    const given = header(version);
    if (given !== undefined && !revisions.some((known) => known === given)) {
      throw new ApiError(
        "bad_parameter",
        `Header "${version}" must be one of ${revisions.join(", ")}: current value is "${
          given.slice(0, 40)
        }"`,
        { field: version },
      );
    }
    const answer = await answerMessage(body, ask);
    return answer === null ? { status: 202 } : { json: answer };
  },
});
