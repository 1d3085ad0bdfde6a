/** Slots: which tshark fields are read, and which output column each one comes in.
 *
 * In: nothing. Out: the `gui.column.format` preference for tshark, and {@link slotCount} columns a line.
 * Invariant: two fields share a slot only when no packet can hold both;
 * what the packet is (`frame.protocols`) says which it was.
 * Why columns and not `-T fields`: tshark builds and labels its whole tree for `-T fields`; with `-T tabs` and custom
 * columns it keeps the named fields only. The same values cost half the time, tabs and control characters inside values
 * come escaped, and a value is cut at 2,048 characters. Why shared: each column costs 0.3 us a packet whatever it
 * holds, so 69 fields travel in 20 columns. Occurrences of one field are joined by commas; what may hold a comma itself
 * is split by counting, see `split.ts`. @module */

/** Fields of each slot; `:0:U` below asks for every occurrence, numbers unresolved. */
const slots = {
  frame: ["frame.number"],
  protocols: ["frame.protocols"],
  kind: [
    "dns.id",
    "tls.handshake.type",
    "http.request.method",
    "http2.headers.method",
    "dhcp.option.dhcp",
    "ssh.protocol",
    "ftp.request.command",
    "smb2.cmd",
    "smb.cmd",
    "sip.Method",
    "gquic.tag.sni",
    "pop.request.command",
    "imap.request.command",
    "smtp.req.command",
  ],
  status: [
    "dns.flags.response",
    "tls.handshake.version",
    "http.response.code",
    "http2.headers.status",
    "ftp.response.code",
    "smb2.nt_status",
    "smb.nt_status",
    "ssh.direction",
    "pop.response.indicator",
    "imap.response.status",
    "smtp.response.code",
    "sip.Status-Code",
  ],
  rcode: ["dns.flags.rcode", "tls.handshake.extensions.supported_version", "kerberos.padata_type"],
  questions: ["dns.count.queries", "tls.handshake.ciphersuite", "kerberos.ENCTYPE"],
  // The three counts of each message come one list after the other.
  answers: [
    "dns.count.answers",
    "dns.count.auth_rr",
    "dns.count.add_rr",
    "tls.handshake.extension.type",
    "kerberos.etype",
  ],
  name: [
    "dns.qry.name",
    "tls.handshake.extensions_server_name",
    "http.host",
    "http2.headers.authority",
    "ssh.kex.hassh",
    "dhcp.option.hostname",
    "ftp.request.arg",
    "smb2.tree",
    "smb.path",
    "pop.request.parameter",
    "imap.request",
    "smtp.req.parameter",
    "sip.auth.username",
  ],
  type: [
    "dns.qry.type",
    "tls.handshake.sig_hash_alg",
    "sip.r-uri",
    "kerberos.sname_string",
    "dhcp.option.request_list_item",
    "smb2.dialect",
    "smb.dialect.index",
    "http.content_length_header",
  ],
  responseType: ["dns.resp.type", "x509if.oid", "quic.version", "gquic.version", "kerberos.realm"],
  a: ["dns.a", "x509sat.DirectoryString", "dhcp.option.requested_ip_address", "ntlmssp.auth.hostname"],
  aaaa: ["dns.aaaa", "x509af.utcTime", "ntlmssp.auth.username", "dhcp.option.domain_name_server"],
  cname: [
    "dns.cname",
    "x509sat.uTF8String",
    "smb2.filename",
    "smb.file",
    "sip.to.user",
    "dhcp.option.router",
    "http.referer",
  ],
  ns: ["dns.ns", "x509sat.printableString", "kerberos.CNameString", "dhcp.option.dhcp_server_id"],
  ptr: ["dns.ptr.domain_name", "tls.handshake.ja3", "kerberos.msg_type"],
  mx: ["dns.mx.mail_exchange", "tls.handshake.ja3s", "kerberos.error_code", "dhcp.hw.mac_addr"],
  srv: [
    "dns.srv.target",
    "tls.handshake.extensions_alpn_str",
    "http.request.uri",
    "sip.CSeq.method",
    "dhcp.ip.your",
    "http2.headers.path",
  ],
  text: [
    "dns.txt",
    "tls.handshake.sig_hash_alg_len",
    "http.user_agent",
    "http2.headers.user_agent",
    "dhcp.option.vendor_class_id",
    "sip.User-Agent",
  ],
  service: [
    "dns.svcb.targetname",
    "x509sat.teletexString",
    "http.content_type",
    "http2.headers.content_type",
    "rdp.rt_cookie",
  ],
  bytes: ["dns.null", "x509af.rdnSequence", "x509if.rdnSequence", "kerberos.SNameString"],
} as const;

export type SlotName = keyof typeof slots;

/** Index of each slot in a line. */
export const slot = Object.fromEntries(Object.keys(slots).map((name, index) => [name, index])) as {
  readonly [name in SlotName]: number;
};

/** Columns of one line. */
export const slotCount = Object.keys(slots).length;

/** Every field read, once. */
export const slotFields: readonly string[] = Object.values(slots).flat();

/** Value of tshark's `gui.column.format`; `known` drops fields this version of tshark does not have. */
export function columnFormat(known: (field: string) => boolean = () => true): string {
  return Object.entries(slots).map(([name, fields]) => {
    const kept = fields.filter(known);
    return `"${name}","%Cus:${(kept.length > 0 ? kept : ["frame.ignored"]).join(" || ")}:0:U"`;
  }).join(",");
}
