/** Where a canary comes from, and that it really is sent. @module */

import { assertEquals, assertMatch } from "@std/assert";
import { canarySource, sendCanary } from "../../../sensor/run/canary_sender.ts";
import { systemClock } from "../../../shared/clock.ts";
import { communityId } from "../../../shared/community_id.ts";

const one = (name: string, family: string, address: string) => ({ name, family, address });

Deno.test("a canary comes from the IPv4 address of its interface, else from its link-local one, else from none", () => {
  const addresses = [
    one("lo", "IPv4", "127.0.0.1"),
    one("eth0", "IPv6", "fe80::1"),
    one("eth0", "IPv6", "2001:db8::1"),
    one("eth0", "IPv4", "192.0.2.5"),
    one("eth1", "IPv6", "2001:db8::2"),
    one("eth1", "IPv6", "fe80::2%eth1"),
    one("eth2", "IPv6", "2001:db8::3"),
    one("eth10", "IPv4", "192.0.2.10"),
  ];
  assertEquals(canarySource("eth0", addresses), { family: 4, address: "192.0.2.5" });
  assertEquals(canarySource("eth1", addresses), { family: 6, address: "fe80::2" });
  assertEquals(canarySource("eth2", addresses), null);
  assertEquals(canarySource("any", addresses), null);
});

Deno.test("a canary is a datagram from a new port each time, and its flow is known by that", async () => {
  const sent = [];
  for (let i = 0; i < 3; i++) sent.push(await sendCanary("lo", { clock: systemClock }));
  const ids = sent.map((sending) => "communityId" in sending ? sending.communityId : sending.problem);
  for (const id of ids) assertMatch(id, /^1:[A-Za-z0-9+/]{27}=$/);
  assertEquals(new Set(ids).size, 3);
  const flows = Array.from(
    { length: 65_535 },
    (_, port) =>
      communityId({
        protocol: "udp",
        src_ip: "127.0.0.1",
        dst_ip: "239.255.86.1",
        src_port: port + 1,
        dst_port: 8_601,
      }),
  );
  assertEquals(ids.every((id) => flows.includes(id)), true);
});

Deno.test("what keeps a canary from being sent is said in words", async () => {
  const none = await sendCanary("picket-none", { clock: systemClock });
  assertEquals(none, { problem: "it has no address to send from" });
  for (const address of ["192.0.2.77", "not an address"]) {
    const foreign = await sendCanary("eth9", {
      clock: systemClock,
      addresses: () => [one("eth9", "IPv4", address)],
    });
    assertMatch("problem" in foreign ? foreign.problem : "it was sent", /^it could not be sent: \S/);
  }
  const gone = await sendCanary("eth9", {
    clock: systemClock,
    addresses: () => [one("eth9", "IPv6", "fe80::77")],
  });
  assertMatch("problem" in gone ? gone.problem : "it was sent", /^it could not be sent: \S/);
});
