/** Recognises the commands by which an open Redis is made to write files, to load programs, or to copy a server of the
 * attacker's.
 *
 * In: a client's payload on the port of Redis. Out: what such commands are called, in their order, or "".
 * Invariant: only commands that clients of a cache do not send; of their arguments nothing is kept but the word that
 * tells, as all else may be data.
 * Bounds: {@link octetsMax} octets, {@link linesMax} lines, {@link kindsMax} different commands.
 * Sources: the protocol's description (RESP2, inline commands); CVE-2022-0543 (Lua gets out of its sandbox by
 * `package.loadlib`); the manual of CONFIG SET, MODULE LOAD and REPLICAOF. @module */

import { textAt } from "./read_octets.ts";

export const redisPort = 6_379;
const octetsMax = 1_024, linesMax = 128, kindsMax = 6;
const star = 0x2a;

/** "CONFIG SET dir, MODULE LOAD"; "" = nothing of this. */
export function readRedis(buffer: Uint8Array, at: number, length: number): string {
  const first = buffer[at] & ~0x20;
  if (buffer[at] !== star && (first < 0x41 || first > 0x5a)) return "";
  const lines = textAt(buffer, at, at + Math.min(length, octetsMax)).split("\r\n", linesMax);
  const found: string[] = [];
  for (let i = 0; i < lines.length && found.length < kindsMax; i++) {
    const count = /^\*(\d{1,4})$/.exec(lines[i]);
    if (count === null) {
      // nc ends a line without the carriage return.
      for (const line of lines[i].split("\n", linesMax)) add(found, nameOf(line.trim().split(/\s+/, 8)));
      continue;
    }
    const words: string[] = [];
    const last = i + 2 * Math.min(Number(count[1]), 8);
    for (let word = i + 2; word <= last && word < lines.length; word += 2) words.push(lines[word]);
    i += 2 * Number(count[1]);
    add(found, nameOf(words));
  }
  return found.join(", ");
}

function add(found: string[], name: string): void {
  if (name !== "" && !found.includes(name) && found.length < kindsMax) found.push(name);
}

function nameOf([command = "", second = "", third = "", ...more]: string[]): string {
  switch (command.toUpperCase()) {
    case "CONFIG": {
      const what = third.toLowerCase();
      return second.toUpperCase() === "SET" && (what === "dir" || what === "dbfilename")
        ? `CONFIG SET ${what}`
        : "";
    }
    case "MODULE":
      return second.toUpperCase() === "LOAD" || second.toUpperCase() === "LOADEX" ? "MODULE LOAD" : "";
    case "SLAVEOF":
    case "REPLICAOF":
      return second !== "" && second.toUpperCase() !== "NO" ? "REPLICAOF" : "";
    case "EVAL":
      return /\bpackage\.loadlib\b|\bio\.popen\b|\bos\.execute\b/.test(second) ? "EVAL loadlib" : "";
    case "SYSTEM.EXEC":
    case "SYSTEM.REV":
      return command.toUpperCase();
    case "SET":
      return /(?:^|\n|["'])\s{0,9}(?:[*\d/,-]{1,9}\s{1,3}){4}[*\d/,-]{1,9}\s|\bssh-(?:rsa|ed25519) AAAA/.test(
          [third, ...more].join(" "),
        )
        ? "SET crontab or key"
        : "";
  }
  return "";
}
