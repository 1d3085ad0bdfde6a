/** The dashboard in a real browser: what a person sees and does on each page, and that hostile strings stay text.
 *
 * Method: every wire field of the store holds an attack; pages are read and clicked through, and anything that runs,
 * opens a dialog or asks another host fails the test. @module */

import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { useBrowser } from "../../services/services.ts";
import { TestSensor } from "../api/fixture.ts";
import { sampleThreat, sampleWrite } from "../api/samples.ts";
import { deadLetter } from "../store/rows.ts";
import { axeProblems, goTo, hasCount, logIn, withWorld } from "./browsing.ts";
import { hostileStrings } from "./hostile.ts";

const browser = await useBrowser();
// The DevTools connection keeps timers of its own beyond a test.
const options = { ignore: browser.ignore, sanitizeOps: false, sanitizeResources: false };
const scan = "00112233445566aa";
const tunnel = "00112233445566ab";

Deno.test({
  ...options,
  name: "dashboard asks for a key, says when it is wrong, and leads to the address that was asked for",
  fn: () =>
    withWorld(browser, {}, async (page, world) => {
      await goTo(page, "#/threats?severity_min=high");
      await page.getByRole("heading", { name: "Log in" }).waitFor();
      assertEquals(await page.locator("nav, table").count(), 0, "nothing is shown before");
      await page.getByLabel("API key").fill("pk_wrong");
      await page.getByRole("button", { name: "Log in" }).click();
      await page.locator("#key-problem").filter({ hasText: "not known" }).waitFor();
      await logIn(page, world.fixture.keys.viewer);
      assertStringIncludes(await page.locator("#who").innerText(), "viewer");
      await page.getByRole("heading", { name: "Threats" }).waitFor();
      await page.locator("table.threats tbody tr").nth(1).waitFor();
      await hasCount(page.locator("table.threats tbody tr"), 2);
      assertEquals(await page.getByLabel("Severity").inputValue(), "high");
      await page.getByRole("button", { name: "Log out" }).click();
      await page.getByRole("heading", { name: "Log in" }).waitFor();
      assertStringIncludes(page.url(), "#/threats?severity_min=high");
    }),
});

Deno.test({
  ...options,
  name: "a session that ended leads to the sign-in and back to the same place",
  fn: () =>
    withWorld(browser, {}, async (page, world) => {
      await logIn(page, world.fixture.keys.viewer);
      await goTo(page, `#/threats?id=${tunnel}&range=all`);
      await page.locator(".side .lead").waitFor();
      const { identityStore, keys, clock } = { ...world.fixture.services, clock: world.fixture.clock };
      const [row] = (await identityStore.readApiKeys()).filter(({ role }) => role === "viewer");
      await identityStore.revokeApiKey(row.key_hash, clock.ms);
      keys.forget();
      await page.getByLabel("Severity").selectOption("critical");
      await page.getByRole("heading", { name: "Log in" }).waitFor();
      await logIn(page, world.fixture.keys.analyst);
      await page.locator(".side .lead").waitFor();
      assertStringIncludes(page.url(), `id=${tunnel}`);
      assertStringIncludes(page.url(), "severity_min=critical");
    }),
});

Deno.test({
  ...options,
  name: "overview says what is wrong, whether sensors see what they should, and how much traffic there is",
  fn: () =>
    withWorld(browser, {}, async (page, world) => {
      await logIn(page, world.fixture.keys.analyst);
      const wrong = page.getByRole("region", { name: "What is wrong now" });
      await wrong.locator(".incident").first().waitFor();
      for (const words of ["DNS tunnel", "10.0.0.5", "3 threats", "reconnaissance: Vertical port scan"]) {
        assertStringIncludes(await wrong.innerText(), words);
      }
      const sensors = page.getByRole("region", { name: "Sensors" });
      await sensors.locator(".squares").waitFor();
      for (const words of ["1 of 3 healthy", "cellar", "lossy", "12000 packets", "12.3 k lost"]) {
        assertStringIncludes(await sensors.innerText(), words);
      }
      const chart = page.locator(".chart svg.zoomable");
      await chart.waitFor();
      assertStringIncludes((await chart.getAttribute("aria-label"))!, "Traffic from");
      const box = (await chart.boundingBox())!;
      await page.mouse.move(box.x + box.width * 0.4, box.y + 60);
      await page.mouse.down();
      await page.mouse.move(box.x + box.width * 0.7, box.y + 70, { steps: 4 });
      await page.mouse.up();
      await page.waitForFunction("/range=[0-9.]+\\.\\.[0-9.]+/.test(location.hash)");
      await page.getByRole("link", { name: "Zoom out" }).click();
      await page.waitForFunction("!/range=/.test(location.hash)");
      await page.goBack();
      await page.waitForFunction("/range=/.test(location.hash)");
      await page.getByRole("region", { name: "Top talkers" }).getByRole("link").first().click();
      await page.waitForFunction("/#.hosts.192.0.2.80.range=/.test(location.hash)");
    }),
});

