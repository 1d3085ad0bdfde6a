/** What one transaction writes and reports: where the merger puts its results. @module */

import { FlowRows } from "../model/flow_rows.ts";
import { SightingRows } from "../model/sighting_rows.ts";
import { TrafficSums } from "./traffic_sums.ts";
import type { MergedUpdate } from "./update.ts";

export class MergeWrite {
  readonly rows: FlowRows;
  readonly sightings: SightingRows;
  readonly traffic = new TrafficSums();
  newSightings = 0;
  /** Null = nobody wants to be told. */
  readonly updates: MergedUpdate[] | null;

  /** `rows` and `sightings` are empty ones that may be used. */
  constructor(options: { tells: boolean; rows?: FlowRows; sightings?: SightingRows }) {
    this.updates = options.tells ? [] : null;
    this.rows = options.rows ?? new FlowRows();
    this.sightings = options.sightings ?? new SightingRows();
  }
}
