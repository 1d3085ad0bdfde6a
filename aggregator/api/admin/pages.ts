/** The dashboard's files as resources of the route table: texts that never change while the program runs.
 *
 * Out: the text, packed for who takes that; nothing for who has it already. Invariant: a file is packed at most once.
 * Why a browser asks each time all the same: another version of the program has other files at the same paths.
 * @module */

import { gzipSync } from "node:zlib";
import { sha256Hex } from "../../../shared/batch.ts";
import type { Asset } from "../../dashboard/assets.ts";
import { isKnown } from "../etag.ts";
import { takesGzip } from "../packed.ts";
import { type Resource, resource } from "../route.ts";

export function pageOf({ body, type }: Asset): Resource {
  // Weak, as the packed text and the plain one have the same.
  const etag = `W/"${sha256Hex(body).slice(0, 32)}"`;
  const kept = { "cache-control": "no-cache", etag, vary: "accept-encoding" };
  const described = `${type}; charset=utf-8`;
  let packed: Uint8Array<ArrayBuffer> | null = null;
  return resource({
    summary: null,
    handle({ header }) {
      if (isKnown(etag, header("if-none-match"))) return { status: 304, headers: kept };
      if (!takesGzip(header("accept-encoding"))) return { text: { body, type: described }, headers: kept };
      packed ??= new Uint8Array(gzipSync(body));
      return { text: { body: packed, type: described }, headers: { ...kept, "content-encoding": "gzip" } };
    },
  });
}
