/** The order in which people look at sensors. The dashboard imports it, so nothing here needs the server. @module */

import type { SensorStatus } from "./reasons.ts";

/** From the most urgent down; the last three ask for nothing. */
export const urgency: readonly SensorStatus[] = [
  "quarantined",
  "blind",
  "late",
  "lossy",
  "pending",
  "unwalled",
  "never_seen",
  "healthy",
  "stopped",
  "revoked",
];
