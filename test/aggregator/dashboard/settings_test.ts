/** Settings in a real browser: suppressions, sinks, detectors, lists and the audit, and what each role is offered.
 *
 * Method: the hostile world, whose API has one sink that fails; what a person does is looked up in the store.
 * @module */

import { assertEquals, assertStringIncludes } from "@std/assert";
import { useBrowser } from "../../services/services.ts";
import { axeProblems, goTo, hasCount, logIn, withWorld } from "./browsing.ts";
import { hostileStrings } from "./hostile.ts";

const browser = await useBrowser();
// The DevTools connection keeps timers of its own beyond a test.
const options = { ignore: browser.ignore, sanitizeOps: false, sanitizeResources: false };
const scan = "00112233445566aa";

Deno.test({
  ...options,
  name: "a suppression is tried, made and ended, and hides what it says",
  fn: () =>
    withWorld(browser, { width: 1024 }, async (page, world) => {
      const { store } = world.fixture.services;
      await logIn(page, world.fixture.keys.analyst);
      await goTo(page, "#/settings");
      await page.getByText("None is in force: every threat is shown").waitFor();
      const form = page.getByRole("form", { name: "New suppression" });
      await form.getByRole("button", { name: "Preview" }).click();
      await page.getByRole("alert").filter({ hasText: "must be given" }).waitFor();
      await form.getByLabel("From").fill("0.0.0.0/0");
      await form.getByRole("button", { name: "Preview" }).click();
      await form.getByRole("alert").filter({ hasText: "must not hold every address" }).waitFor();
      await form.getByLabel("From").fill("10.0.0.0/24");
      await form.getByLabel("Port").fill("443");
      await form.getByRole("button", { name: "Preview" }).click();
      const preview = page.getByRole("status").filter({ hasText: "It would have hidden 1 threat" });
      await preview.getByRole("link", { name: "Beacon" }).waitFor();
      assertEquals(await store.readSuppressions(), [], "a preview makes none");
      await form.getByLabel("Reason").fill(hostileStrings[0]);
      await form.getByRole("button", { name: "Suppress" }).click();
      const row = page.getByRole("row").filter({ hasText: hostileStrings[0] });
      await row.waitFor();
      assertEquals(await preview.count(), 0, "the preview belonged to the form");
      for (const words of ["from 10.0.0.0/24", "port 443", "analyst-key"]) {
        assertStringIncludes((await row.innerText()).replaceAll("\n", " "), words);
      }
      assertEquals(await axeProblems(page), []);
      await goTo(page, "#/threats?range=all");
      await page.locator("table.threats tbody tr").nth(1).waitFor();
      await hasCount(page.locator("table.threats tbody tr"), 2);
      await page.getByLabel("Suppressed").selectOption("true");
      await page.getByText("acknowledged, suppressed").waitFor();
      await page.getByRole("link", { name: "Beacon" }).click();
      await page.locator(".side").getByText("A suppression hides this threat").waitFor();
      await page.locator(".side").getByRole("link", { name: "Suppressions" }).click();
      await row.getByRole("button", { name: "End" }).click();
      await row.getByRole("group").getByRole("button", { name: "End" }).click();
      await row.waitFor({ state: "detached" });
      await page.getByRole("link", { name: "Show those that ended too" }).click();
      await row.filter({ hasText: "ended" }).waitFor();
      await goTo(page, "#/threats?range=all");
      await page.locator("table.threats tbody tr").nth(2).waitFor();
    }),
});

Deno.test({
  ...options,
  name: "from a threat's panel its like is suppressed, and said to be right or wrong",
  fn: () =>
    withWorld(browser, {}, async (page, world) => {
      const { store } = world.fixture.services;
      await logIn(page, world.fixture.keys.analyst);
      await goTo(page, `#/threats?id=${scan}&range=all`);
      const panel = page.locator(".side");
      const right = panel.getByRole("region", { name: "Was it right?" });
      await right.getByLabel("Note").fill(hostileStrings[1]);
      await right.getByRole("button", { name: "It happened, and is harmless" }).click();
      await right.getByText(`It happened, and is harmless: ${hostileStrings[1]}`).waitFor();
      assertEquals((await store.readThreat(scan))?.feedback?.verdict, "benign");
      await panel.getByRole("button", { name: "Suppress threats like this" }).click();
      const form = panel.getByRole("form", { name: "New suppression" });
      const given = async (label: string) => await form.getByLabel(label, { exact: true }).inputValue();
      assertEquals(await Promise.all(["Detector", "From", "To", "Port"].map(given)), [
        "port_scan_vertical",
        "10.0.0.5",
        "10.0.0.9",
        "",
      ]);
      assertEquals(
        await form.locator("[name=ttl_s]").inputValue(),
        "2592000",
        "30 days, unless something else is chosen",
      );
      await form.getByRole("button", { name: "Preview" }).click();
      await panel.getByText("It would have hidden 1 threat").waitFor();
      assertEquals(await axeProblems(page), []);
      await form.getByLabel("Reason").fill("our own scanner");
      await form.getByLabel("For").selectOption("604800");
      await form.getByRole("button", { name: "Suppress" }).click();
      await panel.getByText("A suppression hides this threat").waitFor();
      const [{ made_ms, expires_ms, reason }] = await store.readSuppressions();
      assertEquals([expires_ms - made_ms, reason], [604_800_000, "our own scanner"]);
      await page.locator(`tr[data-id="${scan}"]`).waitFor({ state: "detached" });
    }),
});

