/** Options of pcapng blocks: what a description and a statistics block say beyond their fixed part.
 *
 * In: a whole block. Out: an interface, or a drop count.
 * Invariant: never reads past the block, whatever the option lengths say.
 * @module */

import { PcapngInterface } from "./pcapng_interface.ts";

const tsresolCode = 9;
const tsoffsetCode = 14;
const ifdropCode = 5;
const optionsMax = 256;

/** Reads an interface description block. */
export function readInterface(b: Uint8Array, o: number, length: number, isLittle: boolean): PcapngInterface {
  const view = new DataView(b.buffer, b.byteOffset + o, length);
  let resolution = 6;
  let offsetSeconds = 0;
  eachOption(view, 16, isLittle, (code, at, size) => {
    if (code === tsresolCode && size >= 1) resolution = view.getUint8(at);
    if (code === tsoffsetCode && size >= 8) offsetSeconds = Number(view.getBigInt64(at, isLittle));
  });
  return new PcapngInterface(
    view.getUint16(8, isLittle),
    view.getUint32(12, isLittle),
    resolution,
    offsetSeconds,
  );
}

/** Packets dropped by the interface, null when the statistics block does not say. */
export function readInterfaceDrops(
  b: Uint8Array,
  o: number,
  length: number,
  isLittle: boolean,
): number | null {
  const view = new DataView(b.buffer, b.byteOffset + o, length);
  let drops: number | null = null;
  eachOption(view, 20, isLittle, (code, at, size) => {
    if (code === ifdropCode && size >= 8) drops = Number(view.getBigUint64(at, isLittle));
  });
  return drops;
}

function eachOption(
  view: DataView,
  from: number,
  isLittle: boolean,
  use: (code: number, at: number, size: number) => void,
): void {
  const end = view.byteLength - 4;
  let at = from;
  for (let count = 0; count < optionsMax && at + 4 <= end; count++) {
    const code = view.getUint16(at, isLittle);
    const size = view.getUint16(at + 2, isLittle);
    if (code === 0 || at + 4 + size > end) return;
    use(code, at + 4, size);
    at += 4 + ((size + 3) & ~3);
  }
}
