/** Capture files for tests of evidence, in the form sensors upload. @module */

import { writeCapture } from "../../../aggregator/evidence/pcapng.ts";

export interface Shape {
  times: readonly number[];
  /** Octets of each packet. */
  length?: number;
  linkType?: number;
}

/** A file as a sensor writes it: interface descriptions without options. */
export function uploadOf({ times, length = 60, linkType = 1 }: Shape): Uint8Array {
  const packet = (timeUs: number) => ({
    timeUs,
    wireLength: length + 40,
    linkType,
    bytes: new Uint8Array(length).fill(7),
  });
  const file = writeCapture("test", [{ name: "", comment: "", packets: times.map(packet) }]);
  // The writer of downloads gives interfaces names; a sensor does not.
  const view = new DataView(file.buffer);
  const section = view.getUint32(4, true);
  if (times.length === 0) return file.slice(0, section);
  const described = view.getUint32(section + 4, true);
  const bare = new Uint8Array(20);
  const bareView = new DataView(bare.buffer);
  bareView.setUint32(0, 1, true);
  bareView.setUint32(4, 20, true);
  bareView.setUint16(8, linkType, true);
  bareView.setUint32(16, 20, true);
  const rest = file.subarray(section + described);
  const upload = new Uint8Array(section + 20 + rest.length);
  upload.set(file.subarray(0, section));
  upload.set(bare, section);
  upload.set(rest, section + 20);
  return upload;
}
