/** Syslog over UDP, TCP and TLS against real listeners, and files that rotate. @module */

import { assert, assertEquals, assertRejects } from "@std/assert";
import { fileSink } from "../../../aggregator/sinks/file.ts";
import { blankMessage } from "../../../aggregator/sinks/message.ts";
import { reportMessage } from "../../../aggregator/sinks/reports.ts";
import { Refused } from "../../../aggregator/sinks/sender.ts";
import { syslog } from "../../../aggregator/sinks/syslog.ts";
import { testCertificate } from "./certificate.ts";

const message = blankMessage("0011223344556677", "test", 1_800_000_000_000);
const { signal } = new AbortController();
const wanted =
  /^<110>1 2027-01-15T08:00:00.000Z gate picket - test \[picket@32473 id="0011223344556677" kind="test" severity="info"\] \ufeffInfo: Test message\. /;

async function readOnce(listener: Deno.Listener): Promise<string> {
  const connection = await listener.accept();
  let text = "";
  const decoder = new TextDecoder("utf-8", { ignoreBOM: true });
  const bytes = new Uint8Array(4_096);
  try {
    for (let read = await connection.read(bytes); read !== null; read = await connection.read(bytes)) {
      text += decoder.decode(bytes.subarray(0, read), { stream: true });
    }
  } finally {
    connection.close();
  }
  return text;
}

Deno.test("syslog counts its octets over TCP and TLS, and checks the certificate", async () => {
  const { ca, cert, key } = testCertificate();
  for (const transport of ["tcp", "tls"] as const) {
    const at = { port: 0, hostname: "127.0.0.1" };
    const listener: Deno.Listener = transport === "tcp"
      ? Deno.listen(at)
      : Deno.listenTls({ ...at, cert, key });
    try {
      const { port } = listener.addr as Deno.NetAddr;
      const reading = readOnce(listener);
      await syslog({ host: "127.0.0.1", port, transport, format: "text" }, { ca, hostname: "gate" }).send(
        message,
        signal,
      );
      const [, count, line] = /^([0-9]+) ([^]*)$/.exec(await reading)!;
      assertEquals(new TextEncoder().encode(line).length, Number(count));
      assert(wanted.test(line), line);
      if (transport === "tls") {
        const refused = readOnce(listener).catch(() => "refused");
        const strange = syslog({ host: "127.0.0.1", port, transport, format: "text" }, {
          ca: null,
          hostname: "gate",
        });
        await assertRejects(() => strange.send(message, signal));
        assertEquals(await refused, "refused");
      }
    } finally {
      listener.close();
    }
  }
});

Deno.test("syslog sends nothing over a connection that came after the try was given up", async () => {
  const listener = Deno.listen({ port: 0, hostname: "127.0.0.1" });
  try {
    const { port } = listener.addr as Deno.NetAddr;
    const reading = readOnce(listener);
    const sink = syslog({ host: "127.0.0.1", port, transport: "tcp", format: "text" }, {
      ca: null,
      hostname: "gate",
    });
    await assertRejects(() => sink.send(message, AbortSignal.abort()));
    assertEquals(await reading, "");
  } finally {
    listener.close();
  }
});

Deno.test("syslog over UDP is one datagram", async () => {
  const socket = Deno.listenDatagram({ transport: "udp", port: 0, hostname: "127.0.0.1" });
  try {
    const { port } = socket.addr as Deno.NetAddr;
    const { signal } = new AbortController();
    await syslog({ host: "127.0.0.1", port, transport: "udp", format: "cef" }, { ca: null, hostname: "gate" })
      .send({ ...message, summary: "x".repeat(5_000) }, signal);
    const [bytes] = await socket.receive(new Uint8Array(9_000));
    assertEquals(bytes.length, 1_400);
    assert(new TextDecoder().decode(bytes).includes("CEF:0|Picket|"));
  } finally {
    socket.close();
  }
});

const makeReport = ({ toS }: { toS: number }) => Promise.resolve(`<!doctype html>${toS}`);

Deno.test("a report replaces the one before as a whole, and none is written where none is wanted", async () => {
  const folder = await Deno.makeTempDir();
  try {
    const lines = { path: `${folder}/out.ndjson`, format: "json", bytesMax: 1_200, files: 3 } as const;
    const path = `${folder}/report.html`;
    const report = { every: "day", day: "monday", at: "07:00", zone: "UTC", only: false, path } as const;
    const sink = fileSink({ ...lines, report }, { makeReport });
    for (const ms of [1_800_000_000_000, 1_800_086_400_000]) {
      await sink.send(reportMessage("boss", ms, 86_400_000), signal);
      assertEquals(await Deno.readTextFile(path), `<!doctype html>${ms / 1_000}`);
    }
    assertEquals((await Deno.stat(path)).mode! & 0o777, 0o640);
    const broken = fileSink({ ...lines, report }, { makeReport: () => Promise.reject(new Error("away")) });
    await assertRejects(() => broken.send(reportMessage("boss", 0, 1), signal), Error, "away");
    assertEquals(await Deno.readTextFile(path), "<!doctype html>1800086400");
    const without = fileSink(lines, { makeReport });
    await assertRejects(() => without.send(reportMessage("boss", 0, 1), signal), Refused);
    assertEquals([...Deno.readDirSync(folder)].map(({ name }) => name), ["report.html"]);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

Deno.test("a file rotates at its size, keeps as many as were asked for, and mends a line that was cut", async () => {
  const folder = await Deno.makeTempDir();
  try {
    const path = `${folder}/out.ndjson`;
    await Deno.writeTextFile(path, '{"cut');
    const sink = fileSink({ path, format: "json", bytesMax: 1_200, files: 3 }, { makeReport });
    for (let n = 0; n < 12; n++) await sink.send({ ...message, id: `m${n}` }, signal);
    const names = [...Deno.readDirSync(folder)].map(({ name }) => name).sort();
    assertEquals(names, ["out.ndjson", "out.ndjson.1", "out.ndjson.2"]);
    const ids: string[] = [];
    for (const name of names.reverse()) {
      const text = await Deno.readTextFile(`${folder}/${name}`);
      assert(text.length <= 1_200 && text.endsWith("\n"));
      ids.push(...text.trim().split("\n").map((line) => JSON.parse(line).id));
    }
    assertEquals(ids, Array.from({ length: ids.length }, (_, i) => `m${12 - ids.length + i}`));
    await Deno.writeTextFile(path, '{"cut');
    await sink.send(message, signal);
    assertEquals((await Deno.readTextFile(path)).split("\n")[0], '{"cut');
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});
