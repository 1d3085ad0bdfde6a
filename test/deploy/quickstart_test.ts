/** deploy/quickstart.sh: one command from packets to explained threats, and nothing left behind.
 *
 * Method: the real script with a temporary folder of the test's own, so that what it leaves can be counted. @module */

import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { skipLoudly } from "../services/services.ts";
import { run } from "./compiled.ts";

const script = new URL("../../deploy/quickstart.sh", import.meta.url).pathname;
const canCapture = Deno.uid() === 0
  ? { ignore: false }
  : skipLoudly("live quickstart", "capturing needs root here");

interface Report {
  totals: { flows: number };
  threats: { detector: string; severity: string; explanation: string; suggested_action: string }[];
}

Deno.test("quickstart --once replays the bundled capture into at least 4 different explained threats", async () => {
  await withFolder(async (env, folder) => {
    const { code, stdout, stderr } = await run(script, ["--once", "--json"], env);
    assertEquals(code, 0, stderr);
    const report = JSON.parse(stdout) as Report;
    const detectors = new Set(report.threats.map((threat) => threat.detector));
    assert(detectors.size >= 4, [...detectors].join(", "));
    for (const threat of report.threats) {
      assert(threat.explanation.length > 20, threat.detector);
      assert(threat.suggested_action.length > 10, threat.detector);
      assertMatch(threat.severity, /^(info|low|medium|high|critical)$/);
    }
    assertEquals(await leftIn(folder), []);
  });
});

Deno.test("quickstart prints words for people, moves when port 8600 is taken, and stays up until Ctrl-C", async () => {
  const taken = occupy(8600);
  try {
    await withFolder(async (env, folder) => {
      const child = new Deno.Command(script, { env, stdin: "null", stdout: "piped", stderr: "piped" })
        .spawn();
      const stderr = new Response(child.stderr).text();
      let printed = "";
      const reader = child.stdout.pipeThrough(new TextDecoderStream()).getReader();
      for (let chunk = await reader.read(); !chunk.done; chunk = await reader.read()) {
        printed += chunk.value;
        if (/^API .*\n/m.test(printed)) break;
      }
      const url = /^dashboard {2}(http:\S+)/m.exec(printed)?.[1];
      assert(url, `${printed}\n${await Promise.race([stderr, Promise.resolve("")])}`);
      assert(!url.includes(":8600/"));
      assert(!printed.includes("\x1b["), "no colour when standard output is no terminal");
      const key = /Bearer ([^)]+)\)/.exec(printed)![1]!;
      const answer = await fetch(`${url}api/v1/threats`, { headers: { authorization: `Bearer ${key}` } });
      assertEquals(answer.status, 200);
      assert((await answer.json()).rows.length >= 4);
      child.kill("SIGINT");
      assertEquals((await child.status).code, 130);
      reader.releaseLock();
      assertStringIncludes(await stderr, "port 8600 is taken");
      assertEquals(await leftIn(folder), []);
    });
  } finally {
    taken?.close();
  }
});

Deno.test({
  name: "quickstart --live captures flows, and says that threats are missing by its exit code",
  ignore: canCapture.ignore,
  fn: async () => {
    const server = Deno.serve(
      { hostname: "127.0.0.1", port: 0, onListen: () => {} },
      () => new Response("hello"),
    );
    try {
      await withFolder(async (env, folder) => {
        const live = run(script, ["--live", "lo", "--seconds", "4", "--once", "--json"], env);
        let done = false;
        live.finally(() => done = true);
        while (!done) {
          await (await fetch(`http://127.0.0.1:${server.addr.port}/`)).text();
          await run("sleep", ["0.2"]);
        }
        const { code, stdout, stderr } = await live;
        assertEquals(code, 1, stderr);
        const report = JSON.parse(stdout) as Report;
        assert(report.totals.flows > 0, stdout);
        assertEquals(report.threats, []);
        assertEquals(await leftIn(folder), []);
      });
    } finally {
      await server.shutdown();
    }
  },
});

Deno.test("quickstart refuses wrong options and files with a message and its exit code", async () => {
  const cases = [
    { args: ["--tarpit"], code: 2, says: "unknown option: --tarpit" },
    { args: ["--capture"], code: 2, says: '"--capture" needs a file' },
    { args: ["--seconds", "0"], code: 2, says: "current value is 0" },
    { args: ["--capture", "no-such.pcap"], code: 3, says: "no such capture file" },
  ];
  for (const { args, code, says } of cases) {
    const refused = await run(script, args);
    assertEquals([refused.code, refused.stdout], [code, ""], refused.stderr);
    assertStringIncludes(refused.stderr, says);
  }
});

Deno.test("quickstart shows the sensor's reason when the file is no capture", async () => {
  await withFolder(async (env, folder) => {
    const { code, stderr } = await run(script, ["--once", "--capture", script], env);
    assertEquals(code, 1, stderr);
    assertStringIncludes(stderr, "quickstart.sh");
    assertEquals(await leftIn(folder), []);
  });
});

async function withFolder(
  body: (env: Record<string, string>, folder: string) => Promise<void>,
): Promise<void> {
  const folder = await Deno.makeTempDir({ prefix: "picket-quickstart-" });
  try {
    await body({ TMPDIR: folder, NO_COLOR: "1" }, folder);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

async function leftIn(folder: string): Promise<string[]> {
  const names: string[] = [];
  for await (const entry of Deno.readDir(folder)) names.push(entry.name);
  return names;
}

/** Takes a port, unless somebody else has it, which serves as well. */
function occupy(port: number): Deno.Listener | undefined {
  try {
    return Deno.listen({ hostname: "127.0.0.1", port });
  } catch {
    return undefined;
  }
}
