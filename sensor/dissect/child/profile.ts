/** The configuration folder a dissector child runs with: an allow-list of dissectors, nothing of the user's.
 *
 * In: the protocols and version of the tshark at hand. Out: a folder with `disabled_protos`, and the `-o` preferences.
 * Invariant: whatever tshark knows and {@link allowedProtocols} does not name is disabled, so a flaw in one of its
 * 2,700 other dissectors cannot be reached from the wire. Why a file: tshark 4.0 has no `--disable-all-protocols`.
 * @module */

/** What stands on top of an IP header, which is where every packet handed to a child begins: the transports, and the
 * applications whose names or facts we report. No link layers: the decoder has read those. */
export const allowedProtocols: ReadonlySet<string> = new Set(
  `frame pkt_comment _ws.malformed _ws.short _ws.unreassembled _ws.expert data
  raw ip ipv6 ipv6.hopopts ipv6.routing ipv6.dstopts ipv6.fraghdr ah icmp icmpv6 tcp udp udplite sctp vxlan geneve gtp teredo l2tp
  dns mdns llmnr nbns nbdgm nbss netbios tls dtls x509if x509af x509ce x509sat pkix1explicit pkix1implicit pkcs-1 ocsp
  quic gquic http http2 ssdp ssh dhcp dhcpv6 ftp ftp-data smtp imf pop imap irc telnet sip sdp rtp rtcp rtsp stun classicstun turnchannel
  smb smb2 smb_netlogon browser mailslot ntlmssp gss-api spnego spnego-krb5 kerberos ldap cldap dcerpc tpkt cotp rdp t125 vnc socks proxy
  ntp snmp tftp syslog radius mqtt coap mysql pgsql tds mongo memcache amqp bgp rip ospf bittorrent bt-dht bt-utp gnutella edonkey
  openvpn wg isakmp udpencap wsp bitcoin kafka websocket
  mbtcp modbus s7comm dnp3 enip cip opcua bacnet bvlc iec60870_104 iec60870_asdu`.split(/\s+/),
);

/** Preferences of every child. */
export const preferences: readonly string[] = [
  // Bodies are not needed: a header is told when it is complete, not when the last byte of a download is.
  "http.desegment_body:FALSE",
  // The chooser leaves retransmissions out itself, and holes between chosen packets are no errors.
  "tcp.analyze_sequence_numbers:FALSE",
  "tcp.desegment_tcp_streams:TRUE",
];

/** Lines of `disabled_protos`, from the output of `tshark -G protocols` (name, short name, filter name by tabs). */
export function disabledProtocols(protocolList: string): string {
  const disabled = new Set<string>();
  for (const line of protocolList.split("\n")) {
    const filter = line.split("\t")[2]?.trim();
    if (filter && !allowedProtocols.has(filter)) disabled.add(filter);
  }
  return [...disabled].join("\n") + "\n";
}

/** "4.0.17" from the output of `tshark --version`; null when there is none. */
export function readVersion(text: string): string | null {
  return /\b(\d+\.\d+\.\d+)\b/.exec(text)?.[1] ?? null;
}
