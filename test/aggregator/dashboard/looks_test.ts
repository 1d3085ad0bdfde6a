/** Every page at the widths people have, light and dark: it fits, and axe-core finds nothing wrong.
 *
 * Method: the hostile world, as long strings without a blank are what breaks a layout. @module */

import { assertEquals } from "@std/assert";
import { useBrowser } from "../../services/services.ts";
import { axeProblems, goTo, logIn, type Theme, withWorld } from "./browsing.ts";

const browser = await useBrowser();
// The DevTools connection keeps timers of its own beyond a test.
const options = { ignore: browser.ignore, sanitizeOps: false, sanitizeResources: false };
const looks: readonly (readonly [width: number, theme: Theme])[] = [
  [390, "dark"],
  [1024, "light"],
  [1440, "dark"],
];
const places = [
  "#/overview",
  "#/threats",
  "#/threats?id=00112233445566ab",
  "#/flows",
  "#/hosts",
  "#/hosts/10.0.0.5",
  "#/map?minutes=60",
  "#/fleet",
  "#/fleet/cellar",
  "#/fleet?tab=policies",
  "#/fleet?tab=policies&edit=new",
  "#/fleet?tab=policies&policy=office",
  "#/fleet?tab=upgrades",
  "#/fleet?tab=tokens",
  "#/fleet?tab=refused",
  "#/settings",
  "#/settings?tab=sinks&sink=chat",
  "#/settings?tab=detectors",
  "#/settings?tab=intelligence",
  "#/settings?tab=keys",
  "#/settings?tab=audit",
];

for (const [width, theme] of looks) {
  Deno.test({
    ...options,
    name:
      `every page fits ${width} px in the ${theme}, and is clean for people who use other means than eyes and mouse`,
    fn: () =>
      withWorld(browser, { width, theme }, async (page, world) => {
        const problems: string[] = [];
        const look = async (name: string) => {
          const wide = Number(await page.evaluate("document.documentElement.scrollWidth"));
          if (wide > width) problems.push(`${name} is ${wide} px wide`);
          problems.push(...(await axeProblems(page)).map((problem) => `${name}: ${problem}`));
        };
        await look("log in");
        await logIn(page, world.fixture.keys.admin);
        const json = { name: "office", to: "all", settings: { snaplen: 256, noise: ["arp", "mdns"] } };
        await world.fixture.ask("POST", "/api/v1/policies", { role: "admin", json });
        const [flow] = (await world.fixture.services.store.readFlows({}, { limit: 1 })).rows;
        for (const hash of [...places, `#/flows?id=${flow.flow_id}`]) {
          await goTo(page, hash);
          await page.waitForTimeout(200);
          await look(hash);
        }
        assertEquals(problems, []);
      }),
  });
}
