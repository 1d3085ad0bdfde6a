/** Who changed what, and who took packets: one row for each act of a person. @module */

export const auditActions = [
  "threat_status",
  "threat_feedback",
  "incident_status",
  "suppression_made",
  "suppression_ended",
  "token_made",
  "token_revoked",
  "key_made",
  "key_revoked",
  "sensor_approve",
  "sensor_release",
  "sensor_rename",
  "sensor_tag",
  "sensor_remove",
  "sensor_revoke",
  "sensor_canary",
  "upgrade_start",
  "upgrade_pause",
  "upgrade_resume",
  "upgrade_cancel",
  "policy_set",
  "policy_end",
  "packets_asked",
  "packets_fetched",
] as const;
export type AuditAction = typeof auditActions[number];

/** Who acts: the name of the API key, and the beginning of its hash, as names may stand twice. */
export interface Actor {
  name: string;
  keyId: string;
}

export interface AuditRow {
  /** Grows; with gaps. */
  id: number;
  at_ms: number;
  made_by: string;
  key_id: string;
  action: AuditAction;
  /** Id of what was changed. */
  subject: string;
  /** What it was changed to, in words or as JSON. */
  detail: string;
}
