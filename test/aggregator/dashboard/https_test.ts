/** Every page, login and a change in a real browser over HTTPS: from the aggregator itself, and behind a real nginx.
 *
 * Method: the certificate is of the aggregator's own authority;
 * what the browser speaks is HTTP/2, whose requests have no `host`. @module */

import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { ensureAuthority, serverCertificate } from "../../../aggregator/tls/authority.ts";
import { openBrowser, skipLoudly, useBrowser } from "../../services/services.ts";
import { nginxMissing, startNginx } from "../../services/nginx.ts";
import { freePort } from "../../services/guarded_child.ts";
import type { Page } from "../../services/browser.ts";
import { logIn, openPage } from "./browsing.ts";
import { type HostileWorld, startHostileWorld } from "./hostile.ts";
import { randomBytes } from "../api/fixture.ts";

const browser = await useBrowser();
const reason = await nginxMissing();
const nginx = reason ? skipLoudly("tests behind nginx", reason) : { ignore: false };

async function makeCertificate() {
  const folder = await Deno.makeTempDir({ prefix: "picket-tls-" });
  try {
    const deps = { nowMs: Date.now(), randomBytes };
    const { pem } = await ensureAuthority(folder, "test", deps);
    return { ...await serverCertificate(folder, ["localhost", "127.0.0.1"], deps), ca: pem };
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

async function withPage(url: string, work: (page: Page) => Promise<void>): Promise<void> {
  const chromium = await openBrowser(browser.address);
  try {
    const { page, seen } = await openPage(chromium, url);
    await work(page);
    assertEquals(seen, { dialogs: [], foreign: [], violations: [] });
    await page.context().close();
  } finally {
    await chromium.close();
  }
}

/** Logs in, goes through the pages by their links, closes a threat, reads the API's page, and logs out. */
async function walkThrough(page: Page, url: string, { fixture }: HostileWorld): Promise<void> {
  await logIn(page, fixture.keys.analyst);
  assertEquals(
    await page.evaluate("performance.getEntriesByType('navigation')[0].nextHopProtocol"),
    "h2",
  );
  const [cookie] = await page.context().cookies();
  const path = new URL(url).pathname.replace(/\/$/, "") || "/";
  assertEquals([cookie.secure, cookie.httpOnly, cookie.sameSite, cookie.path], [true, true, "Strict", path]);
  for (const name of ["Flows", "Hosts", "Map", "Fleet", "Settings", "Overview", "Threats"]) {
    await page.getByRole("navigation", { name: "Pages" }).getByRole("link", { name }).click();
    await page.getByRole("heading", { level: 1, name }).waitFor();
  }
  await page.locator("table.threats").getByRole("link", { name: "Vertical port scan" }).click();
  await page.locator(".side").getByRole("button", { name: "Close", exact: true }).click();
  await page.locator(".side").getByRole("button", { name: "Reopen" }).waitFor();
  assertEquals((await fixture.services.store.readThreat("00112233445566aa"))?.status, "closed");
  await page.getByRole("link", { name: "API" }).click();
  await page.locator("article", { hasText: "/api/v1/flows/search" }).first().waitFor();
  assertEquals(page.url(), `${url}docs`);
  await page.goto(url);
  await page.getByRole("button", { name: "Log out" }).click();
  await page.getByRole("heading", { name: "Log in" }).waitFor();
}

// Playwright clears up its own folders and timers when a browser is closed already.
const options = { sanitizeOps: false, sanitizeResources: false };

Deno.test({
  ...options,
  ignore: browser.ignore,
  name: "dashboard over HTTPS: login, a change and logout in a browser that speaks HTTP/2",
  fn: async () => {
    const world = await startHostileWorld({ certificate: await makeCertificate() });
    try {
      assertStringIncludes(world.url, "https://127.0.0.1:");
      await withPage(`${world.url}/`, (page) => walkThrough(page, `${world.url}/`, world));
    } finally {
      await world.stop();
    }
  },
});

/** As nginx is commonly written: `proxy_pass` with a path takes the prefix away, without one hands it on. */
const proxies: [name: string, prefix: string, locations: (port: string) => string][] = [
  ["another Host and a prefix that it takes away", "/watch/", (at) =>
    `location /watch/ {
    proxy_pass http://${at}/;
    proxy_set_header Host inner.example;
    proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
  }`],
  ["another Host and a prefix that it hands on", "/watch/", (at) =>
    `location /watch/ {
    proxy_pass http://${at};
    proxy_set_header Forwarded "for=$remote_addr;proto=https";
  }`],
  ["the same Host, no prefix and no option but its own", "/", (at) =>
    `location / {
    proxy_pass http://${at};
    proxy_set_header Host $http_host;
  }`],
];

for (const [name, prefix, locations] of proxies) {
  Deno.test({
    ...options,
    ignore: browser.ignore || nginx.ignore,
    name: `dashboard behind nginx with TLS there: ${name}`,
    fn: async () => {
      const { cert, key } = await makeCertificate();
      // The public address has to be known before either of them has a port.
      const port = freePort();
      const publicUrl = `https://127.0.0.1:${port}${prefix}`;
      const world = await startHostileWorld({
        ...(prefix === "/" ? {} : { publicUrl }),
        trustedProxies: ["127.0.0.1"],
        hostnames: ["inner.example"],
      });
      const proxy = await startNginx({ cert, key, port, locations: locations(new URL(world.url).host) });
      try {
        await withPage(publicUrl, (page) => walkThrough(page, publicUrl, world));
      } finally {
        await proxy.stop();
        await world.stop();
      }
    },
  });
}

Deno.test({
  ignore: nginx.ignore,
  name: "behind nginx wrong keys make their sender wait, nobody else, and the sender cannot be made up",
  fn: async () => {
    const { cert, key, ca } = await makeCertificate();
    const world = await startHostileWorld({ trustedProxies: ["127.0.0.1"] });
    const at = new URL(world.url).host;
    const proxy = await startNginx({
      cert,
      key,
      locations: `set_real_ip_from 127.0.0.1; real_ip_header X-Test-Client;
    location / {
      proxy_pass http://${at};
      proxy_set_header Host $http_host;
      proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
    }`,
    });
    const client = Deno.createHttpClient({ caCerts: [ca] });
    const ask = async (key: string, from: string, spoofed = "203.0.113.77") => {
      const response = await fetch(`https://127.0.0.1:${proxy.port}/api/v1/session`, {
        client,
        headers: { authorization: `Bearer ${key}`, "x-test-client": from, "x-forwarded-for": spoofed },
      });
      await response.body?.cancel();
      return response.status;
    };
    try {
      const codes = [];
      for (let i = 0; i < 8; i++) codes.push(await ask("pk_stale", "198.51.100.7", `203.0.113.${i}`));
      assertEquals(codes.slice(0, 5), [401, 401, 401, 401, 401]);
      assert(codes.slice(5).every((code) => code === 429), "another made-up address is not another sender");
      assertEquals(await ask("pk_stale", "198.51.100.8"), 401);
      assertEquals(await ask(world.fixture.keys.viewer, "198.51.100.7"), 200);
      assertEquals(await ask(world.fixture.keys.viewer, "198.51.100.8"), 200);
    } finally {
      client.close();
      await proxy.stop();
      await world.stop();
    }
  },
});
