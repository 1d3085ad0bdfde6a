/** A screenshot as a PNG with a palette: a quarter of the octets, and nobody sees the difference.
 *
 * In: pixels, RGBA. Out: a PNG of 8 bits a pixel. The {@link coloursMax} most frequent colours stay, the others become
 * the nearest of them. @module */

import { crc32, deflateSync } from "node:zlib";

const coloursMax = 256;
const signature = [0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a];

export function indexedPng(pixels: Uint8ClampedArray, width: number, height: number): Uint8Array {
  const counts = new Map<number, number>();
  for (let i = 0; i < pixels.length; i += 4) {
    const colour = colourAt(pixels, i);
    counts.set(colour, (counts.get(colour) ?? 0) + 1);
  }
  const palette = [...counts].sort(([, a], [, b]) => b - a).slice(0, coloursMax).map(([colour]) => colour);
  const places = new Map(palette.map((colour, index) => [colour, index]));
  // Each row begins with the number of its filter, 0 = none.
  const rows = new Uint8Array((width + 1) * height);
  for (let i = 0; i < width * height; i++) {
    const colour = colourAt(pixels, i * 4);
    let place = places.get(colour);
    if (place === undefined) {
      place = nearest(colour, palette);
      places.set(colour, place);
    }
    rows[i + Math.floor(i / width) + 1] = place;
  }
  const header = new Uint8Array(13);
  const view = new DataView(header.buffer);
  view.setUint32(0, width);
  view.setUint32(4, height);
  header.set([8, 3, 0, 0, 0], 8);
  const colours = Uint8Array.from(
    palette.flatMap((colour) => [colour >> 16, colour >> 8 & 255, colour & 255]),
  );
  const parts = [
    Uint8Array.from(signature),
    chunk("IHDR", header),
    chunk("PLTE", colours),
    chunk("IDAT", deflateSync(rows, { level: 9 })),
    chunk("IEND", new Uint8Array()),
  ];
  const file = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    file.set(part, at);
    at += part.length;
  }
  return file;
}

function colourAt(pixels: Uint8ClampedArray, i: number): number {
  return pixels[i] << 16 | pixels[i + 1] << 8 | pixels[i + 2];
}

function nearest(colour: number, palette: readonly number[]): number {
  let best = 0;
  let least = Infinity;
  palette.forEach((one, index) => {
    const [red, green, blue] = [16, 8, 0].map((shift) => (one >> shift & 255) - (colour >> shift & 255));
    const distance = red * red + green * green + blue * blue;
    if (distance < least) [best, least] = [index, distance];
  });
  return best;
}

function chunk(type: string, data: Uint8Array): Uint8Array {
  const made = new Uint8Array(data.length + 12);
  const view = new DataView(made.buffer);
  view.setUint32(0, data.length);
  made.set(new TextEncoder().encode(type), 4);
  made.set(data, 8);
  view.setUint32(data.length + 8, crc32(made.subarray(4, data.length + 8)));
  return made;
}
