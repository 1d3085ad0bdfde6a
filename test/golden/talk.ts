/** A TCP connection made octet by octet, and what the whole program says of it.
 *
 * In: payloads by direction. Out: a capture; its first flow. @module */

import type { Facts } from "../../shared/facts.ts";
import { skipLoudly } from "../services/services.ts";
import { ack, ethernet, ipv4, pcap, psh, syn, tcp } from "../sensor/frames.ts";

/** Whether a test that needs tshark is to be skipped. */
export async function needsTshark(what: string): Promise<{ ignore: boolean }> {
  const command = new Deno.Command("tshark", { args: ["--version"], stdout: "null", stderr: "null" });
  const isThere = await command.output().then(({ success }) => success, () => false);
  return isThere ? { ignore: false } : skipLoudly(what, "tshark is not installed");
}

/** Packets of a connection to `port`: payloads by direction, without the first `missing` of them. */
export function connection(
  port: number,
  payloads: readonly [isFromClient: boolean, payload: Uint8Array][],
  missing = 0,
) {
  const a = { src: "192.0.2.10", dst: "198.51.100.20" }, b = { src: a.dst, dst: a.src };
  const seq = [1_001, 5_001];
  const packets = [
    ipv4(6, tcp({ src: 41_000, dst: port, flags: syn, seq: 1_000 }), a),
    ipv4(6, tcp({ src: port, dst: 41_000, flags: syn | ack, seq: 5_000, ack: 1_001 }), b),
    ipv4(6, tcp({ src: 41_000, dst: port, flags: ack, seq: 1_001, ack: 5_001 }), a),
  ];
  for (const [isFromClient, payload] of payloads) {
    const own = isFromClient ? 0 : 1;
    const ports = isFromClient ? { src: 41_000, dst: port } : { src: port, dst: 41_000 };
    const header = { ...ports, flags: psh | ack, seq: seq[own], ack: seq[1 - own], payload };
    packets.push(ipv4(6, tcp(header), isFromClient ? a : b));
    seq[own] += payload.length;
  }
  return pcap(
    packets.slice(missing === 0 ? 0 : 3 + missing).map((packet, i) => ({
      timeUs: 1e15 + i * 1_000,
      frame: ethernet(0x0800, packet),
    })),
  );
}

/** The first flow of a capture, through the whole program. */
export async function replay(capture: Uint8Array): Promise<{ app_protocol: string; facts: Facts | null }> {
  const path = await Deno.makeTempFile({ suffix: ".pcap" });
  try {
    await Deno.writeFile(path, capture);
    const main = new URL("../../sensor/main.ts", import.meta.url).pathname;
    const args = ["run", "-A", "--no-check", main, "replay", path, "--flows"];
    const { stdout } = await new Deno.Command(Deno.execPath(), { args, stderr: "null" }).output();
    return JSON.parse(new TextDecoder().decode(stdout).split("\n")[0]);
  } finally {
    await Deno.remove(path);
  }
}
