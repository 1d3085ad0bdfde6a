/** Pages over answers that the test gives in the API's place: hosts, packets, the filter language,
 * flows of a threat, live mode.
 *
 * Why: the pages depend on states and sizes that take long to build up in a store. The shapes are those of the
 * routes. @module */

import { assertEquals, assertStringIncludes } from "@std/assert";
import { useBrowser } from "../../services/services.ts";
import type { Page } from "../../services/browser.ts";
import { sampleFlow } from "../api/samples.ts";
import { axeProblems, goTo, hasCount, logIn, withWorld } from "./browsing.ts";
import { hostileStrings } from "./hostile.ts";

const browser = await useBrowser();
// The DevTools connection keeps timers of its own beyond a test.
const options = { ignore: browser.ignore, sanitizeOps: false, sanitizeResources: false };
const scan = "00112233445566aa";

const host = {
  ip: "10.0.0.5",
  network: "lab",
  inside: true,
  first_seen_ms: 1_799_998_000_000,
  last_seen_ms: 1_799_999_000_000,
  names: [hostileStrings[0], hostileStrings[8]],
  macs: ["02:00:00:00:00:05"],
  ports: [],
  flows: 23,
  packets: 437,
  bytes: 935_000,
  threats: 3,
  place: { country: "DE", country_name: "Germany", asn: 64_500, as_org: hostileStrings[2] },
};
const service = {
  protocol: "tcp",
  port: 443,
  app: "tls",
  first_seen_ms: 1_799_998_000_000,
  last_seen_ms: 0,
  flows: 2,
};

/** Answers these routes of the API in its place. */
async function answer(page: Page, routes: Record<string, { answer: unknown }>): Promise<void> {
  for (const [name, { answer: given }] of Object.entries(routes)) {
    const [method, path] = name.split(" ");
    const pattern = new RegExp(`${path.replace(/\{[a-z]+\}/g, "[^/?]+")}(\\?.*)?$`);
    await page.route(pattern, async (route) => {
      if (route.request().method() !== method) return await route.fallback();
      await route.fulfill({ json: typeof given === "function" ? given(route.request().url()) : given });
    });
  }
}

Deno.test({
  ...options,
  name: "hosts are listed, filtered and shown one by one",
  fn: () =>
    withWorld(browser, { width: 1024 }, async (page, world) => {
      await logIn(page, world.fixture.keys.viewer);
      await goTo(page, "#/hosts");
      const asked: string[] = [];
      await answer(page, {
        "GET /api/v1/hosts": {
          answer: (url: string) => {
            asked.push(url);
            return { rows: [host] };
          },
        },
        "GET /api/v1/hosts/{ip}": {
          answer: {
            ...host,
            services: [{ ...service, clients: 4 }],
            uses: [{ ip: "192.0.2.80", ...service }],
            peers: [{ ip: "192.0.2.80", flows: 23, bytes: 935_000 }],
            series: [{ at_ms: 1_799_996_400_000, bytes: 935_000, packets: 437 }],
            threats: [],
            sensors: ["s1"],
          },
        },
      });
      await page.goto(`${world.url}/#/hosts`);
      await page.reload();
      await page.locator("table.hosts tbody tr").waitFor();
      assertStringIncludes(await page.locator("table.hosts").innerText(), hostileStrings[0]);
      await page.getByLabel("Order").selectOption("bytes");
      await page.waitForFunction("/sort=bytes/.test(location.hash)");
      await page.waitForTimeout(300);
      assertStringIncludes(asked.at(-1)!, "sort=bytes");
      await page.getByRole("link", { name: "10.0.0.5" }).click();
      await page.getByRole("region", { name: "Services it offers" }).waitFor();
      const text = await page.locator("main").innerText();
      for (
        const words of [
          hostileStrings[0],
          "good\\u{202e}moc",
          "02:00:00:00:00:05",
          "935 kB",
          `Germany; AS64500 ${hostileStrings[2]}`,
        ]
      ) {
        assertStringIncludes(text, words);
      }
      assertEquals(await axeProblems(page), []);
      await goTo(page, "#/overview?range=all");
      await page.getByRole("region", { name: "New hosts" }).getByText("10.0.0.5").waitFor();
      assertStringIncludes(decodeURIComponent(asked.at(-1)!), "filter=inside+=+yes+and+first_seen");
      await goTo(page, "#/hosts?range=all");
      await page.getByLabel("Filter", { exact: true }).fill("inside = yes");
      const filtered = page.waitForRequest(/hosts\?.*filter=inside/);
      await page.keyboard.press("Enter");
      // The rows of the question before stay until the answer is there.
      await filtered;
    }),
});

Deno.test({
  ...options,
  name: "packets of a threat are asked for and downloaded by who may, and a viewer is not offered them",
  fn: () =>
    withWorld(browser, {}, async (page, world) => {
      let state = "none";
      const status = () => ({
        state,
        reason: `state ${state} ${hostileStrings[1]}`,
        sensors: state === "none"
          ? []
          : [{ name: "roof", state, reason: "", packets: 12, bytes: 3_400, at_ms: 1_799_999_000_000 }],
      });
      await answer(page, {
        "GET /api/v1/threats/{id}/packets": { answer: status },
        "POST /api/v1/threats/{id}/packets": {
          answer: () => {
            state = "arrived";
            return status();
          },
        },
      });
      await logIn(page, world.fixture.keys.viewer);
      await goTo(page, `#/threats?id=${scan}`);
      await page.locator(".side .lead").waitFor();
      assertEquals(await page.locator(".side").getByRole("heading", { name: "Packets" }).count(), 0);
      await page.getByRole("button", { name: "Log out" }).click();
      await logIn(page, world.fixture.keys.analyst);
      await page.getByRole("button", { name: "Ask the sensors for the packets" }).click();
      const link = page.getByRole("link", { name: "Download pcapng" });
      await link.waitFor();
      assertEquals(await link.getAttribute("href"), `api/v1/threats/${scan}/packets`);
      assertStringIncludes(await page.locator(".side").innerText(), "12 packets, 3400 B");
    }),
});

