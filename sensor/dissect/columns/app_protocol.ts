/** Names the application protocol of a packet, and says how its columns are to be read.
 *
 * In: `frame.protocols` as tshark writes it ("eth:ethertype:ip:tcp:tls"). Out: a family (which reader takes the
 * columns) and a stable lower-case name for `app_protocol` ("" = not recognised).
 * Invariant: the answer for one text never changes;
 * answers are kept for the texts seen most recently, at most {@link textsMax}.
 * @module */

/** Which fields the shared columns hold. */
export type Family =
  | "dns"
  | "tls"
  | "gquic"
  | "http"
  | "ssh"
  | "dhcp"
  | "ftp"
  | "smb"
  | "sip"
  | "pop"
  | "imap"
  | "smtp"
  | "other";

export interface PacketProtocols {
  family: Family;
  app: string;
  quic: boolean;
  hasKerberos: boolean;
}

const textsMax = 4_096;
const transports = new Set(["tcp", "udp", "sctp", "udplite", "dccp"]);
/** Layers that only carry another protocol, and names that say nothing. */
const wrappers = new Set([
  "nbss",
  "nbdgm",
  "tpkt",
  "cotp",
  "data",
  "gss-api",
  "spnego",
  "spnego-krb5",
  "_ws.malformed",
  "_ws.short",
  "_ws.unreassembled",
  "ip.options",
  "classicstun",
  "msmms",
]);
const renamed: Readonly<Record<string, string>> = {
  ssl: "tls",
  gquic: "quic",
  smb2: "smb",
  "smb_netlogon": "smb",
  krb4: "kerberos",
  "t125": "rdp",
  "tds": "mssql",
  mbtcp: "modbus",
  "iec60870_104": "iec104",
  bvlc: "bacnet",
  "bt-dht": "bittorrent",
  "bt-utp": "bittorrent",
  "s7comm_plus": "s7comm",
  "ftp-data": "ftp-data",
};
const nameShape = /^[a-z0-9._-]{1,32}$/;

const known = new Map<string, PacketProtocols>();

/** Reads `frame.protocols`. */
export function readProtocols(text: string): PacketProtocols {
  const seen = known.get(text);
  if (seen) return seen;
  if (known.size >= textsMax) known.clear();
  // A part of a string keeps the whole in memory; joined anew it is a string of its own.
  const copy = text.split(":").join(":");
  const layers = text.toLowerCase().split(":");
  const answer = {
    family: familyOf(layers),
    app: appOf(layers),
    quic: layers.includes("quic"),
    hasKerberos: layers.includes("kerberos") || layers.includes("spnego-krb5"),
  };
  known.set(copy, answer);
  return answer;
}

function familyOf(layers: readonly string[]): Family {
  const has = (name: string) => layers.includes(name);
  if (has("gquic")) return "gquic";
  if (has("tls") || has("ssl") || has("quic")) return "tls";
  if (has("dns") || has("mdns") || has("llmnr")) return "dns";
  if (has("http") || has("http2") || has("ssdp")) return "http";
  if (has("ssh")) return "ssh";
  if (has("dhcp") || has("bootp")) return "dhcp";
  if (has("ftp")) return "ftp";
  if (has("smb2") || has("smb")) return "smb";
  if (has("sip")) return "sip";
  if (has("pop")) return "pop";
  if (has("imap")) return "imap";
  if (has("smtp")) return "smtp";
  return "other";
}

/** First telling layer above the innermost transport. */
function appOf(layers: readonly string[]): string {
  let transport = -1;
  for (let i = 0; i < layers.length; i++) if (transports.has(layers[i])) transport = i;
  if (transport < 0) return "";
  // On a port of HTTP tshark names that first, though nothing but its successor is spoken.
  if (layers.includes("http2", transport)) return "http2";
  for (let i = transport + 1; i < layers.length; i++) {
    if (wrappers.has(layers[i])) continue;
    const name = renamed[layers[i]] ?? layers[i];
    return nameShape.test(name) ? name : "";
  }
  return layers.includes("nbss") ? "nbss" : "";
}
