/** What the first octets of a session may say that no ordinary program sends there: shells,
 * remote-control tools, payloads, chat of bots.
 *
 * In: `facts.first`, in hexadecimal, of a TCP session whose protocol has no name. Out: the kind of session, or null.
 * Invariant: a pattern is at least three octets long and must match at the very start,
 * so that random octets match one time in some millions.
 * Sources: the banners of cmd.exe, PowerShell, bash and dash; the published protocol analyses of Gh0st, njRAT and
 * STRRAT; Caldera's documentation of its contact over TCP; the stagers of Metasploit, which send a length before the
 * program (documentation of `reverse_tcp`); RFC 1459. @module */

export interface OpeningWords {
  kind: "shell" | "tool" | "stage" | "chat";
  /** For people. */
  what: string;
  /** Who said it; of an order, who was given it. */
  by: "caller" | "called";
}

const said: readonly (readonly [kind: OpeningWords["kind"], what: string, pattern: RegExp])[] = [
  ["shell", "a Windows command prompt", start("Microsoft Window")],
  ["shell", "a Windows command prompt", start("C:\\Windows\\")],
  ["shell", "a Windows command prompt", start("C:\\WINDOWS\\")],
  ["shell", "a Windows command prompt", start("\r\nC:\\WIN")],
  ["shell", "a Windows command prompt", start("\r\nC:\\Win")],
  ["shell", "a PowerShell prompt", start("PS C:\\")],
  ["shell", "PowerShell", start("Windows PowerShe")],
  ["shell", "a Unix shell", start("bash: cannot set")],
  ["shell", "a Unix shell", start("bash: no job con")],
  ["shell", "a Unix shell", start("sh: no job contr")],
  ["shell", "a Unix shell", start("/bin/sh: ")],
  ["shell", "a Unix shell", start("sh: can't access")],
  ["shell", "the answer to a shell command", start("uid=")],
  ["shell", "the kernel's name", start("Linux ")],
  ["tool", "Gh0st", start("Gh0st")],
  ["tool", "njRAT", /^(?:3[0-9]){1,4}006c6c7c|^6c6c7c27|^6c767c27/],
  ["tool", "a bot's log-in to its master (BUILD)", start("BUILD ")],
  ["tool", "a length and an empty line, as STRRAT does", /^(?:3[0-9]){1,4}0d0a0d0a/],
  ["tool", "a description of its machine, as Caldera's agent gives", start('{"architecture":')],
  ["chat", "IRC", start("NICK ")],
  ["chat", "IRC", start(":irc.")],
];
/** Orders to a shell: complete commands with their newline,
 * and the beginning of the script by which worms let a shell fetch them. */
const orders: readonly (readonly [what: string, pattern: RegExp])[] = [
  [
    "a command to a shell",
    /^(?:6964|6c73|707764|70732061757[78]|77686f616d69|686f73746e616d65|756e616d65202d61)(?:0d)?0a/,
  ],
  ["a script for FTP, written by commands to a shell", start("echo open ")],
  ["a command to a shell", start("tftp -i ")],
  ["a command to a shell", start("cmd /c ")],
  ["a command to a shell", start("cmd.exe /c ")],
];
/** A length in four octets, little end first, then a Windows program. */
const stage = /^[0-9a-f]{4}[0-3][0-9a-f]004d5a/;

export function openingWordsOf(first: { fwd?: string; bwd?: string } | undefined): OpeningWords | null {
  if (first === undefined) return null;
  for (const [by, text] of [["caller", first.fwd], ["called", first.bwd]] as const) {
    if (text === undefined) continue;
    const found = said.find(([, , pattern]) => pattern.test(text));
    if (found !== undefined) return { kind: found[0], what: found[1], by };
  }
  for (const [by, text] of [["called", first.fwd], ["caller", first.bwd]] as const) {
    // Whoever gives an order is not whoever runs the shell.
    const order = text === undefined ? undefined : orders.find(([, pattern]) => pattern.test(text));
    if (order !== undefined) return { kind: "shell", what: order[0], by };
  }
  const what = "a length and a Windows program, unasked";
  if (first.fwd === undefined && stage.test(first.bwd ?? "")) return { kind: "stage", what, by: "called" };
  if (first.bwd === undefined && stage.test(first.fwd ?? "")) return { kind: "stage", what, by: "caller" };
  return null;
}

function start(text: string): RegExp {
  return RegExp(`^${[...text].map((c) => c.charCodeAt(0).toString(16).padStart(2, "0")).join("")}`);
}
