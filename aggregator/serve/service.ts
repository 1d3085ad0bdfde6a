/** Starts the service that a package installed, for commands that run as root.
 *
 * Out: what came of it. Invariant: nothing is tried where systemd does not run or the service is not installed.
 * @module */

const unit = "picket-aggregator.service";

/** Null = there is no such service here, or nobody to start it. */
export async function startService(): Promise<"started" | "failed" | null> {
  const isBooted = await Deno.stat("/run/systemd/system").then((info) => info.isDirectory, () => false);
  if (!isBooted || Deno.uid() !== 0 || !await systemctl("cat", unit)) return null;
  // Restarted, as it may run already with another address.
  return await systemctl("enable", unit) && await systemctl("restart", unit) ? "started" : "failed";
}

async function systemctl(...args: string[]): Promise<boolean> {
  try {
    const { success } = await new Deno.Command("systemctl", {
      args,
      stdin: "null",
      stdout: "null",
      stderr: "null",
    })
      .output();
    return success;
  } catch {
    return false; // Not there, or not permitted.
  }
}
