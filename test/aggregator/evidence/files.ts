/** Capture files for tests of evidence, in the form sensors upload. @module */

export interface Shape {
  times: readonly number[];
  /** Octets of each packet, a multiple of four. */
  length?: number;
  linkType?: number;
}

/** A file as a sensor writes it: interface descriptions without options. */
export function uploadOf({ times, length = 60, linkType = 1 }: Shape): Uint8Array {
  const section = [0x0a0d0d0a, 28, 0x1a2b3c4d, 1, -1, -1, 28];
  const described = [1, 20, linkType, 0, 20];
  const size = 32 + length;
  const octets = new Array(length / 4).fill(0x07070707);
  const packets = times.flatMap((timeUs) => {
    const stamp = [Math.floor(timeUs / 2 ** 32), timeUs >>> 0];
    return [6, size, 0, ...stamp, length, length + 40, ...octets, size];
  });
  return new Uint8Array(
    new Int32Array([...section, ...described, ...packets].map((word) => word | 0)).buffer,
  );
}
