/** When the status file speaks for a sensor that runs. @module */

import { assertEquals } from "@std/assert";
import { isFresh, type Status } from "../../../sensor/control/status_file.ts";

Deno.test("a status speaks for a running sensor for a minute, and not once it stopped", () => {
  const status = (fields: Partial<Status>) =>
    ({ written_ms: 1_000_000, stopped: false, ...fields }) as Status;
  assertEquals(isFresh(status({}), 1_059_999), true);
  assertEquals(isFresh(status({}), 1_060_000), false);
  assertEquals(isFresh(status({ stopped: true }), 1_000_001), false);
  assertEquals(isFresh(null, 1_000_001), false);
});
