/** Tests of what is said beside a threat about sensors that saw nothing meanwhile. @module */

import { assertEquals } from "@std/assert";
import type { Threat } from "../../../aggregator/model/threat.ts";
import { threat } from "../store/rows.ts";
import { startFixture, TestSensor } from "./fixture.ts";

const atS = 1_799_000_000;

function spot(id: string, change: Partial<Threat>): Threat {
  return {
    ...threat(id),
    identity: id,
    detector: "sensor_blind",
    network: "lab",
    src_ips: [],
    dst_ips: [],
    flow_ids: [],
    status: "closed",
    ...change,
  };
}

Deno.test("a threat names the sensors of its network that were blind or silent meanwhile, and no others", async () => {
  const fixture = await startFixture(), roof = new TestSensor("roof");
  await roof.enrol(fixture);
  const attack = {
    ...threat("0000000000000001"),
    network: "lab",
    first_seen: atS,
    last_seen: atS + 600,
    flow_ids: [],
  };
  const of = { sensors: [roof.id] };
  await fixture.services.store.saveThreats([
    attack,
    spot("0000000000000002", { ...of, first_seen: atS - 60, last_seen: atS + 60 }),
    spot("0000000000000003", { ...of, first_seen: atS - 90, last_seen: atS - 1 }),
    spot("0000000000000004", { ...of, first_seen: atS + 601, last_seen: atS + 900 }),
    spot("0000000000000005", { ...of, network: "other", first_seen: atS, last_seen: atS + 9 }),
    spot("0000000000000006", {
      ...of,
      detector: "sensor_unreachable",
      first_seen: atS - 900,
      last_seen: atS + 900,
      status: "open",
    }),
    spot("0000000000000007", { ...of, detector: "sensor_clock", first_seen: atS, last_seen: atS + 9 }),
  ]);
  const said = async (id: string) =>
    (await fixture.ask("GET", `/api/v1/threats/${id}`, { role: "viewer" })).body.not_evaluable;
  assertEquals(await said("0000000000000001"), [
    "not evaluable: sensor roof was blind from 2027-01-03 18:12:20 UTC to 2027-01-03 18:14:20 UTC",
    "not evaluable: sensor roof was out of contact from 2027-01-03 17:58:20 UTC to now; what it has in its spool comes later",
  ]);
  assertEquals(await said("0000000000000002"), [], "of a sensor itself nothing is said");
  await fixture.stop();
});
