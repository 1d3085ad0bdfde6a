/** Ids of flows: when a flow began, in microseconds, and a slot that tells flows of one microsecond apart.
 *
 * In: 52 bits of time, 11 bits of slot. Out: one 63-bit number, as 16 hex digits or as a bigint for the database.
 * Invariant: ids sort by time; two flows never share one, as ingest moves a flow on whose id is taken. Why one number:
 * it is the key of the flow table, and what other tables and analysts' SQL join by. @module */

export const slots = 2_048;
/** Ids below and at or above these times are not given; microseconds since the epoch. */
export const idUsMax = 2 ** 52 - 1;

export function flowIdText(us: number, slot: number): string {
  const low = (us % 2 ** 21) * slots + slot;
  return Math.floor(us / 2 ** 21).toString(16).padStart(8, "0") + low.toString(16).padStart(8, "0");
}

export function flowIdNumber(us: number, slot: number): bigint {
  return BigInt(us) * BigInt(slots) + BigInt(slot);
}

/** Time and slot of an id; null when the text is none.
 *
 * @example There and back.
 * ```ts
 * import { assertEquals } from "@std/assert";
 * import { flowIdText, readFlowId } from "./flow_id.ts";
 *
 * const id = flowIdText(1_700_000_000_000_000, 3);
 * assertEquals(id, "305120c0f2000003");
 * assertEquals(readFlowId(id), { us: 1_700_000_000_000_000, slot: 3 });
 * assertEquals(readFlowId("no id"), null);
 * ``` */
export function readFlowId(text: string): { us: number; slot: number } | null {
  if (!/^[0-7][0-9a-f]{15}$/.test(text)) return null;
  const high = parseInt(text.slice(0, 8), 16), low = parseInt(text.slice(8), 16);
  return { us: high * 2 ** 21 + Math.floor(low / slots), slot: low % slots };
}
