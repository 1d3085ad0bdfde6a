/** The second machine, as a person sets it up: three commands, TLS by the own authority, a login in a browser, a real
 * scan found; and the same behind nginx with a path prefix.
 *
 * Method: the sensor lives in a network namespace of its own, joined to ours by a veth pair.
 * Needs root for `ip netns`; else skipped. @module */

import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { TextLineStream } from "@std/streams/text-line-stream";
import { ensureAuthority, serverCertificate } from "../../aggregator/tls/authority.ts";
import { openBrowser, skipLoudly, useBrowser } from "../services/services.ts";
import { nginxMissing, startNginx } from "../services/nginx.ts";
import { freePort } from "../services/guarded_child.ts";
import { blocksOf } from "../guide.ts";
import { demoCapture } from "./scenarios.ts";
import { missingForWire } from "./live_needs.ts";
import { fromSource, run } from "./world.ts";

const browser = await useBrowser();
const wireReason = await missingForWire();
const wire = wireReason ? skipLoudly("the second machine", wireReason) : { ignore: false };
const nginxReason = await nginxMissing();
const nginx = nginxReason ? skipLoudly("the second machine behind nginx", nginxReason) : { ignore: false };
const [aggregator, sensor] = [fromSource.aggregator, fromSource.sensor];

/** Two addresses of a wire between this namespace and the sensor's. */
interface Pi {
  name: string;
  here: string;
  link: string;
  stop(): Promise<void>;
}

async function startPi(): Promise<Pi> {
  const id = crypto.randomUUID().slice(0, 6);
  const name = `picket-pi-${id}`, link = `pk${id}`, outer = `pc${id}`;
  const octets = crypto.getRandomValues(new Uint8Array(2));
  const net = `198.18.${octets[0]}.${octets[1] & 0xfc}`.split(".").map(Number);
  const at = (host: number) => [...net.slice(0, 3), net[3] + host].join(".");
  const commands = [
    ["netns", "add", name],
    ["link", "add", outer, "type", "veth", "peer", "name", link, "netns", name],
    ["addr", "add", `${at(1)}/30`, "dev", outer],
    ["link", "set", outer, "up"],
    ["-n", name, "addr", "add", `${at(2)}/30`, "dev", link],
    ["-n", name, "link", "set", link, "up"],
    ["-n", name, "link", "set", "lo", "up"],
  ];
  const stop = async () => {
    await run(["ip", "netns", "delete", name]);
    await run(["ip", "link", "delete", outer]);
  };
  for (const command of commands) {
    const { code, stderr } = await run(["ip", ...command]);
    if (code === 0) continue;
    await stop();
    throw new Error(`Cannot make a second machine: ip ${command.join(" ")}: ${stderr}`);
  }
  return { name, here: at(1), link, stop };
}