Deno.test({
  ...options,
  name: "sinks say how they are, are tested, and show what they could not send",
  fn: () =>
    withWorld(browser, {}, async (page, world) => {
      const { sinks, clock } = world.fixture.services;
      let answer = `the receiver answered ${hostileStrings[2]}`;
      sinks.test = (name) => Promise.resolve(name === "chat" ? answer : null);
      const message = {
        id: "m1",
        kind: "incident",
        severity: "high",
        title: hostileStrings[0],
        summary: "s",
      };
      sinks.dead = () =>
        Promise.resolve([
          // The API reads no other part of a message.
          { id: "m1", made_ms: clock.nowMs(), attempts: 9, reason: "answered 500", message } as never,
        ]);
      await logIn(page, world.fixture.keys.admin);
      await goTo(page, "#/settings?tab=sinks");
      const row = page.getByRole("row").filter({ hasText: "chat" });
      for (const words of ["webhook", "failing", "the receiver answered 500"]) {
        assertStringIncludes(await row.innerText(), words);
      }
      await row.getByRole("button", { name: "Test" }).click();
      await row.getByText(answer).waitFor();
      answer = "";
      await row.getByRole("button", { name: "Test" }).click();
      await row.getByText("The receiver took it").waitFor();
      await row.getByRole("link", { name: "1" }).click();
      const letters = page.getByRole("region", { name: "Dead letters of chat" });
      await letters.getByText(hostileStrings[0]).waitFor();
      assertStringIncludes(await letters.innerText(), "answered 500");
      assertEquals(await axeProblems(page), []);
      sinks.status = () => Promise.resolve([]);
      await page.reload();
      await page.getByText("Nobody is told of incidents yet").waitFor();
    }),
});

Deno.test({
  ...options,
  name: "detectors, intelligence lists and the audit are shown as the API has them",
  fn: () =>
    withWorld(browser, { width: 390 }, async (page, world) => {
      const { keys, ask } = world.fixture;
      await logIn(page, keys.admin);
      await goTo(page, "#/settings?tab=detectors");
      await page.getByRole("textbox", { name: "Search" }).fill("vertical");
      const detector = page.getByRole("row").filter({ hasText: "Vertical port scan" });
      await detector.locator("summary").click();
      await detector.getByText("port_scan_vertical.", { exact: false }).first().waitFor();
      await goTo(page, "#/settings?tab=intelligence");
      await page.getByText("No folder of lists is set").waitFor();
      const list = { entries: 12, loaded_ms: world.fixture.clock.ms, skipped: {}, problem: null };
      const rows = [
        { ...list, name: `${hostileStrings[0]}.txt` },
        { ...list, name: "bad.csv", entries: 0, loaded_ms: null, problem: "it holds no indicator" },
      ];
      await page.route(
        "**/api/v1/intelligence",
        (route) => route.fulfill({ json: { is_set: true, entries: 12, rows } }),
      );
      await page.reload();
      await page.getByText(`${hostileStrings[0]}.txt`).waitFor();
      await page.getByRole("row").filter({ hasText: "bad.csv" }).getByText("not in force").waitFor();
      assertEquals(await axeProblems(page), []);
      const id = "00112233445566ab";
      await ask("POST", `/api/v1/threats/${id}/status`, { role: "analyst", json: { status: "closed" } });
      await goTo(page, "#/settings?tab=audit");
      const row = page.getByRole("row").filter({ hasText: "threat status" });
      assertStringIncludes(await row.innerText(), "analyst-key");
      await row.getByRole("link", { name: id }).click();
      await page.locator(".side").getByText("DNS tunnel").first().waitFor();
    }),
});

Deno.test({
  ...options,
  name: "a viewer sees suppressions, sinks and lists, and is offered to change none",
  fn: () =>
    withWorld(browser, {}, async (page, world) => {
      const { keys, ask } = world.fixture;
      const json = { detector: "beacon", reason: "known", ttl_s: 86_400 };
      await ask("POST", "/api/v1/suppressions", { role: "analyst", json });
      await ask("POST", `/api/v1/threats/${scan}/feedback`, { role: "analyst", json: { verdict: "true" } });
      await logIn(page, keys.viewer);
      await goTo(page, "#/settings");
      await page.getByRole("row").filter({ hasText: "known" }).waitFor();
      const offered = page.locator("main").getByRole("button");
      assertEquals(await offered.count(), 0);
      await goTo(page, "#/settings?tab=sinks");
      await page.getByRole("row").filter({ hasText: "chat" }).waitFor();
      assertEquals(await offered.count(), 0);
      assertEquals(await page.locator("main td a").count(), 0, "dead letters are not a viewer's");
      assertEquals(await page.getByRole("link", { name: /API keys|Audit/ }).count(), 0);
      for (const tab of ["keys", "audit"]) {
        await goTo(page, `#/settings?tab=${tab}`);
        await page.getByText("Only administrators see this").waitFor();
      }
      await goTo(page, `#/threats?id=${scan}&range=all`);
      const right = page.locator(".side").getByRole("region", { name: "Was it right?" });
      await right.getByText("It was an attack").waitFor();
      assertEquals(await page.locator(".side").getByRole("button", { name: /Suppress|It / }).count(), 0);
    }),
});
