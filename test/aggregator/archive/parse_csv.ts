/** A reader of CSV that knows nothing of how ours is written. @module */

import { assert } from "@std/assert";

/** Cells of the lines, by the rules of RFC 4180. */
export function parseCsv(text: string): string[][] {
  const lines: string[][] = [[]];
  const pattern = /("((?:[^"]|"")*)"|[^,\r\n"]*)(,|\r\n|$)/gy;
  for (let match = pattern.exec(text); match && match[0] !== ""; match = pattern.exec(text)) {
    lines.at(-1)!.push(match[2] === undefined ? match[1] : match[2].replaceAll('""', '"'));
    if (match[3] === "\r\n") lines.push([]);
  }
  assert(pattern.lastIndex === 0 || pattern.lastIndex === text.length, "some of it is no CSV");
  if (lines.at(-1)!.length === 0) lines.pop();
  return lines;
}
