/** What people read on the pages at the first look: an empty store, a small screen, names that do not fit. @module */

import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { useBrowser } from "../../services/services.ts";
import type { Places } from "../../../aggregator/model/place.ts";
import { sampleFlow, sampleWrite } from "../api/samples.ts";
import { axeProblems, goTo, hasCount, logIn, withWorld } from "./browsing.ts";

const browser = await useBrowser();
// The DevTools connection keeps timers of its own beyond a test.
const options = { ignore: browser.ignore, sanitizeOps: false, sanitizeResources: false };

Deno.test({
  ...options,
  name:
    "where nobody has joined, the overview says what to do first, and no list advises what would not help",
  fn: () =>
    withWorld(browser, { isEmpty: true }, async (page, world) => {
      await logIn(page, world.fixture.keys.viewer);
      const first = page.getByRole("region", { name: "Nothing is watched yet" });
      await first.getByText("Ask an administrator for a join token").waitFor();
      for (const hash of ["#/threats", "#/flows", "#/hosts", "#/map"]) {
        await goTo(page, hash);
        await page.getByText("It appears with the first batch of a sensor").waitFor();
        assertEquals(await page.getByRole("link", { name: "Look at all times" }).count(), 0, hash);
      }
      await page.getByRole("button", { name: "Log out" }).click();
      await logIn(page, world.fixture.keys.admin);
      await goTo(page, "#/overview");
      assertEquals(await axeProblems(page), []);
      await first.getByRole("link", { name: "Make a join token" }).click();
      await page.getByRole("region", { name: "Add a sensor" }).waitFor();
    }),
});

Deno.test({
  ...options,
  name: "the overview counts open incidents by severity, and each count leads to its threats",
  fn: () =>
    withWorld(browser, {}, async (page, world) => {
      await logIn(page, world.fixture.keys.viewer);
      const counts = page.getByRole("list", { name: "Open incidents by severity" });
      await counts.getByRole("link", { name: "1 critical" }).click();
      await page.waitForFunction("/severity_min=critical/.test(location.hash)");
      await hasCount(page.locator("table.threats tbody tr"), 1);
    }),
});

Deno.test({
  ...options,
  name: "a name that is too long stays on one line, and is whole in its title",
  fn: () =>
    withWorld(browser, { width: 1024 }, async (page, world) => {
      await logIn(page, world.fixture.keys.viewer);
      await goTo(page, "#/flows");
      await page.locator("table.flows tbody tr").nth(99).waitFor();
      const names = page.locator("table.flows td.col-name > span");
      const long = names.filter({ hasText: "meta http-equiv" }).first();
      assertStringIncludes((await long.getAttribute("title"))!, "content='0;url=https://evil.example'");
      const heights = await page.evaluate(
        "[...document.querySelectorAll('table.flows td.col-name > span')].map((one) => one.clientHeight)",
      ) as number[];
      assertEquals(new Set(heights.filter((height) => height > 0)).size, 1, "all of one line");
      await goTo(page, "#/threats");
      const one = page.locator("table.threats td.col-ends .wire").first();
      assertEquals(await one.getAttribute("title"), null, "nothing is left out");
    }),
});

const elsewhere: Places = {
  isKnown: true,
  find: (ip) =>
    ip === "192.0.2.80" || ip === "198.51.100.53"
      ? { country: "DE", country_name: "Germany <b>", asn: 64_500, as_org: "Example" }
      : null,
};

Deno.test({
  ...options,
  name:
    "lists tell the country of the party outside where a GeoIP file knows it, and have no such column else",
  fn: async () => {
    await withWorld(browser, { places: elsewhere }, async (page, world) => {
      await logIn(page, world.fixture.keys.analyst);
      await goTo(page, "#/flows");
      const flow = page.locator("table.flows td.col-country span").first();
      assertEquals(await flow.innerText(), "Germany <b>");
      assertStringIncludes((await flow.getAttribute("title"))!, "AS64500 Example");
      await goTo(page, "#/threats");
      const tunnel = page.getByRole("row").filter({ hasText: "DNS tunnel" });
      assertStringIncludes(await tunnel.locator("td.col-country").innerText(), "Germany <b>");
      await tunnel.getByRole("link").click();
      await page.locator(".side").getByText("Germany <b>; AS64500 Example").waitFor();
      assertEquals(await axeProblems(page), []);
      await goTo(page, "#/hosts");
      await page.getByText("Export", { exact: true }).click();
      const path = await page.getByRole("link", { name: "NDJSON" }).getAttribute("href");
      const text = await page.evaluate(`fetch(${JSON.stringify(path)}).then((answer) => answer.text())`);
      assertStringIncludes(String(text), '"country":"DE"');
    });
    await withWorld(browser, {}, async (page, world) => {
      await logIn(page, world.fixture.keys.viewer);
      for (const [hash, table] of [["#/flows", "table.flows"], ["#/threats", "table.threats"]]) {
        await goTo(page, hash);
        await page.locator(`${table} tbody tr`).nth(2).waitFor();
        assertEquals(await page.locator(".col-country").count(), 0);
      }
      await goTo(page, "#/flows?cols=from,country");
      await page.locator("th.col-country").waitFor();
    });
  },
});

