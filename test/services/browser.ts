/** A real Chromium for tests of the dashboard.
 *
 * Out: the DevTools address of a headless browser with an empty profile; `openBrowser` connects to it.
 * Invariant: the only file that imports playwright-core.
 * Why: the browser runs under the same guard as the other services instead of being launched by playwright, as a test
 * run that is killed would leave it behind. @module */

import type { Browser } from "playwright-core";
import { findProgram, GuardedChild } from "./guarded_child.ts";
import type { Service, Start } from "./service.ts";

export type { Browser, Locator, Page } from "playwright-core";

const readyTimeoutMs = 60_000;

export const browser: Start = {
  name: "browser",
  async missing() {
    return await findProgram("chromium", "chromium-browser", "google-chrome")
      ? undefined
      : "no browser is installed (apt: chromium)";
  },
  async start(): Promise<Service> {
    const folder = await Deno.makeTempDir({ prefix: "picket-browser-" });
    const child = new GuardedChild({
      command: (await findProgram("chromium", "chromium-browser", "google-chrome"))!,
      args: [
        "--headless=new",
        "--no-sandbox",
        "--disable-gpu",
        "--disable-quic",
        "--disable-dev-shm-usage",
        "--no-first-run",
        "--disable-background-networking",
        "--disable-component-update",
        "--disable-sync",
        "--hide-scrollbars",
        "--remote-debugging-port=0",
        `--user-data-dir=${folder}`,
        "about:blank",
      ],
      folder,
    });
    let address = "";
    await child.waitUntilReady("browser", async () => {
      address = (await child.logTail()).match(/DevTools listening on (ws:\S+)/)?.[1] ?? "";
      return address !== "";
    }, readyTimeoutMs);
    return { address, stop: () => child.stop() };
  },
};

/** Connects to the browser of `useBrowser()`. Close it in the same test: `await browser.close()`. */
export async function openBrowser(address: string): Promise<Browser> {
  // Loaded on use, as most test files that ask for services never open a page.
  const { chromium } = await import("playwright-core");
  return await chromium.connectOverCDP(address);
}
