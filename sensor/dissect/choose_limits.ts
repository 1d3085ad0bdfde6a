/** How many packets of each kind the chooser hands to the deep lane. @module */

export const bounds = {
  /** Payload packets each way of a flow that nothing recognises: mostly enough for tshark to name the protocol. */
  firstTcpPackets: 1,
  firstUdpPackets: 1,
  firstQuicPortPackets: 3,
  /** After an SSH banner: the key exchange, for its fingerprint. */
  sshPackets: 3,
  /** After the banner of an SSH server: the answers to the key exchange and to all tries that servers allow. They are
   * measured, not dissected. */
  sshAnswers: 32,
  /** Payload packets each way of HTTP/2 without TLS, the first ones: its headers refer to those before. They cost a
   * tenth of what a packet for the dissector does. */
  http2Packets: 250,
  /** Lines each way of FTP; of SMTP, POP, IMAP and IRC only the first ones, up to STARTTLS. */
  ftpPacketsMax: 250,
  textPacketsMax: 12,
  textBytesMax: 1_024,
  /** Chosen packets each way of kinds without another bound (SMB, SIP, QUIC, fragments, ICMP errors). */
  kindPacketsMax: 250,
  /** Segments that may continue one HTTP header or one TLS flight. */
  headerSegmentsMax: 16,
  flightSegmentsMax: 24,
} as const;
