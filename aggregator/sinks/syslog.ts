/** Syslog as in RFC 5424: over TLS (RFC 5425) and TCP (RFC 6587) with octet counting,
 * over UDP (RFC 5426) one datagram per message.
 *
 * Invariant: one connection per message: TCP does not tell what a receiver has read, but a connection that was closed
 * cleanly has delivered what was written. UDP tells nothing; what is sent counts as delivered. @module */

import { escapeLine } from "../../shared/escape.ts";
import type { SinkMessage } from "../model/message.ts";
import { lineOf } from "./formats.ts";
import { rankOf } from "./rules.ts";
import type { Receiver } from "./sender.ts";
import type { LineFormat, SettingsOf } from "./settings.ts";

/** What every receiver of RFC 5426 should take over IPv4 and Ethernet without fragments. */
const datagramMax = 1_400;
/** Facility 13, log audit. */
const facility = 13;
/** Critical, error, warning, notice, informational. */
const syslogSeverities = [6, 5, 4, 3, 2];

export function syslog(
  { host, port, transport, format }: Pick<SettingsOf<"syslog">, "host" | "port" | "transport" | "format">,
  { ca, hostname }: { ca: string | null; hostname: string },
): Receiver {
  return {
    async send(message, signal) {
      const line = new TextEncoder().encode(syslogLine(message, format, hostname));
      if (transport === "udp") return await sendDatagram(line, host, port);
      const connection = transport === "tcp"
        ? await Deno.connect({ hostname: host, port })
        : await Deno.connectTls({ hostname: host, port, ...ca === null ? {} : { caCerts: [ca] } });
      const close = () => {
        try {
          connection.close();
        } catch {
          // It is closed.
        }
      };
      signal.addEventListener("abort", close, { once: true });
      try {
        signal.throwIfAborted(); // A connection that came too late would wait for an answer without end.
        const frame = new Uint8Array([...new TextEncoder().encode(`${line.length} `), ...line]);
        for (let sent = 0; sent < frame.length;) sent += await connection.write(frame.subarray(sent));
        // The receiver's end of the stream says that it has read ours.
        await connection.closeWrite();
        await connection.read(new Uint8Array(256));
      } finally {
        signal.removeEventListener("abort", close);
        close();
      }
    },
  };
}

export function syslogLine(message: SinkMessage, format: LineFormat, hostname: string): string {
  const { severity, at_ms, kind, id, incident, detector, network } = message;
  const priority = facility * 8 + syslogSeverities[rankOf(severity)];
  const parameters = Object.entries({ id, kind, severity, incident, detector, site: network })
    .filter(([, value]) => value !== "")
    .map(([name, value]) => ` ${name}="${escapeLine(value).replace(/[\\"\]]/g, "\\$&")}"`).join("");
  // 32473 is the enterprise number for examples (RFC 5612): we have none.
  const data = `[picket@32473${parameters}]`;
  const name = hostname.replace(/[^\x21-\x7e]/g, "").slice(0, 255) || "-";
  return `<${priority}>1 ${new Date(at_ms).toISOString()} ${name} picket - ${kind} ${data} \ufeff${
    lineOf(message, format)
  }`;
}

async function sendDatagram(line: Uint8Array, host: string, port: number): Promise<void> {
  const hostname = host.includes(":") ? "::" : "0.0.0.0";
  const socket = Deno.listenDatagram({ transport: "udp", hostname, port: 0 });
  try {
    await socket.send(line.subarray(0, datagramMax), { transport: "udp", hostname: host, port });
  } finally {
    socket.close();
  }
}
