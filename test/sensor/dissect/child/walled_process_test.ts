/** A dissector behind a socket: the line the unit's shell gets, what comes back, and every way it can end. @module */

import { assert, assertEquals, assertMatch, assertRejects } from "@std/assert";
import { lineFor, startBehind, untilTrailer } from "../../../../sensor/dissect/child/walled_process.ts";

const octets = (text: string) => new TextEncoder().encode(text);

/** What is passed on and what is returned, of a stream cut into chunks of `size`. */
async function passed(text: string, size: number): Promise<[string, string | null]> {
  async function* chunks() {
    for (let at = 0; at < text.length; at += size) {
      yield await Promise.resolve(octets(text.slice(at, at + size)));
    }
  }
  const reader = untilTrailer(chunks());
  let output = "";
  for (;;) {
    const { value, done } = await reader.next();
    if (done) return [output, value];
    output += new TextDecoder().decode(value);
  }
}

const endings: readonly (readonly [name: string, stream: string, output: string, how: string | null])[] = [
  ["an orderly end", "1\ta\n2\tb\n\x1e0\n\x1e", "1\ta\n2\tb\n", ""],
  ["an end before any output", "\x1e0\n\x1e", "", ""],
  ["a failure with its words", "1\n\x1e2\nout of memory\n\x1e", "1\n", "exit status 2: out of memory"],
  ["a signal", "\x1e139\n\x1e", "", "killed by signal 11"],
  ["a mark within a line, which is text", "1\t\x1e0\n\x1e1\n\x1e", "1\t\x1e0\n", "exit status 1"],
  ["the end of the trailer, not of the stream", "1\n\x1e0\n\x1e2\n3\n", "1\n", ""],
  ["a trailer that was cut", "1\n\x1e0\n", "1\n", null],
  ["no trailer", "1\ta\n2\t", "1\ta\n2\t", null],
  ["a trailer without a number", "1\n\x1ewhat\n\x1e", "1\n", null],
];
for (const [name, stream, output, how] of endings) {
  Deno.test(`a dissector's stream is read to ${name}, wherever it is cut`, async () => {
    for (const size of [1, 2, 3, 1_000]) assertEquals(await passed(stream, size), [output, how], `${size}`);
  });
}

/** Serves one connection as the unit does: a shell that runs the line it reads. */
async function serve(connection: Deno.UnixConn, folder: string): Promise<void> {
  const shell = new Deno.Command("sh", {
    args: ["-c", 'IFS= read -r line && eval "$line"'],
    env: { RUNTIME_DIRECTORY: folder },
    stdin: "piped",
    stdout: "piped",
    stderr: "null",
  }).spawn();
  const input = shell.stdin.getWriter();
  const reading = (async () => {
    for (let chunk = await readOf(connection); chunk; chunk = await readOf(connection)) {
      await input.write(chunk);
    }
    await input.close();
  })().catch(() => {});
  for await (const chunk of shell.stdout) await connection.write(chunk).catch(() => {});
  connection.close();
  await Promise.all([reading, shell.status]);
}

async function readOf(connection: Deno.UnixConn): Promise<Uint8Array<ArrayBuffer> | null> {
  const buffer = new Uint8Array(65_536);
  const count = await connection.read(buffer).catch(() => null);
  return count === null ? null : buffer.subarray(0, count);
}

async function withUnit(body: (socketPath: string, folder: string) => Promise<void>, onConnection = serve) {
  const folder = await Deno.makeTempDir();
  const listener = Deno.listen({ transport: "unix", path: `${folder}/socket` });
  const served = listener.accept().then((connection) => onConnection(connection, folder), () => {});
  try {
    await body(`${folder}/socket`, folder);
  } finally {
    listener.close();
    await served;
    await Deno.remove(folder, { recursive: true });
  }
}

async function textOf(output: AsyncIterable<Uint8Array>): Promise<string> {
  let text = "";
  for await (const chunk of output) text += new TextDecoder().decode(chunk);
  return text;
}

const command = { env: { LC_ALL: "C" }, keyPath: null, files: { disabled_protos: "a\nb\n" } };

Deno.test("a program behind the socket gets its files and its input, and shows its walls first", () =>
  withUnit(async (socketPath, folder) => {
    let report = "";
    const child = startBehind(socketPath, {
      ...command,
      words: [
        "sh",
        "-c",
        'cat "$WIRESHARK_CONFIG_DIR/disabled_protos"; tr a-z A-Z; echo "it\'s over" >&2; exit 3',
      ],
      onReport: (text) => void (report += text),
    });
    await child.write(octets("packets\n"));
    await child.end();
    assertEquals(await textOf(child.output), "a\nb\nPACKETS\n");
    assertEquals(await child.exited, "exit status 3: it's over");
    assertMatch(report, /^Pid: \d+\nUid:.*\nCapPrm:[^]*Key: hidden\n$/);
    assertEquals(await Deno.readTextFile(`${folder}/disabled_protos`), "a\nb\n");
  }));

Deno.test("a program behind the socket that is given up is over at once for the sensor, and another instance ends it", async () => {
  const folder = await Deno.makeTempDir();
  const listener = Deno.listen({ transport: "unix", path: `${folder}/socket` });
  try {
    const child = startBehind(`${folder}/socket`, { ...command, words: ["sleep", "60"], onReport: () => {} });
    const first = await listener.accept();
    await first.write(octets("Pid: 4711\nUid:\t1\n\n1\t"));
    const output = child.output[Symbol.asyncIterator]();
    assertEquals(new TextDecoder().decode((await output.next()).value), "1\t");
    const second = listener.accept();
    child.kill();
    assertEquals(await child.exited, "closed by the sensor");
    assertEquals((await output.next()).done, true);
    const connection = await second;
    assertEquals(new TextDecoder().decode((await readOf(connection))!), "kill -KILL 4711\n");
    first.close();
    connection.close();
  } finally {
    listener.close();
    await Deno.remove(folder, { recursive: true });
  }
});

Deno.test("a unit that ends without a word is named", () =>
  withUnit(async (socketPath) => {
    const child = startBehind(socketPath, { ...command, words: ["true"], onReport: () => {} });
    assertEquals(await textOf(child.output), "");
    assertMatch(await child.exited, /^it ended without a word: see journalctl/);
  }, async (connection) => {
    await readOf(connection);
    connection.close();
  }));

Deno.test("output without a report of walls is refused", () =>
  withUnit(async (socketPath) => {
    const child = startBehind(socketPath, { ...command, words: ["true"], onReport: () => {} });
    await assertRejects(() => textOf(child.output), Error, "it shows no walls within 4096 octets");
    child.kill();
  }, async (connection) => {
    await connection.write(octets("x".repeat(5_000))).catch(() => {});
    while (await readOf(connection));
    connection.close();
  }));

Deno.test("a socket that is not there is named, and nothing is thrown at whoever writes", async () => {
  const child = startBehind("/nonexistent/socket", { ...command, words: ["true"], onReport: () => {} });
  await assertRejects(() => child.write(octets("packets")));
  assertEquals(await textOf(child.output), "");
  assertMatch(await child.exited, /^cannot use \/nonexistent\/socket: /);
});

Deno.test("the line for the unit's shell is one line, whatever is in it", () => {
  const line = lineFor({ ...command, words: ["tshark", "-o", "x:'$(id)'"], onReport: () => {} });
  assertEquals(line.includes("\n"), false);
  assert(line.includes(`'x:'\\''$(id)'\\'''`));
});