Deno.test({
  ...options,
  name: "a threat says how many of its flows it can show, and what answered among them",
  fn: () =>
    withWorld(browser, {}, async (page, world) => {
      const rows = Array.from({ length: 30 }, (_, i) =>
        sampleFlow(i, {
          dst_ip: "10.0.0.9",
          dst_port: i + 1,
          conn_state: i === 21 ? "SF" : "S0",
          facts: null,
        }));
      await answer(page, {
        "GET /api/v1/threats/{id}/flows": {
          answer: { rows, flows: 240, linked: 30, is_complete: false },
        },
      });
      await logIn(page, world.fixture.keys.viewer);
      await goTo(page, `#/threats?id=${scan}`);
      const panel = page.locator(".side");
      await panel.getByText("the first 30 of 240 flows").first().waitFor();
      const told = panel.locator("dt", { hasText: "Ports that answered" });
      assertEquals(await told.locator("+ dd").innerText(), "10.0.0.9:22");
      await panel.getByRole("button", { name: "Show 30 flows" }).click();
      await panel.locator("table.flows tbody tr").nth(29).waitFor();
      await hasCount(panel.locator("table.flows tbody tr"), 30);
    }),
});

Deno.test({
  ...options,
  name:
    "the filter line is completed from the columns, and live mode follows what is stored within a second or so",
  fn: () =>
    withWorld(browser, {}, async (page, world) => {
      const column = {
        name: "src_ip",
        type: "address",
        about: "",
        operators: ["=", "in"],
        examples: ["10.0.0.5"],
      };
      const asked: string[] = [];
      await answer(page, {
        "GET /api/v1/filter/columns": { answer: { flows: [column], threats: [] } },
        "GET /api/v1/flows/search": {
          answer: (url: string) => {
            asked.push(url);
            return {
              rows: [sampleFlow(asked.length)],
              assumed: { from: 0, reason: "only a day was searched" },
            };
          },
        },
      });
      await page.route("**/api/v1/live?*", (route) =>
        route.fulfill({ contentType: "text/event-stream", body: "retry: 200\n\nevent: flow\ndata: {}\n\n" }));
      await logIn(page, world.fixture.keys.viewer);
      await goTo(page, "#/flows");
      await page.getByLabel("Filter", { exact: true }).fill("src_ip ");
      assertEquals(
        await page.evaluate("[...document.querySelectorAll('datalist option')].map((one) => one.value)"),
        ["src_ip =", "src_ip in"],
      );
      await page.getByLabel("Filter", { exact: true }).fill("src_ip = 10.0.0.5");
      await page.keyboard.press("Enter");
      await page.getByText("only a day was searched").waitFor();
      await page.waitForFunction("/filter=src_ip/.test(location.hash)");
      const before = asked.length;
      await page.getByLabel("Live").check();
      await page.waitForTimeout(3_500);
      const times = asked.length - before;
      if (times < 3 || times > 6) {
        throw new Error(`asked ${times} times in 3.5 s`);
      }
      assertStringIncludes(asked.at(-1)!, "filter=src_ip");
    }),
});

Deno.test({
  ...options,
  name: "live mode comes back by itself after an error in place of its stream",
  fn: () =>
    withWorld(browser, {}, async (page, world) => {
      let asked = 0, refused = 0;
      await answer(page, {
        "GET /api/v1/flows/search": { answer: () => ({ rows: [sampleFlow(++asked)] }) },
      });
      await page.route(
        "**/api/v1/live?*",
        (route) =>
          refused++ === 0 ? route.fulfill({ status: 404, body: "" }) : route.fulfill({
            contentType: "text/event-stream",
            body: "retry: 200\n\nevent: flow\ndata: {}\n\n",
          }),
      );
      await logIn(page, world.fixture.keys.viewer);
      await goTo(page, "#/flows?live=1");
      await page.waitForTimeout(3_000);
      assertEquals(refused, 1, "not at once");
      const before = asked;
      await page.waitForTimeout(6_000);
      if (asked - before < 3) throw new Error(`asked ${asked - before} times in 6 s`);
    }),
});

Deno.test({
  ...options,
  name: "the overview asks each question once, and all at once as soon as the newest packet is known",
  fn: () =>
    withWorld(browser, {}, async (page, world) => {
      await logIn(page, world.fixture.keys.viewer);
      const { promise: held, resolve: letGo } = Promise.withResolvers<void>();
      const asked: string[] = [];
      await page.route("**/api/v1/**", async (route) => {
        const path = new URL(route.request().url()).pathname.replace("/api/v1/", "");
        asked.push(path);
        // None is answered before all are asked.
        if (!["session", "stats/totals"].includes(path)) await held;
        await route.continue();
      });
      await page.reload();
      await page.getByRole("region", { name: "New hosts" }).waitFor();
      await page.waitForTimeout(500);
      assertEquals(asked.slice(0, 2).sort(), ["session", "stats/totals"]);
      assertEquals(asked.slice(2).sort(), [
        "fleet",
        "hosts",
        "incidents",
        "stats/protocols",
        "stats/series",
        "stats/top-talkers",
      ]);
      letGo();
      await page.locator(".incident").first().waitFor();
      await page.locator(".chart .mark").first().waitFor();
    }),
});
