/** The own certificate authority, for sensors and browsers that are to trust it.
 *
 * Why without a key: a certificate is no secret. Who fetches it compares it with the fingerprint that came another way.
 * @module */

import { ApiError } from "../errors.ts";
import { resource } from "../route.ts";

export const authority = resource({
  summary: "The certificate authority of this aggregator, PEM; 404 where it has none of its own",
  answerTypes: ["application/x-pem-file"],
  errors: ["not_found"],
  needs: ["authority"],
  handle(_call, { authority }) {
    if (authority === null) {
      throw new ApiError("not_found", "This aggregator has no authority of its own: see setup");
    }
    return { text: { body: authority.pem, type: "application/x-pem-file" } };
  },
});