Deno.test({
  ...options,
  name: "conversations, the largest first, say how many bytes; where there is no service no port is named",
  fn: () =>
    withWorld(browser, {}, async (page, world) => {
      await world.fixture.services.store.ingest(
        sampleWrite([
          sampleFlow(200, { src_ip: "10.0.0.66", dst_port: 61_000, conn_state: "S0", app_protocol: "" }),
        ]),
      );
      await logIn(page, world.fixture.keys.viewer);
      await goTo(page, "#/hosts?view=conversations");
      const row = page.getByRole("row").filter({ hasText: "10.0.0.66" });
      await row.waitFor();
      assert(/\d (k|M)?B/.test(await row.locator(".col-loose-bytes").innerText()));
      assert(!/^0$/.test(await row.locator(".col-loose-port").innerText()));
      await goTo(page, "#/hosts?view=conversations&ip=10.0.0.5");
      assertEquals(await page.locator("th.col-loose-bytes").innerText(), "Bytes");
    }),
});

Deno.test({
  ...options,
  name: "overview, map and fleet fill the screen on demand, without what a wall does not need",
  fn: () =>
    withWorld(browser, {}, async (page, world) => {
      await logIn(page, world.fixture.keys.viewer);
      for (const hash of ["#/overview", "#/map?minutes=60", "#/fleet"]) {
        await goTo(page, hash);
        await page.getByRole("button", { name: "Full screen" }).click();
        await page.locator("nav[aria-label=Pages]").waitFor({ state: "hidden" });
        assert(await page.locator(".as-of").isVisible(), "as of when stays");
        await page.evaluate("document.exitFullscreen()");
        await page.locator("nav[aria-label=Pages]").waitFor();
      }
      await goTo(page, "#/flows");
      assertEquals(await page.getByRole("button", { name: "Full screen" }).count(), 0);
    }),
});

Deno.test({
  ...options,
  name: "what does not change while a page is open is asked for once; what does is asked for again",
  fn: () =>
    withWorld(browser, {}, async (page, world) => {
      await logIn(page, world.fixture.keys.viewer);
      const asked: string[] = [];
      page.on("request", (request) => asked.push(new URL(request.url()).pathname));
      const count = (path: string) => asked.filter((one) => one === `/api/v1/${path}`).length;
      await goTo(page, "#/threats");
      await page.locator("table.threats tbody tr").nth(2).waitFor();
      const again = page.waitForRequest(/api\/v1\/threats\?/);
      // A page that becomes visible asks at once.
      await page.evaluate("document.dispatchEvent(new Event('visibilitychange'))");
      await again;
      await page.waitForTimeout(200);
      assertEquals([count("threats"), count("filter/columns"), count("detectors")], [2, 1, 1]);
    }),
});

Deno.test({
  ...options,
  name:
    "a small screen shows the line of the filter language, and the other fields on demand or once they are set",
  fn: () =>
    withWorld(browser, { width: 390 }, async (page, world) => {
      await logIn(page, world.fixture.keys.viewer);
      await goTo(page, "#/threats");
      await page.locator("table.threats tbody tr").nth(2).waitFor();
      await page.getByLabel("Filter", { exact: true }).waitFor();
      assert(await page.getByLabel("Address").isHidden());
      await page.getByRole("button", { name: "More filters" }).click();
      await page.getByLabel("Address").fill("10.0.0.5");
      await page.keyboard.press("Enter");
      await page.waitForFunction("/ip=10.0.0.5/.test(location.hash)");
      await page.reload();
      await page.getByLabel("Address").waitFor();
      assertEquals(await page.getByLabel("Address").inputValue(), "10.0.0.5");
      assertEquals(await axeProblems(page), []);
    }),
});
