/** Upgrades in a real browser: begun, watched until a canary fails, resumed and cancelled; read by a viewer.
 *
 * Method: a release is put into the folder of the fixture, and a sensor checks in with what became of it. @module */

import { assertEquals, assertStringIncludes } from "@std/assert";
import { releaseKeyId } from "../../../shared/release.ts";
import { useBrowser } from "../../services/services.ts";
import { healthOf, TestSensor } from "../api/fixture.ts";
import { addRelease } from "../api/releases.ts";
import { here, releaseKey, releaseOf, tinyProgram } from "../../sensor/control/upgrade_fixture.ts";
import { axeProblems, goTo, logIn, withWorld } from "./browsing.ts";
import { hostileStrings, type HostileWorld } from "./hostile.ts";

const browser = await useBrowser();
// The DevTools connection keeps timers of its own beyond a test.
const options = { ignore: browser.ignore, sanitizeOps: false, sanitizeResources: false };

/** A canary that failed, with a reason that it chose. */
async function fail({ fixture }: HostileWorld, sensor: TestSensor, offer: string): Promise<void> {
  fixture.clock.ms += 10_000;
  const upgrade = {
    target: here,
    slot: "installed",
    key: releaseKeyId(releaseKey),
    state: "failed",
    offer,
    version: "1.1.0",
    problem: hostileStrings[1],
    received: 0,
  } as const;
  await sensor.checkIn(fixture, { ...healthOf(sensor.id, fixture.clock.ms), version: "1.0.0", upgrade });
  fixture.services.rollouts.forget();
  await fixture.services.rollouts.step(fixture.clock.ms);
}

Deno.test({
  ...options,
  name: "an administrator begins a rollout, sees who failed and why, lets it go on and ends it",
  fn: () =>
    withWorld(browser, { width: 1024 }, async (page, world) => {
      const { fixture } = world;
      await logIn(page, fixture.keys.admin);
      await goTo(page, "#/fleet?tab=upgrades");
      await page.getByText("No version was rolled out yet").waitFor();
      await page.getByText("No release is here").waitFor();
      assertEquals(await page.getByRole("form", { name: "New rollout" }).count(), 0);
      await addRelease(fixture, releaseOf(tinyProgram(0)));
      const attic = new TestSensor("attic");
      await attic.enrol(fixture);
      await page.reload();
      const form = page.getByRole("form", { name: "New rollout" });
      await form.getByLabel("Canaries").fill("site=lab");
      await form.getByRole("button", { name: "Begin" }).click();
      await form.getByRole("alert").waitFor();
      await form.getByLabel("Canaries").fill("tag=roof");
      await form.getByLabel("Then percent").fill("50");
      await form.getByRole("button", { name: "Begin" }).click();
      const open = page.getByRole("region", { name: "Rollout of 1.1.0" });
      await open.getByText("running, the canaries").waitFor();
      await form.waitFor({ state: "detached" });
      const [row] = await fixture.services.rolloutStore.readRollouts(1);
      assertEquals([row.canary, row.step_percent, row.canary_ms, row.allow_older], [
        "tag=roof",
        50,
        3_600_000,
        false,
      ]);
      await fail(world, attic, `${row.id}.1`);
      await page.reload();
      await open.getByText("halted, the canaries").waitFor();
      await open.getByRole("alert").filter({ hasText: `attic failed: ${hostileStrings[1]}` }).waitFor();
      assertStringIncludes(await open.locator("tbody tr").first().innerText(), hostileStrings[1]);
      assertEquals(await axeProblems(page), []);
      await open.getByRole("button", { name: "Resume" }).click();
      await open.getByRole("button", { name: "Pause" }).click();
      await open.getByText("paused, the canaries").waitFor();
      await open.getByRole("button", { name: "Cancel" }).click();
      await open.getByRole("group").getByRole("button", { name: "Cancel" }).click();
      await open.getByText("cancelled, the canaries").waitFor();
      await form.waitFor();
    }),
});

Deno.test({
  ...options,
  name: "a viewer reads rollouts and releases, and is offered no change",
  fn: () =>
    withWorld(browser, { width: 390, theme: "dark" }, async (page, world) => {
      const { fixture } = world;
      await addRelease(fixture, releaseOf(tinyProgram(0)));
      await fixture.ask("POST", "/api/v1/upgrades", { role: "admin", json: { version: "1.1.0" } });
      await logIn(page, fixture.keys.viewer);
      await goTo(page, "#/fleet?tab=upgrades");
      await page.getByRole("region", { name: "Rollout of 1.1.0" }).locator("tbody tr").first().waitFor();
      await page.getByRole("region", { name: "Releases" }).getByText(here).waitFor();
      assertEquals(await page.locator("main").getByRole("button").count(), 0);
      assertEquals(Number(await page.evaluate("document.documentElement.scrollWidth")), 390);
      assertEquals(await axeProblems(page), []);
    }),
});
