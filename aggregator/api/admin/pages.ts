/** The dashboard's files as resources of the route table: texts that never change while the program runs. @module */

import type { Asset } from "../../dashboard/assets.ts";
import { type Resource, resource } from "../route.ts";

export function pageOf({ body, type }: Asset): Resource {
  return resource({
    summary: null,
    handle: () => ({
      text: { body, type: `${type}; charset=utf-8` },
      headers: { "cache-control": "no-cache" },
    }),
  });
}
