/** The dashboard in a real browser: what a person sees, and that hostile strings stay text.
 *
 * Method: every wire field of the store holds an attack; the page is read, clicked through, and anything that runs, opens a dialog or
 * asks another host fails the test. @module */

import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { openBrowser, useBrowser } from "../../services/services.ts";
import type { Browser, Page } from "../../services/browser.ts";
import { TestSensor } from "../api/fixture.ts";
import { hostileStrings, type HostileWorld, startHostileWorld } from "./hostile.ts";

const browser = await useBrowser();

interface Seen {
  dialogs: string[];
  foreign: string[];
  violations: string[];
}

async function openPage(
  chromium: Browser,
  world: HostileWorld,
  width: number,
): Promise<{ page: Page; seen: Seen }> {
  const context = await chromium.newContext({ viewport: { width, height: 900 } });
  const page = await context.newPage();
  const seen: Seen = { dialogs: [], foreign: [], violations: [] };
  page.on("dialog", async (dialog) => {
    seen.dialogs.push(dialog.message());
    await dialog.dismiss();
  });
  page.on("request", (request) => {
    if (!request.url().startsWith(world.url)) seen.foreign.push(request.url());
  });
  page.on("console", (message) => {
    if (message.text().includes("Content Security Policy")) seen.violations.push(message.text());
  });
  page.on("pageerror", (error) => seen.violations.push(error.message));
  await page.goto(world.url);
  return { page, seen };
}

async function logIn(page: Page, key: string): Promise<void> {
  await page.getByLabel("API key").fill(key);
  await page.getByRole("button", { name: "Log in" }).click();
  await page.locator("#flow-list tbody tr").first().waitFor();
}

async function withPage(
  width: number,
  work: (page: Page, world: HostileWorld, seen: Seen) => Promise<void>,
): Promise<void> {
  const world = await startHostileWorld();
  const chromium = await openBrowser(browser.address);
  try {
    const { page, seen } = await openPage(chromium, world, width);
    await work(page, world, seen);
    assertEquals(seen, { dialogs: [], foreign: [], violations: [] });
    await page.context().close();
  } finally {
    await chromium.close();
    await world.stop();
  }
}

// Playwright clears up its own folders and timers when a browser is closed already.
const options = { ignore: browser.ignore, sanitizeOps: false, sanitizeResources: false };

Deno.test({
  ...options,
  name: "dashboard asks for a key, says when it is wrong, and shows nothing before",
  fn: () =>
    withPage(1280, async (page, world) => {
      await page.getByRole("heading", { name: "Log in" }).waitFor();
      assertEquals(await page.locator("#inside").isVisible(), false);
      await page.getByLabel("API key").fill("pk_wrong");
      await page.getByRole("button", { name: "Log in" }).click();
      const problem = page.locator("#login-problem");
      await problem.filter({ hasText: "not known" }).waitFor();
      await logIn(page, world.fixture.keys.viewer);
      assertStringIncludes(await page.locator("#who").innerText(), "viewer");
      assertEquals(await page.getByRole("button", { name: "Acknowledge" }).count(), 0);
      await page.getByRole("button", { name: "Log out" }).click();
      await page.getByRole("heading", { name: "Log in" }).waitFor();
    }),
});

Deno.test({
  ...options,
  name: "dashboard shows fleet, explained threats and traffic, with every hostile string as text",
  fn: () =>
    withPage(1280, async (page, world) => {
      await logIn(page, world.fixture.keys.analyst);
      const fleet = await page.locator("#fleet-list").innerText();
      const lost = ["12000 packets", "12.0 k by the kernel", "345 by the card"];
      for (const words of ["roof", "healthy", "lossy", ...lost, "never seen", hostileStrings[1]]) {
        assertStringIncludes(fleet, words);
      }
      const incident = await page.locator("#incident-list").innerText();
      for (const words of ["10.0.0.5", "3 threats", "reconnaissance: Vertical port scan"]) {
        assertStringIncludes(incident, words);
      }
      const threats = page.locator("#threat-list");
      assertStringIncludes(await threats.innerText(), "tried 240 different ports");
      assertStringIncludes(await threats.innerText(), "Find out who uses 10.0.0.5");
      for (const summary of await threats.locator("summary").all()) await summary.click();
      const text = await threats.innerText();
      for (const string of hostileStrings.slice(0, 8)) assertStringIncludes(text, string);
      assertStringIncludes(text, "good\\u{202e}moc", "direction characters are visible");
      assertStringIncludes(text, "bell\\u{1b}[31m");
      assertEquals(
        await page.locator("main :is(script, iframe, style, img, meta, a[href^=http])").count(),
        0,
      );
      assertEquals(await page.locator("#chart svg[role=img]").count(), 1);
      assert(await page.locator("#talkers .share").count() > 3);
      const flows = await page.locator("#flow-list").innerText();
      for (const end of ["svg onload=alert(3)> → 192.0.2.1", "moc.elpmaxe NXDOMAIN", "(3)> no answer"]) {
        assertStringIncludes(flows, end);
      }
      await page.locator("#talkers a").first().click();
      await page.locator("#flows-note").filter({ hasText: "that fit" }).waitFor();
    }),
});

