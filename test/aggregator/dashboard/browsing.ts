/** A browser on the dashboard: signed in, and watched for anything that a page must not do.
 *
 * Out: the page, and what was seen:
 * dialogs, requests to elsewhere, breaches of the policy, errors, scripts that ran of a hostile string.
 * Why axe-core is put in through the DevTools connection:
 * the policy of the page forbids a script that it did not bring. @module */

import axe from "axe-core";
import { assertEquals } from "@std/assert";
import { openBrowser, type Use } from "../../services/services.ts";
import type { Browser, Locator, Page } from "../../services/browser.ts";
import { type HostileWorld, startHostileWorld, type WorldOptions } from "./hostile.ts";

export interface Seen {
  dialogs: string[];
  foreign: string[];
  violations: string[];
}

export type Theme = "light" | "dark";

/** Opens the address in a browser context of its own. */
export async function openPage(
  chromium: Browser,
  url: string,
  { width = 1280, theme = "light" }: { width?: number; theme?: Theme } = {},
): Promise<{ page: Page; seen: Seen }> {
  const context = await chromium.newContext({
    viewport: { width, height: 900 },
    colorScheme: theme,
    ignoreHTTPSErrors: true,
  });
  const page = await context.newPage();
  const seen: Seen = { dialogs: [], foreign: [], violations: [] };
  page.on("dialog", async (dialog) => {
    seen.dialogs.push(dialog.message());
    await dialog.dismiss();
  });
  page.on("request", (request) => {
    if (new URL(request.url()).host !== new URL(url).host) seen.foreign.push(request.url());
  });
  page.on("console", (message) => {
    // Before the login a page asks who it is and is told that nobody is; what is gone, and a field that is wrong, are
    // told as well. Another test may add or remove an interface of this machine; the page asks again.
    const isTold = /status of 40[0149]|ERR_NETWORK_CHANGED/.test(message.text());
    if (message.type() === "error" && !isTold) seen.violations.push(message.text());
  });
  page.on("pageerror", (error) => seen.violations.push(error.message));
  await page.goto(url);
  return { page, seen };
}

/** Leads to a page of the dashboard and waits until it is drawn. */
export async function goTo(page: Page, hash: string): Promise<void> {
  await page.evaluate(`location.hash = ${JSON.stringify(hash)}`);
  await page.waitForTimeout(100);
  await page.locator("[role=status]", { hasText: "Loading" }).first().waitFor({ state: "detached" });
}

/** Waits until there are so many: a table is drawn once its answer has come. */
export async function hasCount(found: Locator, wanted: number): Promise<void> {
  await found.nth(wanted - 1).waitFor();
  assertEquals(await found.count(), wanted);
}

export async function logIn(page: Page, key: string): Promise<void> {
  await page.getByLabel("API key").fill(key);
  await page.getByRole("button", { name: "Log in" }).click();
  await page.locator("#who").waitFor();
}

/** Runs `work` on a world of hostile strings; whatever the page did that it must not do fails. */
export async function withWorld(
  browser: Use,
  options: { width?: number; theme?: Theme } & Pick<WorldOptions, "isEmpty" | "places">,
  work: (page: Page, world: HostileWorld, seen: Seen) => Promise<void>,
): Promise<void> {
  const world = await startHostileWorld(options);
  const chromium = await openBrowser(browser.address);
  try {
    const { page, seen } = await openPage(chromium, `${world.url}/`, options);
    await work(page, world, seen);
    assertEquals(seen, { dialogs: [], foreign: [], violations: [] });
    await page.context().close();
  } finally {
    await chromium.close();
    await world.stop();
  }
}

interface AxeResult {
  violations: { id: string; nodes: { html: string; failureSummary: string }[] }[];
}

/** What axe-core finds wrong on the page as it stands: one line an element. */
export async function axeProblems(page: Page): Promise<string[]> {
  await page.evaluate(`${axe.source}; void 0`);
  const { violations } = await page.evaluate(
    `axe.run(document, { resultTypes: ["violations"] })`,
  ) as AxeResult;
  return violations.flatMap(({ id, nodes }) =>
    nodes.slice(0, 5).map(({ html, failureSummary }) =>
      `${id}: ${html.slice(0, 160)} ${failureSummary.replace(/\s+/g, " ").slice(0, 200)}`
    )
  );
}
