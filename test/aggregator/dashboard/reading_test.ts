/** What people read on the pages at the first look: an empty store, a small screen, names that do not fit. @module */

import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { useBrowser } from "../../services/services.ts";
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
