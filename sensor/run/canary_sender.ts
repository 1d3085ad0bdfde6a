/** Sends a canary on an interface, as any program without rights may.
 *
 * In: an interface, the addresses of this machine. Out: the Community ID of the flow that the datagram is, or why none
 * could be sent.
 * Invariant: from a port of its own each time, so that no two canaries are one flow; nothing is ever received.
 * Why bound to the interface's address: by that Linux chooses the interface that a group is reached through, whatever
 * its routes are. @module */

import { createSocket, type Socket } from "node:dgram";
import { canaryGroup4, canaryGroup6, canaryPort } from "../../shared/canary.ts";
import type { Clock } from "../../shared/clock.ts";
import { communityId } from "../../shared/community_id.ts";
import type { CanarySending } from "../control/canary.ts";

const payload = "picket canary\n";
const sendMsMax = 2_000;

export interface InterfaceAddress {
  name: string;
  family: string;
  address: string;
}

/** Where a canary of this interface comes from: its IPv4 address, else its link-local one; null = it has neither. */
export function canarySource(
  name: string,
  addresses: readonly InterfaceAddress[],
): { family: 4 | 6; address: string } | null {
  const own = addresses.filter((one) => one.name === name);
  const ipv4 = own.find(({ family }) => family === "IPv4");
  if (ipv4) return { family: 4, address: ipv4.address };
  const local = own.find(({ family, address }) => family === "IPv6" && /^fe[89ab]/i.test(address));
  return local ? { family: 6, address: local.address.replace(/%.*$/, "") } : null;
}

/** Never rejects. */
export async function sendCanary(
  name: string,
  { clock, addresses = systemAddresses }: { clock: Clock; addresses?: () => readonly InterfaceAddress[] },
): Promise<CanarySending> {
  const source = canarySource(name, addresses());
  if (source === null) return { problem: "it has no address to send from" };
  const { family, address } = source;
  const dst = family === 4 ? canaryGroup4 : canaryGroup6;
  const zone = family === 4 ? "" : `%${name}`;
  const socket = createSocket(family === 4 ? "udp4" : "udp6");
  const given = new AbortController();
  try {
    const late = clock.sleep(sendMsMax, given.signal).then(() =>
      Promise.reject(new Error("it took too long"))
    );
    const src_port = await Promise.race([sendFrom(socket, address + zone, dst + zone), late]);
    const flow = { protocol: "udp", src_ip: address, dst_ip: dst, src_port, dst_port: canaryPort };
    return { communityId: communityId(flow) };
  } catch (error) {
    return { problem: `it could not be sent: ${(error as Error).message}` };
  } finally {
    given.abort();
    socket.close();
  }
}

/** Returns the port that it came from. */
function sendFrom(socket: Socket, from: string, to: string): Promise<number> {
  return new Promise((resolve, reject) => {
    socket.on("error", reject);
    socket.bind({ address: from, port: 0 }, () => {
      const { port } = socket.address();
      socket.send(payload, canaryPort, to, (error) => error ? reject(error) : resolve(port));
    });
  });
}

function systemAddresses(): readonly InterfaceAddress[] {
  try {
    return Deno.networkInterfaces();
  } catch {
    return [];
  }
}
