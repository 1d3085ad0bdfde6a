/** A QR code for a terminal. Invariant: the only file that imports uqr. @module */

import { renderUnicodeCompact } from "uqr";

/** Lines of half blocks: two rows of the code in each. */
export function qrLines(text: string): string[] {
  return renderUnicodeCompact(text, { border: 2 }).split("\n");
}
