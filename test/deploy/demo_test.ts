/** The bundled capture: the one its script makes, without a fault that tshark would see,
 * without a foreign address or name. @module */

import { assert, assertEquals } from "@std/assert";
import { isPrivateIp, parseIp } from "../../shared/ip.ts";
import { makeOfficeDay } from "../../deploy/demo/make.ts";

const path = new URL("../../deploy/demo/office-day.pcap", import.meta.url).pathname;

async function tshark(...args: string[]): Promise<string[]> {
  const checks = ["ip.check_checksum", "tcp.check_checksum", "udp.check_checksum"].flatMap((
    name,
  ) => ["-o", `${name}:TRUE`]);
  const { success, stdout } = await new Deno.Command("tshark", {
    args: ["-n", "-r", path, ...checks, ...args],
    stdout: "piped",
    stderr: "null",
  }).output();
  assert(success);
  return new TextDecoder().decode(stdout).split("\n").filter((line) => line !== "");
}

Deno.test("demo capture is exactly what its script makes, and small", async () => {
  const stored = await Deno.readFile(path);
  const made = makeOfficeDay().toPcap();
  assertEquals(stored.length, made.length);
  assert(stored.every((byte, i) => byte === made[i]), "run deploy/demo/make.ts");
  assert(stored.length < 700_000);
});

Deno.test("demo capture has no bad checksum and no malformed packet", async () => {
  const bad =
    "_ws.malformed || ip.checksum.status==0 || tcp.checksum.status==0 || udp.checksum.status==0 || icmp.checksum.status==0";
  assertEquals(await tshark("-Y", bad), []);
});

Deno.test("demo capture holds only addresses and names reserved for documentation or private use", async () => {
  const fields = ["ip.src", "ip.dst", "dns.qry.name", "tls.handshake.extensions_server_name", "http.host"];
  const rows = await tshark("-T", "fields", ...fields.flatMap((field) => ["-e", field]));
  const ips = new Set<string>(), names = new Set<string>();
  for (const row of rows) {
    const [from, to, ...found] = row.split("\t");
    for (const ip of [from, to]) if (ip) ips.add(ip);
    for (const name of found) if (name) names.add(name);
  }
  for (const ip of ips) {
    const [a, b, c] = parseIp(ip)!;
    const isReserved = [[192, 0, 2], [198, 51, 100], [203, 0, 113]].some(([x, y, z]) =>
      a === x && b === y && c === z
    );
    assert(isReserved || isPrivateIp(ip), ip);
  }
  for (const name of names) assert(/(^|\.)example\.(com|net|org)$|\.local$/.test(name), name);
  assert(names.size > 100);
});