/** Starts `serve` and waits for the line that says it listens. */
async function serve(args: string[]): Promise<{ url: string; stop(): Promise<void> }> {
  const [program, ...rest] = aggregator;
  const child = new Deno.Command(program, {
    args: [...rest, "serve", ...args],
    stdin: "null",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
  const log = new Response(child.stderr).text();
  const lines = child.stdout.pipeThrough(new TextDecoderStream()).pipeThrough(new TextLineStream())
    .getReader();
  const { value } = await lines.read();
  if (value === undefined) throw new Error(`Aggregator ended before it listened:\n${await log}`);
  return {
    url: JSON.parse(value).listening,
    async stop() {
      child.kill("SIGTERM");
      await child.status;
      await log;
      await lines.cancel();
    },
  };
}

async function withFolder(work: (folder: string) => Promise<void>): Promise<void> {
  const folder = await Deno.makeTempDir({ prefix: "picket-second-" });
  try {
    await work(folder);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

async function report(
  state: string,
): Promise<{ totals: { flows: number }; threats: { detector: string }[] }> {
  const { stdout, stderr } = await run([...aggregator, "report", "--state", state, "--json"]);
  assert(stdout !== "", stderr);
  return JSON.parse(stdout);
}

Deno.test({
  name: "a second machine is there after three commands: own authority, browser login, a real scan found",
  ignore: wire.ignore || browser.ignore,
  // Playwright clears up its own folders and timers when a browser is closed already.
  sanitizeOps: false,
  sanitizeResources: false,
  fn: () =>
    withFolder(async (folder) => {
      const pi = await startPi();
      const centre = `${folder}/centre`;
      const onPi = (...args: string[]) =>
        run(["ip", "netns", "exec", pi.name, ...sensor, ...args, "--state", `${folder}/pi`]);
      const set = ["--state", centre, "--host", pi.here, "--listen", `0.0.0.0:${freePort()}`];
      const setup = await run([...aggregator, "setup", ...set, "--no-service", "--json"]);
      assertEquals(setup.code, 0, setup.stderr);
      const { command, dashboard, key_file } = JSON.parse(setup.stdout);
      const [, string] = /^sudo picket-sensor enrol '(picket:\/\/[^']*)'$/.exec(command)!;
      const running = await serve(["--state", centre]);
      try {
        const wrong = await onPi("enrol", string.replace(/.$/, (digit) => digit === "0" ? "1" : "0"));
        assert(wrong.code !== 0, "a fingerprint of another authority");
        const enrolled = await onPi("enrol", string, "--name", "pi");
        assertEquals(enrolled.code, 0, enrolled.stderr);
        await logIn(dashboard, (await Deno.readTextFile(key_file)).trim());
        await scanIsFound(pi, folder, centre);
      } finally {
        await running.stop();
        await pi.stop();
      }
    }),
});

/** In a real browser, over HTTP/2. */
async function logIn(url: string, key: string): Promise<void> {
  const chromium = await openBrowser(browser.address);
  try {
    const page = await (await chromium.newContext({ ignoreHTTPSErrors: true })).newPage();
    const failed: string[] = [];
    page.on("requestfailed", (request) => failed.push(`${request.url()}: ${request.failure()?.errorText}`));
    page.on("pageerror", ({ message }) => failed.push(message));
    await page.goto(url);
    await page.getByLabel("API key").fill(key).catch(async (error) => {
      const shown = await page.locator("body").innerText();
      throw new Error(`Cannot log in: ${failed.join("; ")}; the page shows "${shown}"`, { cause: error });
    });
    await page.getByRole("button", { name: "Log in" }).click();
    await page.getByRole("navigation", { name: "Pages" }).getByRole("link", { name: "Fleet" }).click();
    await page.getByRole("link", { name: "pi", exact: true }).waitFor();
    assertEquals(await page.evaluate("performance.getEntriesByType('navigation')[0].nextHopProtocol"), "h2");
  } finally {
    await chromium.close();
  }
}

async function scanIsFound(pi: Pi, folder: string, centre: string): Promise<void> {
  const [program, ...rest] = ["ip", "netns", "exec", pi.name, ...sensor];
  const capture = new Deno.Command(program, {
    args: [...rest, "run", "--interface", pi.link, "--state", `${folder}/pi`, "--check-in-s", "1"],
    stdin: "null",
    stdout: "null",
    stderr: "null",
  }).spawn();
  const until = async (what: string, isThere: () => Promise<boolean>) => {
    for (let tries = 0; tries < 60; tries++) {
      if (await isThere()) return;
      await new Promise((resolve) => setTimeout(resolve, 500));
    }
    throw new Error(`Cannot see ${what} within 30 s`);
  };
  try {
    await until("the capture", async () => {
      const { stdout } = await run([...aggregator, "sensor", "show", "pi", "--state", centre, "--json"]);
      return JSON.parse(stdout).check_in?.capture.state === "capturing";
    });
    const scan = `for (let p = 20000; p < 20200; p++) {
      try { (await Deno.connect({ hostname: "${pi.here}", port: p })).close(); } catch { /* closed, as expected */ }
    }`;
    await run(["ip", "netns", "exec", pi.name, Deno.execPath(), "eval", scan]);
    await until(
      "the scan",
      async () => (await report(centre)).threats.some(({ detector }) => detector === "port_scan_vertical"),
    );
  } finally {
    capture.kill("SIGTERM");
    await capture.status;
  }
}

Deno.test({
  name: "a second machine behind nginx with TLS there, another Host and a path prefix ships and is seen",
  ignore: nginx.ignore,
  fn: () =>
    withFolder(async (folder) => {
      const deps = {
        nowMs: Date.now(),
        randomBytes: (n: number) => crypto.getRandomValues(new Uint8Array(n)),
      };
      const { pem } = await ensureAuthority(folder, "proxy", deps);
      const { cert, key } = await serverCertificate(folder, ["127.0.0.1"], deps);
      const port = freePort();
      const url = `https://127.0.0.1:${port}/watch`;
      const behind = ["--listen", "127.0.0.1:0", "--public-url", `${url}/`, "--trusted-proxies", "127.0.0.1"];
      const running = await serve(["--state", `${folder}/centre`, ...behind]);
      const proxy = await startNginx({
        cert,
        key,
        port,
        // As the guide shows it, with the address of this test.
        locations: blocksOf("deploy/README.md").find(({ language }) => language === "nginx")!.text
          .replace("http://127.0.0.1:8600", running.url),
      });
      try {
        const ca = `${folder}/tls/ca.pem`;
        assertEquals(await Deno.readTextFile(ca), pem);
        const keyFile = `${folder}/centre/admin.key`;
        const asked = await run([
          ...aggregator,
          "token",
          "create",
          "--json",
          ...["--url", url, "--key-file", keyFile, "--ca", ca],
        ]);
        assertEquals(asked.code, 0, asked.stderr);
        const { token, command } = JSON.parse(asked.stdout);
        assertEquals(command, `sudo picket-sensor enrol --aggregator ${url} --token ${token}`);
        const state = ["--state", `${folder}/pi`];
        const joined = [
          "enrol",
          "--aggregator",
          url,
          "--aggregator-ca",
          ca,
          "--token",
          token,
          "--name",
          "pi",
        ];
        const enrolled = await run([...sensor, ...joined, ...state]);
        assertEquals(enrolled.code, 0, enrolled.stderr);
        const shipped = await run([...sensor, "replay", demoCapture, "--ship", "--no-facts", ...state]);
        assertStringIncludes(shipped.stdout, '"left_in_spool":0');
        const { totals } = await report(`${folder}/centre`);
        assert(totals.flows > 100);
      } finally {
        await proxy.stop();
        await running.stop();
      }
    }),
});
