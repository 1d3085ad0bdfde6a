/** What the database driver asks of the runtime and an older Deno does not have yet; imported before everything else.
 *
 * Invariant: nothing is replaced that is there.
 * 0 means "no limit is known", on which the driver takes the machine's memory.
 * Why: binaries may be compiled with Deno 2.6, and the driver calls this while it is being loaded. @module */

import process from "node:process";

const runtime = process as { constrainedMemory?: () => number };
runtime.constrainedMemory ??= () => 0;
