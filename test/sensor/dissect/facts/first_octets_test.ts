/** First octets: each way, sixteen at most, once, and never another flow's. @module */

import { assertEquals } from "@std/assert";
import { FirstOctets } from "../../../../sensor/dissect/facts/first_octets.ts";
import { FactsJoin } from "../../../../sensor/dissect/join.ts";
import { columnsOf } from "../fixture.ts";
import { takenFrom } from "../readings.ts";

const buffer = Uint8Array.from({ length: 40 }, (_, i) => i);

Deno.test("sixteen octets each way are kept and taken once", () => {
  const starts = new FirstOctets();
  starts.keep(7, 0, buffer, 1, 17);
  starts.keep(7, 1, buffer, 30, 3);
  assertEquals(starts.take(7), { fwd: "0102030405060708090a0b0c0d0e0f10", bwd: "1e1f20" });
  assertEquals(starts.take(7), null);
  starts.keep(8, 1, buffer, 0, 1);
  assertEquals(starts.take(8), { bwd: "00" });
  // Payload that was not captured.
  starts.keep(9, 0, buffer, 0, 0);
  assertEquals(starts.take(9), null);
});

Deno.test("of two flows that want one place the newer has it", () => {
  const starts = new FirstOctets();
  starts.keep(3, 0, buffer, 0, 2);
  starts.keep(3, 1, buffer, 2, 2);
  starts.keep(3 + 65_536, 0, buffer, 4, 2);
  assertEquals(starts.take(3), null);
  assertEquals(starts.take(3 + 65_536), { fwd: "0405" });
});

Deno.test("a flow with a name tells no octets, one without does, whether facts were read in it or not", () => {
  const join = new FactsJoin(64);
  const lane = {
    takeFacts: (flowId: number, segment: number, out: Parameters<FactsJoin["take"]>[2]) =>
      join.take(flowId, segment, out),
  };
  for (const flow of [1, 2, 3]) join.noteStart(flow, 0, buffer, 0, 4);
  join.add(1, 0, columnsOf({ protocols: "raw:ip:tcp:telnet" }));
  join.add(2, 0, columnsOf({ protocols: "raw:ip:tcp:data:ntlmssp", aaaa: "eve" }));
  assertEquals(takenFrom(lane, 1), { app_protocol: "telnet", facts: null });
  assertEquals(
    takenFrom(lane, 2).facts?.first,
    takenFrom(lane, 2).app_protocol === "" ? { fwd: "00010203" } : undefined,
  );
  assertEquals(takenFrom(lane, 3), { app_protocol: "", facts: { first: { fwd: "00010203" } } });
  join.noteStart(3, 1, buffer, 4, 2);
  assertEquals(takenFrom(lane, 3, 1), { app_protocol: "", facts: { first: { bwd: "0405" } } });
});
