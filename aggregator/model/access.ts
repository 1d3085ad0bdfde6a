/** Who may ask the API: roles and keys.
 *
 * Invariant: a key is known by its hash alone. {@link roles} is ordered from the most privileged down. @module */

export const roles = ["admin", "analyst", "viewer"] as const;

export type Role = typeof roles[number];

export interface ApiKeyRow {
  /** SHA-256 of the key, hex. */
  key_hash: string;
  name: string;
  role: Role;
  created_ms: number;
  revoked_ms: number | null;
  /** Null = it does not expire. */
  expires_ms: number | null;
}
