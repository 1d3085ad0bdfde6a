/** Tells systemd how a service is: ready, alive, stopping.
 *
 * In: the variables systemd sets for a service of `Type=notify`. Out: a {@link Supervisor}; null where nobody listens.
 * Invariant: telling never fails a program and never keeps it waiting; `alive` is sent at most three times in the span after which
 * systemd would end the program.
 * Why a socket of our own: a datagram can be sent from a bound socket alone, so one lies in the runtime folder while we run.
 * @module */

import type { Clock } from "./clock.ts";

export interface Supervisor {
  /** The work has begun. */
  ready(): void;
  /** The work goes on; to be called from where it is done. */
  alive(): void;
  stopping(): void;
}

/** Sends one datagram to a path. */
export type SendDatagram = (text: string) => Promise<unknown>;

const timesInSpan = 3;

export function createSupervisor(
  options: { env: (name: string) => string | undefined; pid: number },
  deps: { clock: Clock; open?: (own: string, to: string) => SendDatagram },
): Supervisor | null {
  const { env, pid } = options;
  const { clock, open = openDatagram } = deps;
  const to = env("NOTIFY_SOCKET");
  const folder = env("RUNTIME_DIRECTORY");
  if (!to?.startsWith("/") || !folder?.startsWith("/")) return null;
  // Meant for the process that systemd started, not for one that inherits its variables.
  if (env("SYSTEMD_EXEC_PID") !== undefined && env("SYSTEMD_EXEC_PID") !== String(pid)) return null;
  let send: SendDatagram;
  try {
    send = open(`${folder}/notify-${pid}`, to);
  } catch {
    return null; // A folder that cannot be written: systemd will say that we never became ready.
  }
  const tell = (text: string) => void send(text).catch(() => undefined);
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

function openDatagram(own: string, to: string): SendDatagram {
  const socket = Deno.listenDatagram({ transport: "unixpacket", path: own });
  return (text) => socket.send(new TextEncoder().encode(text), { transport: "unixpacket", path: to });
}
