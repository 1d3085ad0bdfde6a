/** Policies in a real browser: made with a look at what changes, applied, rolled back, set again and ended.
 *
 * Method: sensors of the hostile world check in with what they made of a version. @module */

import { assertEquals, assertStringIncludes } from "@std/assert";
import { useBrowser } from "../../services/services.ts";
import { healthOf, TestSensor } from "../api/fixture.ts";
import { axeProblems, goTo, logIn, withWorld } from "./browsing.ts";
import { hostileStrings } from "./hostile.ts";

const browser = await useBrowser();
// The DevTools connection keeps timers of its own beyond a test.
const options = { ignore: browser.ignore, sanitizeOps: false, sanitizeResources: false };

Deno.test({
  ...options,
  name:
    "an administrator makes a policy, changes it after a look at the difference, sets it again and ends it",
  fn: () =>
    withWorld(browser, { width: 1024 }, async (page, world) => {
      const { policyStore } = world.fixture.services;
      await logIn(page, world.fixture.keys.admin);
      await goTo(page, "#/fleet?tab=policies");
      await page.getByText("No policy is set").waitFor();
      await page.getByRole("link", { name: "Make a policy" }).click();
      const form = page.getByRole("form", { name: "Version of a policy" });
      const set = form.getByRole("button", { name: "Set this version" });
      await form.getByRole("textbox", { name: "Policy" }).fill("office");
      await form.getByLabel("Octets of each packet").fill("67");
      await form.getByRole("alert").filter({ hasText: "0, or a whole number from 68" }).waitFor();
      assertEquals(await set.isDisabled(), true);
      await form.getByLabel("Octets of each packet").fill("68");
      await form.getByLabel("Payloads are read").selectOption("no");
      await form.getByLabel("arp").check();
      await form.getByRole("status").filter({ hasText: 'noise: ["arp"]' }).waitFor();
      await form.getByRole("textbox", { name: /^For/ }).fill("site=lab");
      await set.click();
      await form.getByRole("alert").filter({ hasText: "must be all, tag=NAME or sensor=NAME" }).waitFor();
      await form.getByRole("textbox", { name: /^For/ }).fill("tag=roof");
      await set.click();
      await page.getByRole("region", { name: "Policy office" }).getByText("sensors tagged roof").waitFor();
      assertEquals((await policyStore.readPolicies()).map(({ settings }) => settings), [
        { snaplen: 68, facts: false, noise: ["arp"] },
      ]);
      assertEquals(await axeProblems(page), []);
      await page.getByRole("link", { name: "Change" }).click();
      await form.getByRole("status").filter({ hasText: "Nothing changes" }).waitFor();
      await form.getByLabel("Octets of each packet").fill("");
      await form.getByRole("status").filter({ hasText: "snaplen: 68 → not set" }).waitFor();
      await form.getByRole("textbox", { name: /^For/ }).fill("all");
      await set.click();
      const history = page.getByRole("region", { name: "History" });
      await history.getByText("snaplen: 68 → not set").waitFor();
      await history.getByRole("link", { name: "Set again" }).last().click();
      assertEquals(await form.getByLabel("Octets of each packet").inputValue(), "68");
      assertEquals(await form.getByLabel("Payloads are read").inputValue(), "false");
      await form.getByRole("button", { name: "Leave it as it is" }).click();
      await form.waitFor({ state: "detached" });
      await page.getByRole("button", { name: "End this policy" }).click();
      await page.getByRole("group").getByRole("button", { name: "End this policy" }).click();
      await page.getByText("It ended").waitFor();
      await history.getByText("the policy ended").waitFor();
      await page.getByRole("link", { name: "All policies" }).click();
      await page.getByText("No policy is set").waitFor();
    }),
});

Deno.test({
  ...options,
  name: "a viewer reads who has applied a policy and who rolled it back, and is offered no change",
  fn: () =>
    withWorld(browser, {}, async (page, world) => {
      const { fixture } = world;
      const json = { name: "office", settings: { filter: hostileStrings[0] } };
      const { body: { version } } = await fixture.ask("POST", "/api/v1/policies", { role: "admin", json });
      for (const [name, problem] of [["attic", hostileStrings[1]], ["barn", null]] as const) {
        const sensor = new TestSensor(name);
        await sensor.enrol(fixture);
        const actual = problem === null ? version : 0;
        const policy = {
          name: "office",
          wanted: version,
          actual,
          problem,
          kept: ["snaplen"],
          filtered: true,
        };
        await sensor.checkIn(fixture, { ...healthOf(sensor.id, fixture.clock.ms), policy });
      }
      await logIn(page, fixture.keys.viewer);
      await goTo(page, "#/fleet?tab=policies");
      const listed = page.getByRole("row").filter({ hasText: "office" });
      assertStringIncludes(await listed.innerText(), "by 1 of 5 sensors, 1 rolled back");
      await listed.getByRole("link", { name: "office" }).click();
      const takers = page.getByRole("region", { name: "Who has applied it" });
      await takers.getByText(hostileStrings[1]).waitFor();
      const states = await takers.locator("tbody tr").allInnerTexts();
      assertEquals(states.map((text) => text.split(/\s/)[0]), ["attic", "cellar", "never", "roof", "barn"]);
      assertStringIncludes(states[0], "its own options");
      assertStringIncludes(states[4], "applied");
      assertStringIncludes(await page.locator("main").innerText(), hostileStrings[0]);
      assertEquals(await page.locator("main").getByRole("button").count(), 0);
      assertEquals(await page.getByRole("link", { name: /Make a policy|Change|Set again/ }).count(), 0);
      await goTo(page, "#/fleet?tab=policies&edit=new");
      assertEquals(await page.getByRole("form", { name: "Version of a policy" }).count(), 0);
      await goTo(page, "#/fleet/barn");
      await page.locator("dd").filter({ hasText: `office, version ${version}` }).waitFor();
      await goTo(page, "#/fleet?tab=policies&policy=nobody");
      await page.getByText("No policy has this name").waitFor();
    }),
});
