/** Times as people write them, and as programs read them.
 *
 * In: RFC 3339, a date, epoch seconds or milliseconds, or a word: `now`, `now-1h`, `today`, `yesterday`. Out: epoch
 * seconds; and a time as RFC 3339.
 * Invariant: a text has one meaning or none. A date and time without an offset is UTC, as every time Picket prints is.
 * @module */

/** From here on a number is milliseconds: as seconds it would be the year 5138, as milliseconds it is March 1973. */
const millisecondsFrom = 1e11;
/** End of the year 2999. */
const secondsMax = 32_503_679_999.999;

export const timeForms =
  "RFC 3339 (2026-01-31T12:00:00Z), a date, epoch seconds or milliseconds, now, now-1h, today or yesterday";

const unitSeconds: Readonly<Record<string, number>> = { s: 1, m: 60, h: 3_600, d: 86_400, w: 604_800 };

/** Epoch seconds; null when `text` is no time, or one before 1970 or after 2999. */
export function readTime(text: string, nowMs: number): number | null {
  const word = text.trim().toLowerCase();
  const seconds = /^[0-9]/.test(word) ? readNumber(word) ?? readDate(word) : readWord(word, nowMs);
  return seconds !== null && seconds >= 0 && seconds <= secondsMax ? seconds : null;
}

/** RFC 3339 in UTC, to the millisecond; null when it is beyond what a date can say. */
export function writeTime(seconds: number): string | null {
  const ms = Math.floor(Math.round(seconds * 1e6) / 1e3);
  return Math.abs(ms) <= 8.64e15 ? isoText(ms) : null;
}

let minute = 0, beginning = "1970-01-01T00:00:";

/** As `Date.toISOString()`; times of a list are near each other, so what the minute says is made once for many. */
function isoText(ms: number): string {
  const at = Math.floor(ms / 60_000);
  if (at !== minute) {
    // The last minutes that a date can say begin before it.
    if (Math.abs(at) * 60_000 > 8.64e15) return new Date(ms).toISOString();
    beginning = new Date(at * 60_000).toISOString().slice(0, -7);
    minute = at;
  }
  const digits = String(100_000 + ms - at * 60_000);
  return `${beginning}${digits.slice(1, 3)}.${digits.slice(3)}Z`;
}

/** Seconds of "90s", "15m", "1h", "7d", "2w"; null when it is none. */
export function readSeconds(text: string): number | null {
  const [, digits, unit] = /^([0-9]{1,9})([smhdw])$/.exec(text) ?? [];
  return unit === undefined ? null : Number(digits) * unitSeconds[unit];
}

function readNumber(text: string): number | null {
  if (!/^[0-9]{1,14}(\.[0-9]{1,9})?$/.test(text)) return null;
  const number = Number(text);
  return number >= millisecondsFrom ? number / 1_000 : number;
}

function readWord(text: string, nowMs: number): number | null {
  const dayS = Math.floor(nowMs / 86_400_000) * 86_400;
  const [, word, sign, span] = /^(now|today|yesterday)(?:([-+ ])([0-9a-z]{2,10}))?$/.exec(text) ?? [];
  if (word === undefined) return null;
  const start = word === "now" ? nowMs / 1_000 : word === "today" ? dayS : dayS - 86_400;
  if (span === undefined) return start;
  const seconds = readSeconds(span);
  // In a query a plus that was not escaped arrives as a space.
  return seconds === null ? null : sign === "-" ? start - seconds : start + seconds;
}

function readDate(text: string): number | null {
  const match =
    /^([0-9]{4})-([0-9]{2})-([0-9]{2})(?:[t ]([0-9]{2}):([0-9]{2})(?::([0-9]{2})(?:\.([0-9]{1,9}))?)?(?:(z)|([-+ ])([0-9]{2}):([0-9]{2}))?)?$/
      .exec(text);
  if (match === null) return null;
  const [year, month, day, hour, minute, second] = match.slice(1, 7).map((part) => Number(part ?? 0));
  const offsetHours = Number(match[10] ?? 0), offsetMinutes = Number(match[11] ?? 0);
  // A leap second is the second after it, as every clock here has it.
  if (hour > 23 || minute > 59 || second > 60 || offsetHours > 23 || offsetMinutes > 59) return null;
  const ms = Date.UTC(year, month - 1, day);
  const made = new Date(ms);
  // 31 February is no day in March.
  if (made.getUTCMonth() !== month - 1 || made.getUTCDate() !== day || year < 1970) return null;
  const offset = (offsetHours * 60 + offsetMinutes) * 60 * (match[9] === "-" ? -1 : 1);
  return ms / 1_000 + hour * 3_600 + minute * 60 + second + Number(`0.${match[7] ?? 0}`) - offset;
}
