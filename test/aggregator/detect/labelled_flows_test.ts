/** Port scans in flow records that others made and labelled (Stratosphere):
 * no capture, another meter, other thresholds.
 *
 * Method: each row becomes one update; where the records are absent the tests are skipped loudly. @module */

import { assertEquals } from "@std/assert";
import { portScanVertical } from "../../../aggregator/detect/detectors/port_scan_vertical.ts";
import type { FlowUpdate } from "../../../aggregator/model/flow.ts";
import { skipLoudly } from "../../services/services.ts";
import { baseS, refused, run, silent, update } from "./updates.ts";

const folder = new URL("../../../../shared/data/truth/labelled-flows/", import.meta.url);
const isThere = await Deno.stat(folder).then(() => true, () => false);
const { ignore } = isThere ? { ignore: false } : skipLoudly("labelled flows", "../shared/data is absent");

/** Who scanned whom, by the findings of the detector. */
function scans(updates: FlowUpdate[]): string[] {
  updates.sort((a, b) => a.segment.start - b.segment.start);
  return run(portScanVertical, updates).map((found) => `${found.src_ips} > ${found.dst_ips}`);
}

Deno.test({
  name: "a scan of 43 refused ports in another meter's log is found, with its attacker and victim",
  ignore,
  fn: async () => {
    const text = await Deno.readTextFile(new URL("portscan-vertical.zeek-conn.json", folder));
    const updates = text.trim().split("\n").map((line) => JSON.parse(line)).map((row) =>
      update(row.ts - baseS, {
        ...(row.conn_state === "REJ" ? refused : {}),
        conn_state: row.conn_state,
        src_ip: row["id.orig_h"],
        src_port: row["id.orig_p"],
        dst_ip: row["id.resp_h"],
        dst_port: row["id.resp_p"],
      })
    );
    assertEquals(scans(updates), ["192.168.1.9 > 45.33.32.156"]);
  },
});

Deno.test({
  name: "a slow scan, one silent port a second, is found",
  ignore,
  fn: async () => {
    const text = await Deno.readTextFile(new URL("portscan-slow.binetflow.csv", folder));
    const rows = text.trim().split("\n").slice(1).map((line) => line.split(","))
      .filter(([, , protocol]) => protocol === "tcp");
    const updates = rows.map(([start, , , src_ip, src_port, , dst_ip, dst_port]) => {
      const startS = Date.parse(start.replaceAll("/", "-").replace(" ", "T").slice(0, 23) + "Z") / 1_000;
      return update(startS - baseS, {
        ...silent,
        src_ip,
        src_port: Number(src_port),
        dst_ip,
        dst_port: Number(dst_port),
      });
    });
    assertEquals(scans(updates), ["10.8.0.69 > 14.1.11.113"]);
  },
});