Deno.test({
  ...options,
  name: "a sensor's page tells how it is, how it was, and what it lost",
  fn: () =>
    withWorld(browser, {}, async (page, world) => {
      await logIn(page, world.fixture.keys.viewer);
      await page.getByRole("navigation", { name: "Pages" }).getByRole("link", { name: "Fleet" }).click();
      await page.getByRole("link", { name: "cellar" }).first().click();
      const rows = page.getByRole("region", { name: "Health over time" }).locator("tbody tr");
      await hasCount(rows, 3);
      const told = await rows.allInnerTexts();
      for (
        const [i, words] of ["12000 packets", "no such device", "it saw packets and lost none"].entries()
      ) {
        assertStringIncludes(told[i], words);
      }
      await page.getByRole("region", { name: "What it saw, and lost" }).getByText("Dropped by the kernel")
        .waitFor();
    }),
});

Deno.test({
  ...options,
  name: "by clicking alone a person finds a threat's reasons, its flows, and the other threats of the host",
  fn: () =>
    withWorld(browser, {}, async (page, world) => {
      await logIn(page, world.fixture.keys.analyst);
      await page.getByRole("navigation", { name: "Pages" }).getByRole("link", { name: "Threats" }).click();
      await page.locator("table.threats").getByRole("link", { name: "Vertical port scan" }).click();
      const panel = page.locator(".side");
      await panel.locator("table.flows tbody tr").first().waitFor();
      for (
        const words of [
          "240 ports were tried",
          "Find out who uses 10.0.0.5",
          "Ports that answered",
          "192.0.2.80:443",
          "Other threats of 10.0.0.5",
          "DNS tunnel",
          "rules, from what was measured",
        ]
      ) await panel.getByText(words).first().waitFor(); // Each part of the panel comes when it has its answer.
      await panel.locator("table.flows tbody tr").nth(4).waitFor();
      await panel.getByText("What a model is told").click();
      await panel.locator("pre").getByText("HOST_1").waitFor();
      await hasCount(panel.locator("table.flows tbody tr"), 5);
      await panel.getByRole("heading", { name: "Packets" }).waitFor();
      await panel.locator("table.flows .row-link").first().click();
      await page.locator(".side").getByRole("heading", { name: "Seen by" }).waitFor();
      await hasCount(page.locator(".list table.flows tbody tr"), 5);
      await page.goBack();
      await page.locator(".side").getByRole("link", { name: "DNS tunnel" }).last().click();
      await page.waitForFunction(`location.hash.includes("${tunnel}")`);
    }),
});

Deno.test({
  ...options,
  name: "threats are worked through by keyboard, one at a time and several at once",
  fn: () =>
    withWorld(browser, {}, async (page, world) => {
      const { store } = world.fixture.services;
      const status = async (id: string) => (await store.readThreat(id))?.status;
      await logIn(page, world.fixture.keys.analyst);
      await goTo(page, "#/threats");
      await page.locator("table.threats tbody tr").nth(2).waitFor();
      await page.keyboard.press("j");
      await page.keyboard.press("j");
      await page.keyboard.press("k");
      await page.keyboard.press("j");
      await page.keyboard.press("Enter");
      await page.locator(".side .lead").waitFor();
      assertStringIncludes(page.url(), scan);
      await page.keyboard.press("a");
      await page.locator(".side").getByRole("button", { name: "Reopen" }).waitFor();
      assertEquals(await status(scan), "acknowledged");
      await page.keyboard.press("s");
      await page.locator(".side .state-closed").waitFor();
      assertEquals(await status(scan), "closed");
      await page.keyboard.press("Escape");
      await page.locator(".side").waitFor({ state: "detached" });
      await page.waitForFunction("document.activeElement.innerText === 'Vertical port scan'");
      await page.keyboard.press("/");
      await page.waitForFunction("document.activeElement.name === 'ip'");
      await page.keyboard.type("sajk");
      assertEquals(await status(tunnel), "open", "keys in a field are text");
      await page.keyboard.press("Escape");
      await page.getByRole("checkbox").first().check();
      await page.getByRole("button", { name: "Choose all shown" }).click();
      await page.getByText("3 chosen").waitFor();
      await page.getByRole("button", { name: "Close", exact: true }).click();
      await page.getByText("3 threats closed").waitFor();
      assertEquals(await page.getByText("3 chosen").count(), 0);
      assertEquals(await Promise.all([scan, tunnel, "00112233445566ac"].map(status)), [
        "closed",
        "closed",
        "closed",
      ]);
    }),
});