Deno.test({
  ...options,
  name: "dashboard sets a threat's status and finds its flows",
  fn: () =>
    withPage(1280, async (page, world) => {
      await logIn(page, world.fixture.keys.analyst);
      const scan = page.locator("article", { hasText: "Vertical port scan" });
      await scan.getByRole("button", { name: "Its flows" }).click();
      await page.locator("#flows-note").filter({ hasText: "of one threat" }).waitFor();
      assertEquals(await page.locator("#flow-list tbody tr").count(), 5);
      await scan.getByRole("button", { name: "Close" }).click();
      await scan.getByRole("button", { name: "Reopen" }).waitFor();
      assertEquals((await world.fixture.services.store.readThreat("00112233445566aa"))?.status, "closed");
    }),
});

Deno.test({
  ...options,
  name: "dashboard pages through flows, searches, and says what is wrong in a search",
  fn: () =>
    withPage(1280, async (page, world) => {
      await logIn(page, world.fixture.keys.viewer);
      const rows = page.locator("#flow-list tbody tr");
      assertEquals(await rows.count(), 25);
      await page.getByRole("button", { name: "Show older flows" }).click();
      await rows.nth(49).waitFor();
      await page.getByLabel("Address").fill("10.0.0.5");
      await page.getByRole("button", { name: "Search" }).click();
      await page.locator("#flows-note").filter({ hasText: "that fit" }).waitFor();
      await page.getByLabel("Address").fill("not an address");
      await page.getByRole("button", { name: "Search" }).click();
      const address = page.getByLabel("Address");
      const note = page.locator("label", { has: address }).getByRole("alert");
      await note.filter({ hasText: "must be an IPv4 or IPv6 address" }).waitFor();
      assertEquals(await address.getAttribute("aria-invalid"), "true");
      assertEquals(await address.getAttribute("aria-describedby"), await note.getAttribute("id"));
      assertEquals(await page.locator("#problem").isVisible(), false);
      await address.fill("");
      await page.getByRole("textbox", { name: "Port" }).fill("70000");
      await page.getByRole("button", { name: "Search" }).click();
      await page.locator("label", { has: page.getByRole("textbox", { name: "Port" }) }).getByRole("alert")
        .waitFor();
      assertEquals(await note.count(), 0, "the field before is right again");
      await page.getByRole("button", { name: "Clear" }).click();
      await page.locator("#flows-note").filter({ hasText: "newest first" }).waitFor();
      assertEquals(await page.locator("[aria-invalid]").count(), 0);
    }),
});

Deno.test({
  ...options,
  name: "dashboard lets an administrator, and nobody else, take in a sensor that waits and lift a quarantine",
  fn: () =>
    withPage(1280, async (page, world) => {
      const { store, directory } = world.fixture.services;
      const waiting = new TestSensor("waiting");
      await waiting.enrol(world.fixture, "lab", true);
      const [{ sensor_id }] = (await store.readSensors()).filter(({ name }) => name === "roof");
      await store.quarantineSensor(sensor_id, "two copies", world.fixture.clock.ms);
      directory.forget();
      await logIn(page, world.fixture.keys.analyst);
      await page.locator("#fleet-list tr", { hasText: "waiting" }).getByText("pending").waitFor();
      assertEquals(await page.getByRole("button", { name: /Approve|Release/ }).count(), 0);
      await page.getByRole("button", { name: "Log out" }).click();
      await page.getByRole("heading", { name: "Log in" }).waitFor();
      await logIn(page, world.fixture.keys.admin);
      await page.locator("#fleet-list tr", { hasText: "waiting" }).getByRole("button", { name: "Approve" })
        .click();
      await page.locator("#fleet-list tr", { hasText: "waiting" }).getByText("never seen").waitFor();
      await page.locator("#fleet-list tr", { hasText: "roof" }).getByRole("button", { name: "Release" })
        .click();
      await page.locator("#fleet-list tr", { hasText: "roof" }).getByText("healthy").waitFor();
      const rows = await store.readSensors();
      assertEquals(rows.filter(({ quarantined_ms }) => quarantined_ms !== null).length, 0);
    }),
});

Deno.test({
  ...options,
  name: "dashboard fits a phone: nothing is wider than the screen, and columns keep their names",
  fn: () =>
    withPage(390, async (page, world) => {
      await logIn(page, world.fixture.keys.viewer);
      const width = await page.evaluate("document.documentElement.scrollWidth");
      assert(Number(width) <= 390, `page is ${width} px wide`);
      const label = await page.locator("#fleet-list td").first().getAttribute("data-label");
      assertEquals(label, "Sensor");
    }),
});

Deno.test({
  ...options,
  name: "docs page lists the routes from the API's own description",
  fn: () =>
    withPage(1280, async (page, world) => {
      await logIn(page, world.fixture.keys.viewer);
      await page.goto(`${world.url}/docs`);
      await page.locator("article", { hasText: "/api/v1/flows/search" }).first().waitFor();
      assert(await page.locator("article").count() >= 25);
    }),
});
