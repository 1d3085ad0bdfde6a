/** Facts: what tshark read in the payload of one flow.
 *
 * In: the deep lane of a sensor. Out: `Segment.facts`, the store, detectors, the dashboard.
 * Invariant: every list and every string is bounded by {@link factLimits}; what was cut off is counted in `cut`.
 * Hostile: every string here was chosen by whoever sent the packet. Escape it wherever it is shown. @module */

/** Upper bounds of the facts of one flow. */
export const factLimits = {
  /** Entries of a list (DNS messages, HTTP requests, ...) per segment. */
  entriesMax: 1_024,
  /** Characters of one string. */
  charactersMax: 255,
  /** Addresses or names of one DNS answer. */
  answersMax: 16,
} as const;

/** One DNS (or mDNS, LLMNR) message. `name`/`type` are those of the question; `rcode` is null in a query. */
export interface DnsFact {
  id: number;
  name: string;
  type: string;
  /** null: a query. "NOERROR", "NXDOMAIN", ... */
  rcode: string | null;
  /** Addresses, names and text of the answer section, in order. */
  answers: string[];
}

export interface TlsFact {
  sni?: string;
  /** Version negotiated, else offered: "TLS 1.3", ... */
  version?: string;
  ja3?: string;
  ja3s?: string;
  ja4?: string;
  alpn?: string;
  cipher?: string;
  /** Subject common name and issuer of the first certificate, and its validity as ISO dates. */
  certificate_subject?: string;
  certificate_issuer?: string;
  certificate_not_after?: string;
}

/** One HTTP request or response. A request has `method`, a response has `status`. */
export interface HttpFact {
  method?: string;
  host?: string;
  uri?: string;
  user_agent?: string;
  status?: number;
  content_type?: string;
}

/** Facts of one flow in one segment. Absent = nothing read. */
export interface Facts {
  dns?: DnsFact[];
  tls?: TlsFact;
  http?: HttpFact[];
  quic?: { sni?: string; version?: string; ja4?: string };
  ssh?: { client?: string; server?: string; hassh?: string };
  dhcp?: { hostname?: string; message_type?: string; requested_ip?: string; vendor_class?: string };
  ftp?: { command: string; argument: string; reply?: number }[];
  smb?: { command?: string; tree?: string; file?: string; account?: string; status?: string }[];
  /** Anything else worth a word: NTLM user, Kerberos name, SIP method, ... keyed by tshark field name. */
  other?: Record<string, string>;
  /** Entries and characters left out because of {@link factLimits}. */
  cut?: number;
}

const names = ["dns", "tls", "http", "quic", "ssh", "dhcp", "ftp", "smb", "other", "cut"];

/** Whether `value`, from another machine, is an object of the bounds above. Strings are bounded, not trusted. */
export function areFacts(value: unknown): value is Facts {
  if (typeof value !== "object" || value === null || Array.isArray(value)) return false;
  return Object.keys(value).every((name) => names.includes(name)) && isBounded(value, 0);
}

function isBounded(value: unknown, depth: number): boolean {
  if (value === null) return true;
  if (typeof value === "string") return value.length <= factLimits.charactersMax;
  if (typeof value === "number") return Number.isFinite(value);
  if (typeof value !== "object" || depth > 4) return false;
  const parts = Array.isArray(value) ? value : Object.values(value);
  return parts.length <= factLimits.entriesMax && parts.every((part) => isBounded(part, depth + 1));
}