Deno.test({
  ...options,
  name: "all threats of an incident are closed at once, and threats of the same kind are named",
  fn: () =>
    withWorld(browser, {}, async (page, world) => {
      const { store } = world.fixture.services;
      await store.saveThreats([
        sampleThreat({ id: "00112233445566ad", identity: "more", src_ips: ["10.0.0.77"], dst_ips: [] }),
      ]);
      await logIn(page, world.fixture.keys.analyst);
      await goTo(page, `#/threats?id=${scan}&range=all`);
      const panel = page.locator(".side");
      await panel.getByRole("heading", { name: "Similar threats" }).waitFor();
      await panel.locator(".plain li").filter({ hasText: "10.0.0.77" }).waitFor();
      await panel.getByRole("button", { name: "Close all 3 of the incident" }).click();
      await panel.getByRole("button", { name: "Reopen all 3 of the incident" }).waitFor();
      const ids = [scan, tunnel, "00112233445566ac", "00112233445566ad"];
      assertEquals(await Promise.all(ids.map(async (id) => (await store.readThreat(id))?.status)), [
        "closed",
        "closed",
        "closed",
        "open",
      ]);
    }),
});

Deno.test({
  ...options,
  name: "a threat about a sensor leads to the sensor, and speaks of no addresses and flows",
  fn: () =>
    withWorld(browser, { width: 1024 }, async (page, world) => {
      const { store } = world.fixture.services;
      const [{ sensor_id }] = (await store.readSensors()).filter(({ name }) => name === "roof");
      const words = { summary: "Sensor roof at site lab sees nothing: no packet came.", meaning: "m" };
      await store.saveThreats([
        sampleThreat({
          id: "00112233445566ae",
          identity: `sensor_blind|${sensor_id}`,
          detector: "sensor_blind",
          title: "Sensor blind",
          src_ips: [],
          dst_ips: [],
          sensors: [sensor_id],
          flow_ids: [],
          words: { ...words, action: "a", false_alarm: "f" },
        }),
      ]);
      await logIn(page, world.fixture.keys.analyst);
      await page.locator(".incident").filter({ hasText: "Sensor blind" }).waitFor();
      await goTo(page, "#/threats?range=all");
      const row = page.getByRole("row").filter({ hasText: "Sensor blind" });
      assertStringIncludes(await row.innerText(), "Sensor roof at site lab sees nothing");
      await row.getByRole("link", { name: "Sensor blind" }).click();
      const panel = page.locator(".side");
      await panel.getByRole("heading", { name: "Similar threats" }).waitFor();
      assertEquals(await panel.getByRole("heading", { name: /Flows|Packets|Who and whom/ }).count(), 0);
      await goTo(page, `#/threats?id=${scan}&range=all`);
      await panel.getByText("not evaluable: sensor roof was blind from").waitFor();
      await page.goBack();
      await panel.getByRole("link", { name: "Open the sensor" }).click();
      await page.getByRole("region", { name: "Health" }).getByText("healthy").first().waitFor();
    }),
});

Deno.test({
  ...options,
  name: "refused batches are shown to administrators, and to nobody else",
  fn: () =>
    withWorld(browser, { width: 390 }, async (page, world) => {
      const { store } = world.fixture.services;
      const letter = { ...deadLetter("sha256"), origin: hostileStrings[1] };
      await store.ingest({ ...sampleWrite([]), deadLetters: [letter] });
      await logIn(page, world.fixture.keys.admin);
      await goTo(page, "#/fleet");
      await page.getByRole("link", { name: "Refused batches" }).click();
      await page.getByText(hostileStrings[1]).waitFor();
      assertEquals(await axeProblems(page), []);
      await page.getByRole("button", { name: "Log out" }).click();
      await logIn(page, world.fixture.keys.analyst);
      await page.getByRole("link", { name: "Policies" }).waitFor();
      assertEquals(await page.getByRole("link", { name: "Refused batches" }).count(), 0);
    }),
});

