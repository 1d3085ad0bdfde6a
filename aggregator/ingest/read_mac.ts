/** MAC addresses of a batch as octets. In: text. Out: six octets, or false when it is not "aa:bb:cc:dd:ee:ff".
 * @module */

export function readMac(text: string, into: Uint8Array, at: number): boolean {
  if (text.length !== 17) return false;
  for (let i = 0; i < 6; i++) {
    const high = digit(text.charCodeAt(3 * i)), low = digit(text.charCodeAt(3 * i + 1));
    if (high < 0 || low < 0 || (i < 5 && text.charCodeAt(3 * i + 2) !== 58)) return false;
    into[at + i] = high << 4 | low;
  }
  return true;
}

function digit(code: number): number {
  if (code >= 48 && code <= 57) return code - 48;
  return code >= 97 && code <= 102 ? code - 87 : -1;
}
