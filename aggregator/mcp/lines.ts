/** Lines of a stream of octets, each of bounded length.
 *
 * In: pieces as they come. Out: each line without its end;
 * null in place of one that is longer than {@link octetsMax} octets or is not UTF-8.
 * Invariant: at most {@link octetsMax} octets are held, and the line after a long one is whole. What follows the last
 * line end is a line too. @module */

export const octetsMax = 256 * 1024;
const lineEnd = 10;

export async function* linesOf(pieces: AsyncIterable<Uint8Array>): AsyncGenerator<string | null> {
  let held: Uint8Array[] = [], octets = 0;
  const add = (piece: Uint8Array) => {
    octets += piece.length;
    if (octets <= octetsMax) held.push(piece);
    else held = [];
  };
  const take = () => {
    const line = octets > octetsMax ? null : decode(held, octets);
    held = [];
    octets = 0;
    return line;
  };
  for await (const piece of pieces) {
    let from = 0;
    for (let to = piece.indexOf(lineEnd); to >= 0; to = piece.indexOf(lineEnd, from)) {
      add(piece.subarray(from, to));
      from = to + 1;
      yield take();
    }
    add(piece.slice(from));
  }
  if (octets > 0) yield take();
}

function decode(pieces: readonly Uint8Array[], octets: number): string | null {
  const all = new Uint8Array(octets);
  let at = 0;
  for (const piece of pieces) {
    all.set(piece, at);
    at += piece.length;
  }
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(all);
  } catch {
    return null;
  }
}
