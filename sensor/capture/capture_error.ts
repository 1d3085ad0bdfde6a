/** What can be wrong with the bytes of a capture.
 *
 * Out: a closed list; every reader stops at the first of these and keeps what it read before.
 * Why values: a damaged file is ordinary input; whoever asked for it decides whether that is an error. @module */

export const captureErrors = [
  /** There is not one octet. */
  "empty_file",
  /** The first bytes are those of no capture format. */
  "not_a_capture",
  /** The capture ends in the middle of a header, record or block. */
  "cut_capture",
  /** A record claims a length that no packet can have. */
  "bad_record",
  /** A pcapng block's length or content contradicts itself. */
  "bad_block",
  /** Compressed in a way that is not read here. */
  "unknown_compression",
  /** What is compressed is damaged. */
  "bad_compression",
  /** Reading from the disk or the pipe failed. */
  "read_failed",
] as const;
export type CaptureError = typeof captureErrors[number];

/** The same in a sentence's end: "capture.pcap: <text>". */
export const captureErrorTexts: Readonly<Record<CaptureError, string>> = {
  empty_file: "the file is empty",
  not_a_capture: "not a capture file (neither pcap nor pcapng)",
  cut_capture: "the capture is cut short in the middle of a packet; everything before the cut was used",
  bad_record: "a packet record has an impossible length; everything before it was used",
  bad_block: "a pcapng block is damaged; everything before it was used",
  unknown_compression: "compressed in a way that is not read here (gzip, zstd and LZ4 are); unpack it first",
  bad_compression: "the compressed data is damaged; everything before the damage was used",
  read_failed: "reading failed; everything read before was used",
};

/** Captured octets of one packet; Wireshark refuses longer ones too. */
export const packetBytesMax = 262_144;

/** Takes packets one at a time, in the order of the capture. The buffer is reused as soon as this returns. `timeUs` is
 * what the capture says, which may be no time at all, see {@link isTimeUs}. */
export interface PacketHandler {
  packet(
    buffer: Uint8Array,
    offset: number,
    capturedLength: number,
    wireLength: number,
    timeUs: number,
    linkType: number,
  ): void;
}

/** Parses the records of one format out of a buffer that is refilled. */
export interface RecordParser {
  /** Parses whole records in `bytes[from, to)`; returns where the first incomplete one begins (may lie past `to`:
   * skip up to there). */
  parse(bytes: Uint8Array, from: number, to: number): number;
  /** Set when nothing more can be read. */
  readonly error: CaptureError | null;
  /** Packets lost by the kernel or the interface, as far as the capture says. */
  readonly drops: number;
  /** Which interface of the capture the packet being handed on is of; absent where the format knows one only. */
  readonly interfaceIndex?: number;
}

/** Largest stamp that is taken for one, the last of 32-bit seconds (February 2106):
 * two of them add up to less than 2^53. */
export const timeUsMax = 4_294_967_295_999_999;

/** Stamp of a packet whose capture says none. */
export const noStamp = NaN;

/** Whether this can be the time of a packet. */
export function isTimeUs(timeUs: number): boolean {
  return timeUs >= 0 && timeUs <= timeUsMax;
}

/** Longest frame that is believed to have been on the wire. Segmentation offload makes frames of half a mebibyte. */
export const wireBytesMax = 16 * 1024 * 1024;
