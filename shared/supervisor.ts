/** Tells systemd how a service is: ready, alive, stopping.
 *
 * In: the variables systemd sets for a service of `Type=notify`. Out: a {@link Supervisor}; null where nobody listens.
 * Invariant: telling never fails a program and never keeps it waiting; `alive` is sent at most three times in the span
 * after which systemd would end the program.
 * Why a socket of our own: a datagram can be sent from a bound socket alone,
 * so one lies in the runtime folder while we run.
 * @module */

import type { Clock } from "./clock.ts";

export interface Supervisor {
  /** The work has begun. */
  ready(): void;
  /** The work goes on; to be called from where it is done. */
  alive(): void;
  stopping(): void;
}

/** A way to send datagrams to one path. */
export interface Datagrams {
  send(text: string): Promise<unknown>;
  close(): void;
}

const timesInSpan = 3;

export function createSupervisor(
  options: { env: (name: string) => string | undefined; pid: number },
  deps: { clock: Clock; open?: (own: string, to: string) => Datagrams },
): Supervisor | null {
  const { env, pid } = options;
  const { clock, open = openDatagrams } = deps;
  const to = env("NOTIFY_SOCKET");
  const folder = env("RUNTIME_DIRECTORY");
  if (!to?.startsWith("/") || !folder?.startsWith("/")) return null;
  // Meant for the process that systemd started, not for one that inherits its variables.
  if (env("SYSTEMD_EXEC_PID") !== undefined && env("SYSTEMD_EXEC_PID") !== String(pid)) return null;
  let datagrams: Datagrams;
  try {
    // Open for as long as the process lives: what ends it is still told.
    datagrams = open(`${folder}/notify-${pid}`, to);
  } catch {
    return null; // A folder that cannot be written: systemd will say that we never became ready.
  }
  const tell = (text: string) => void datagrams.send(text).catch(() => undefined);
  const watchdogMs = Number(env("WATCHDOG_USEC") ?? NaN) / 1_000;
  let toldMs = -Infinity;
  return {
    ready: () => tell("READY=1"),
    alive() {
      const nowMs = clock.monotonicMs();
      if (!(nowMs - toldMs >= watchdogMs / timesInSpan)) return;
      toldMs = nowMs;
      tell("WATCHDOG=1");
    },
    stopping: () => tell("STOPPING=1"),
  };
}

export function openDatagrams(own: string, to: string): Datagrams {
  const socket = Deno.listenDatagram({ transport: "unixpacket", path: own });
  return {
    send: (text) => socket.send(new TextEncoder().encode(text), { transport: "unixpacket", path: to }),
    close: () => socket.close(),
  };
}