Deno.test({
  ...options,
  name: "a viewer is offered no decision, and no key makes one",
  fn: () =>
    withWorld(browser, {}, async (page, world) => {
      await logIn(page, world.fixture.keys.viewer);
      await goTo(page, `#/threats?id=${scan}`);
      await page.locator(".side .lead").waitFor();
      await page.keyboard.press("s");
      await page.keyboard.press("a");
      assertEquals(await page.getByRole("checkbox").count(), 0);
      assertEquals(await page.getByRole("button", { name: /Acknowledge|^Close$|Close all/ }).count(), 0);
      assertEquals((await world.fixture.services.store.readThreat(scan))?.status, "open");
      await goTo(page, "#/settings");
      await page.getByText("None is in force").waitFor();
      await goTo(page, "#/fleet?tab=tokens");
      assertEquals(await page.getByRole("button", { name: "Make a join token" }).count(), 0);
    }),
});

Deno.test({
  ...options,
  name: "flows are paged, filtered, shown by column, and what is wrong in a filter stands at its field",
  fn: () =>
    withWorld(browser, {}, async (page, world) => {
      await logIn(page, world.fixture.keys.viewer);
      await goTo(page, "#/flows");
      const rows = page.locator(".list table.flows tbody tr");
      await rows.nth(99).waitFor();
      await page.getByRole("button", { name: "Show more flows" }).click();
      await rows.nth(159).waitFor();
      await page.getByText("160 flows, all of them").waitFor();
      await page.getByLabel("Address").fill("10.0.0.5");
      await page.keyboard.press("Enter");
      await page.getByText("23 flows, all of them").waitFor();
      await page.getByLabel("Address").fill("not an address");
      await page.getByRole("button", { name: "Filter" }).click();
      const problem = page.locator("#filter-problem");
      await problem.filter({ hasText: "must be an IPv4 or IPv6 address" }).waitFor();
      // The field is tied to the words once they are drawn.
      const isTied = page.locator("[aria-invalid=true][aria-describedby=filter-problem]");
      await page.getByLabel("Address").and(isTied).waitFor();
      await page.getByRole("link", { name: "Clear" }).click();
      await rows.nth(99).waitFor();
      await page.getByLabel("Filter", { exact: true }).fill("src_ip = nonsense");
      await page.keyboard.press("Enter");
      await problem.filter({ hasText: "must be an address" }).waitFor();
      await page.waitForFunction("getSelection().toString() === 'nonsense'"); // The place is marked.
      await page.getByRole("link", { name: "Clear" }).click();
      await rows.nth(99).waitFor();
      await page.locator("[aria-invalid=true]").waitFor({ state: "detached" });
      await page.getByText("Columns", { exact: true }).click();
      await page.getByLabel("Duration").check();
      await page.locator("th.col-duration").waitFor();
      await page.reload();
      await page.locator("th.col-duration").waitFor();
      await rows.first().getByRole("link").click();
      await page.locator(".side").getByRole("heading", { name: "Seen by" }).waitFor();
      await page.goBack();
      await page.locator(".side").waitFor({ state: "detached" });
    }),
});

Deno.test({
  ...options,
  name:
    "an administrator takes in a sensor that waits, lifts a quarantine, and makes and ends keys and tokens",
  fn: () =>
    withWorld(browser, {}, async (page, world) => {
      const { store, directory } = world.fixture.services;
      await new TestSensor("waiting").enrol(world.fixture, "lab", true);
      const [{ sensor_id }] = (await store.readSensors()).filter(({ name }) => name === "roof");
      await store.quarantineSensor(sensor_id, "two copies", world.fixture.clock.ms);
      directory.forget();
      await logIn(page, world.fixture.keys.admin);
      await goTo(page, "#/fleet");
      await page.locator("tr", { hasText: "waiting" }).getByRole("button", { name: "Approve" }).click();
      await page.locator("tr", { hasText: "waiting" }).getByText("never seen").waitFor();
      await page.locator("tr", { hasText: "roof" }).getByRole("button", { name: "Release" }).click();
      await page.locator("tr", { hasText: "roof" }).getByText("healthy").waitFor();
      assertEquals((await store.readSensors()).filter((row) => row.quarantined_ms !== null).length, 0);
      await goTo(page, "#/fleet?tab=tokens");
      await page.locator("input[name=uses]").fill("0");
      await page.getByRole("button", { name: "Make a join token" }).click();
      await page.locator("label", { hasText: "Sensors" }).getByRole("alert").waitFor();
      await page.locator("input[name=uses]").fill("2");
      await page.getByRole("button", { name: "Make a join token" }).click();
      assertStringIncludes(await page.locator(".made pre").innerText(), "pj_");
      await goTo(page, "#/settings?tab=keys");
      await page.getByLabel("Name").fill("wall-screen");
      await page.getByRole("button", { name: "Make a key" }).click();
      assertStringIncludes(await page.locator(".made pre").innerText(), "pk_");
      const row = page.locator("tr", { hasText: "wall-screen" });
      await row.getByRole("button", { name: "Revoke" }).click();
      await row.getByRole("group").getByRole("button", { name: "Revoke" }).click();
      await row.getByText("revoked").waitFor();
    }),
});

