/** A program behind walls, as a process: started here, or by systemd behind a socket.
 *
 * In: the program and its arguments.
 * Out: {@link DissectorProcess}; before its own output the program shows its walls, see sandbox.ts.
 * Invariant: what is read as output was written by the program itself; a process that shows no walls is refused.
 * Behind the socket: each connection is one instance of picket-dissector@.service, whose shell runs the one line we
 * send. Whatever that is has no more than the unit leaves it, so nothing is gained by who could send another. After the
 * output the line prints, between two octets that begin no line of tshark's, the exit status and the last words. A
 * process that hangs belongs to another user, whom we may not signal: another instance, of the same user, does it.
 * Should we die, the end of its input ends it, else systemd does. @module */

import type { DissectorProcess } from "./tshark.ts";
import { quote, reportCommands } from "./sandbox.ts";

/** What a process gets from us. */
export interface WalledCommand {
  words: readonly string[];
  env: Record<string, string>;
  keyPath: string | null;
  /** Called once, with the report about the walls. */
  onReport(report: string): void;
}

const stderrCharactersMax = 2_000;
const reportBytesMax = 4_096;
/** Begins the trailer; a line of tshark's begins with a digit, and what it escapes contains it never. */
const trailerMark = 0x1e;
const trailerEnd = "\x1e";
const trailerCharactersMax = 2 * stderrCharactersMax;
const lineFeed = 0x0a;
const chunkBytes = 65_536;
/** What a shell adds to the number of the signal that ended a program. */
const signalBase = 128;

