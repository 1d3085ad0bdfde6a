/** Interfaces of this machine: what dumpcap can open, joined with the addresses the system knows.
 *
 * In: the output of `dumpcap -D`, the system's addresses. Out: one entry an interface, in dumpcap's order.
 * Why not all of dumpcap's: Bluetooth, DBus, USB and the like are no networks;
 * they are left out unless they have an address. @module */

import { CommandError, exitCodes } from "../../shared/command.ts";
import type { CaptureInterface } from "./stages.ts";

const notNetworks =
  /^(bluetooth|dbus|nflog|nfqueue|usbmon|randpkt|sdjournal|udpdump|ciscodump|sshdump|dpauxmon)/;

/** Reads lines like `3. lo (Loopback)`. */
export function readInterfaces(
  text: string,
  addresses: readonly { name: string; address: string }[],
): CaptureInterface[] {
  const found: CaptureInterface[] = [];
  for (const line of text.split("\n")) {
    const parts = /^\d+\. (\S+)(?: \((.*)\))?/.exec(line);
    if (!parts) continue;
    const [, name, description = ""] = parts;
    const own = addresses.filter((entry) => entry.name === name).map((entry) => entry.address);
    if (own.length === 0 && notNetworks.test(name)) continue;
    found.push({
      name,
      description,
      addresses: own,
      isLoopback: name === "lo" || own.some((address) => address === "127.0.0.1" || address === "::1"),
      isUp: own.length > 0,
    });
  }
  return found;
}

/** Asks dumpcap. @throws {CommandError} when it cannot be run. */
export async function listInterfaces(dumpcapPath: string): Promise<CaptureInterface[]> {
  let output: Deno.CommandOutput;
  try {
    output = await new Deno.Command(dumpcapPath, {
      args: ["-D"],
      stdin: "null",
      stdout: "piped",
      stderr: "piped",
    }).output();
  } catch (cause) {
    const isMissing = cause instanceof Deno.errors.NotFound;
    const why = isMissing
      ? "it is not installed (Debian: apt install tshark)"
      : `it may not be run: ${(cause as Error).message}`;
    throw new CommandError(exitCodes.environment, `Cannot use dumpcap as ${why}`, { cause });
  }
  if (output.code !== 0) {
    const said = new TextDecoder().decode(output.stderr).trim().split("\n")[0];
    throw new CommandError(exitCodes.environment, `Cannot list interfaces: dumpcap said "${said}"`);
  }
  return readInterfaces(new TextDecoder().decode(output.stdout), systemAddresses());
}

function systemAddresses(): { name: string; address: string }[] {
  try {
    return Deno.networkInterfaces();
  } catch {
    return []; // Without the permission to ask, the list is merely less telling.
  }
}