Deno.test({
  ...options,
  name: "every page shows hostile strings as text, with what cannot be seen made visible",
  fn: () =>
    withWorld(browser, {}, async (page, world) => {
      await logIn(page, world.fixture.keys.admin);
      await goTo(page, `#/threats?id=${tunnel}`);
      await page.locator(".side .lead").waitFor();
      const text = await page.locator(".side").innerText();
      for (const string of hostileStrings.slice(0, 8)) assertStringIncludes(text, string);
      assertStringIncludes(text, "good\\u{202e}moc", "direction characters are visible");
      assertStringIncludes(text, "bell\\u{1b}[31m");
      await goTo(page, "#/flows?range=all");
      const flows = page.locator("table.flows");
      await flows.waitFor();
      for (const end of ["svg onload=alert(3)> → 192.0.2.1", "moc.elpmaxe NXDOMAIN", "(3)> no answer"]) {
        assertStringIncludes(await flows.innerText(), end);
      }
      const [flow] = (await world.fixture.services.store.readFlows({}, { limit: 1 })).rows;
      await goTo(page, "#/fleet/roof");
      await page.getByText(hostileStrings[1]).first().waitFor();
      for (
        const hash of [
          "#/overview",
          `#/flows?id=${flow.flow_id}`,
          "#/hosts/10.0.0.5",
          `#/hosts/${encodeURIComponent(hostileStrings[1])}`,
          `#/fleet/${encodeURIComponent(hostileStrings[2])}`,
          `#/${encodeURIComponent(hostileStrings[0])}`,
          `#/flows?name=${encodeURIComponent(hostileStrings[8])}&threat_id=${
            encodeURIComponent(hostileStrings[1])
          }`,
          "#/map?minutes=1440",
          "#/fleet",
        ]
      ) {
        await goTo(page, hash);
        await page.locator("h1").waitFor();
        const planted = page.locator(
          "main :is(script, iframe, style, img, meta, object, a[href^=http], a[href^=javascript])",
        );
        assertEquals(await planted.count(), 0, hash);
        assertEquals(/[\u202a-\u202e\u200b]/.test(await page.locator("main").innerText()), false, hash);
      }
    }),
});

Deno.test({
  ...options,
  name: "what is gone or was never there is said, and the way back stands beside it",
  fn: () =>
    withWorld(browser, {}, async (page, world) => {
      await logIn(page, world.fixture.keys.viewer);
      for (
        const [hash, words] of [
          ["#/threats?id=ffffffffffffffff", "There is no such threat any more"],
          ["#/threats?range=1..2", "No threat was found in this time"],
          ["#/threats?ip=10.9.9.9", "No threat fits this filter"],
          ["#/flows?id=00ff", "This flow is no longer stored"],
          ["#/flows?ip=10.9.9.9", "No flow fits this filter"],
          ["#/fleet/nobody", "No sensor has this name"],
          ["#/hosts/10.9.9.9", "No threat of this host is stored"],
          ["#/nowhere", "There is no such page"],
        ]
      ) {
        await goTo(page, hash);
        await page.getByText(words).first().waitFor();
        assert(await page.locator("main a").count() > 0, hash);
      }
    }),
});

Deno.test({
  ...options,
  name: "docs page lists the routes from the API's own description",
  fn: () =>
    withWorld(browser, {}, async (page, world) => {
      await logIn(page, world.fixture.keys.viewer);
      await page.getByRole("link", { name: "API" }).click();
      await page.locator("article", { hasText: "/api/v1/flows/search" }).first().waitFor();
      assert(await page.locator("article").count() >= 25);
    }),
});
