/** Columns written by hand as the value of a batch; a sensor writes its own from the words of its flows.
 *
 * In: arrays of one length. Out: octets, columns of nothing but defaults left out as a sensor does. @module */

import { segmentColumnNames, segmentColumns, type SegmentTable } from "../../shared/segment.ts";

export function encodeValue(columns: SegmentTable): Uint8Array {
  const kept = segmentColumnNames.flatMap((name) => {
    const rows = columns[name];
    const isStandard = name !== "start_us" && rows?.every((value) => value === segmentColumns[name].default);
    return rows === undefined || isStandard ? [] : [[name, rows] as const];
  });
  return new TextEncoder().encode(JSON.stringify(Object.fromEntries(kept)));
}