/** Starts a program as our child, behind `prefix`. */
export function startHere(prefix: readonly string[], command: WalledCommand): DissectorProcess {
  // Without a tool that may be run there is no wall, and nobody to show it:
  // the shell is none of the programs we may start.
  const shown = prefix.length === 0
    ? []
    : ["sh", "-c", `${reportCommands(command.keyPath)}; exec "$@"`, "picket-dissector"];
  const words = [...prefix, ...shown, ...command.words];
  if (prefix.length === 0) command.onReport("");
  const child = new Deno.Command(words[0], {
    args: words.slice(1),
    clearEnv: true,
    env: command.env,
    cwd: "/",
    stdin: "piped",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
  const writer = child.stdin.getWriter();
  const complaint = readTail(child.stderr);
  const exited = (async () => {
    const [status, words] = await Promise.all([child.status, complaint]);
    // Our end of its input stays open otherwise, one for each child that was killed.
    await writer.abort().catch(() => undefined);
    if (status.success) return "";
    return ending(status.signal ? `killed by ${status.signal}` : `exit status ${status.code}`, words);
  })();
  return {
    pid: child.pid,
    write: (bytes) => writer.write(bytes),
    end: () => writer.close(),
    output: prefix.length === 0 ? child.stdout : afterReport(child.stdout, command.onReport),
    kill() {
      try {
        child.kill("SIGKILL");
      } catch {
        // Already gone: that is what was wanted.
      }
    },
    exited,
  };
}

/** Starts a program behind the dissector's socket. `files` are laid into its configuration folder. */
export function startBehind(
  socketPath: string,
  command: WalledCommand & { files: Record<string, string> },
): DissectorProcess {
  const told = Promise.withResolvers<string>();
  const opened = (async () => {
    const connection = await Deno.connect({ transport: "unix", path: socketPath });
    await writeAll(connection, new TextEncoder().encode(`${lineFor(command)}\n`));
    return connection;
  })();
  opened.catch((error) => told.resolve(`cannot use ${socketPath}: ${(error as Error).message}`));
  const close = (words: string) => {
    told.resolve(words);
    opened.then((connection) => connection.close()).catch(() => {
      // Never opened, or closed by then.
    });
  };
  let pid: string | undefined;
  const onReport = (report: string) => {
    pid = /^Pid: (\d+)$/m.exec(report)?.[1];
    command.onReport(report);
  };
  async function* read(): AsyncGenerator<Uint8Array> {
    const connection = await opened.catch(() => null);
    if (connection === null) return;
    const trailer = yield* untilTrailer(chunksOf(connection));
    close(trailer === null ? "it ended without a word: see journalctl -u 'picket-dissector@*'" : trailer);
  }
  return {
    pid: 0,
    write: async (bytes) => writeAll(await opened, bytes),
    end: async () => (await opened).closeWrite(),
    output: afterReport(read(), onReport),
    kill() {
      close("closed by the sensor");
      if (pid !== undefined) void sendLine(socketPath, `kill -KILL ${pid}`);
    },
    exited: told.promise,
  };
}

/** The one line that the unit's shell runs. */
export function lineFor(
  { words, env, keyPath, files }: WalledCommand & { files: Record<string, string> },
): string {
  const run = words.map(quote).join(" ");
  return [
    "set -f",
    'cd "$RUNTIME_DIRECTORY"',
    'echo "Pid: $$"',
    reportCommands(keyPath),
    ...Object.entries(files).map(([name, text]) =>
      `printf '%s\\n' ${text.split("\n").filter(Boolean).map(quote).join(" ")} >${quote(name)}`
    ),
    ...Object.entries(env).map(([name, value]) => `export ${name}=${quote(value)}`),
    'export WIRESHARK_CONFIG_DIR="$RUNTIME_DIRECTORY"',
    "mkfifo packets",
    "exec 3<&0",
    "cat <&3 >packets 2>/dev/null &",
    `{ { ${run} <packets 2>&1 >&4 3<&- 4>&-; echo $? >status; } | tail -c ${stderrCharactersMax} >words; } 4>&1`,
    "printf '\\036'; cat status words; printf '\\036'",
  ].join("; ").replace("&; ", "& ");
}

/** Passes on what comes after the report. @throws {Error} when there is none. */
async function* afterReport(
  chunks: AsyncIterable<Uint8Array>,
  onReport: (report: string) => void,
): AsyncGenerator<Uint8Array> {
  let head = "";
  let isBehind = false;
  for await (const chunk of chunks) {
    if (isBehind) {
      yield chunk;
      continue;
    }
    const before = head.length;
    head += latin1.decode(chunk);
    const end = head.indexOf("\n\n");
    isBehind = end >= 0;
    if (isBehind) {
      onReport(head.slice(0, end + 1));
      const rest = chunk.subarray(end + 2 - before);
      if (rest.length > 0) yield rest;
    } else if (head.length > reportBytesMax) {
      throw new Error(`it shows no walls within ${reportBytesMax} octets`);
    }
  }
}

/** One character an octet, so that positions in the text are positions in the chunk. */
const latin1 = {
  decode: (bytes: Uint8Array) => String.fromCharCode(...bytes.subarray(0, reportBytesMax + 1)),
};

/** Chunks of a connection until the other side or we close it; each is valid until the next. */
async function* chunksOf(connection: Deno.UnixConn): AsyncGenerator<Uint8Array> {
  const buffer = new Uint8Array(chunkBytes);
  for (;;) {
    const count = await connection.read(buffer).catch(() => null);
    if (count === null) return;
    yield buffer.subarray(0, count);
  }
}

/** Passes on output, and returns how the program ended; null = nobody said so. The trailer is the end, whoever still
 * holds the connection: systemd does while it means to start the same instance again. */
export async function* untilTrailer(
  chunks: AsyncIterable<Uint8Array>,
): AsyncGenerator<Uint8Array, string | null> {
  let isLineStart = true;
  let trailer: string | null = null;
  for await (const chunk of chunks) {
    if (trailer === null) {
      const at = markIn(chunk, isLineStart);
      const output = at < 0 ? chunk : chunk.subarray(0, at);
      if (at >= 0) trailer = new TextDecoder().decode(chunk.subarray(at + 1));
      isLineStart = chunk.at(-1) === lineFeed;
      if (output.length > 0) yield output;
    } else {
      trailer += new TextDecoder().decode(chunk);
    }
    if (trailer !== null && (trailer.includes(trailerEnd) || trailer.length > trailerCharactersMax)) break;
  }
  const read = trailer?.includes(trailerEnd) ? /^(\d+)\n([^]*)$/.exec(trailer.split(trailerEnd, 1)[0]) : null;
  if (!read) return null;
  const status = Number(read[1]);
  if (status === 0) return "";
  const how = status > signalBase ? `killed by signal ${status - signalBase}` : `exit status ${status}`;
  return ending(how, read[2]);
}

/** Where the trailer begins; -1 = not in this chunk. */
function markIn(chunk: Uint8Array, isLineStart: boolean): number {
  for (let at = chunk.indexOf(trailerMark); at >= 0; at = chunk.indexOf(trailerMark, at + 1)) {
    if (at === 0 ? isLineStart : chunk[at - 1] === lineFeed) return at;
  }
  return -1;
}

/** Has another instance run a line. */
async function sendLine(socketPath: string, line: string): Promise<void> {
  try {
    const connection = await Deno.connect({ transport: "unix", path: socketPath });
    await writeAll(connection, new TextEncoder().encode(`${line}\n`));
    connection.close();
  } catch {
    // Whoever was to be ended has its own limits of time.
  }
}

async function writeAll(connection: Deno.UnixConn, bytes: Uint8Array): Promise<void> {
  for (let at = 0; at < bytes.length;) at += await connection.write(bytes.subarray(at));
}

/** Last characters of a stream, read to its end so that the child never blocks on it. */
async function readTail(stream: ReadableStream<Uint8Array>): Promise<string> {
  const decoder = new TextDecoder();
  let text = "";
  for await (const chunk of stream) {
    text = (text + decoder.decode(chunk, { stream: true })).slice(-stderrCharactersMax);
  }
  return text;
}

function ending(how: string, stderr: string): string {
  const lines = stderr.split("\n").map((line) => line.trim()).filter((line) =>
    line !== "" && !line.startsWith("Running as user") && !line.includes("GLib WARNING")
  );
  return lines.length === 0 ? how : `${how}: ${lines.join("; ")}`;
}
