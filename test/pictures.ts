/** Makes the pictures of the README out of the demo capture: `deno run -A test/pictures.ts`.
 *
 * In: deploy/quickstart.sh with its bundled capture, a headless browser.
 * Out: deploy/demo/pictures/*.png, each at most {@link bytesMax}.
 * Why a script: a picture that nobody can make again shows what the dashboard was once. @module */

import { indexedPng } from "./indexed_png.ts";
import { browser as browserService, openBrowser, type Page } from "./services/browser.ts";

const root = new URL("../", import.meta.url).pathname;
const folder = `${root}deploy/demo/pictures/`;
const bytesMax = 150_000;

interface Picture {
  name: string;
  hash: string;
  width: number;
  height: number;
  theme: "light" | "dark";
  /** What must be there first. */
  wait: string;
  act?: (page: Page) => Promise<void>;
}

const pictures: readonly Picture[] = [
  {
    name: "overview",
    hash: "#/overview",
    width: 1280,
    height: 860,
    theme: "light",
    wait: ".chart svg",
  },
  {
    name: "threat",
    hash: "#/threats",
    width: 1280,
    height: 860,
    theme: "dark",
    wait: "table.threats",
    act: async (page) => {
      await page.getByRole("link", { name: "Vertical port scan" }).click();
      await page.locator(".side table.flows").waitFor();
    },
  },
  {
    name: "map",
    hash: "#/map?minutes=60",
    width: 1280,
    height: 720,
    theme: "light",
    wait: ".map svg",
  },
];

/** Starts the demo; out: where it is, and its key. */
async function startDemo(state: string): Promise<{ url: string; key: string; stop: () => Promise<void> }> {
  const child = new Deno.Command(`${root}deploy/quickstart.sh`, {
    args: ["--state", state],
    stdin: "null",
    stdout: "piped",
    stderr: "inherit",
  }).spawn();
  let printed = "";
  const reader = child.stdout.pipeThrough(new TextDecoderStream()).getReader();
  for (let chunk = await reader.read(); !chunk.done; chunk = await reader.read()) {
    printed += chunk.value;
    const found = /^dashboard {2}(http:\S+)[\s\S]*Bearer ([^)]+)\)/m.exec(printed);
    if (!found) continue;
    const stop = async () => {
      child.kill("SIGINT");
      await reader.cancel();
      await child.status;
    };
    return { url: found[1], key: found[2], stop };
  }
  throw new Error("Cannot make pictures as the demo did not come up: see above");
}

async function take(page: Page, { name, hash, width, height, theme, wait, act }: Picture): Promise<void> {
  await page.setViewportSize({ width, height });
  await page.emulateMedia({ colorScheme: theme });
  await page.evaluate(`location.hash = ${JSON.stringify(hash)}`);
  await page.locator(wait).first().waitFor();
  await act?.(page);
  await page.waitForTimeout(1_000);
  await page.evaluate("document.activeElement.blur()");
  await page.mouse.move(0, height - 1);
  const picture = await smaller(page, await page.screenshot());
  if (picture.length > bytesMax) {
    throw new Error(`Cannot keep ${name}.png as it must be <= ${bytesMax} octets: it is ${picture.length}`);
  }
  await Deno.writeFile(`${folder}${name}.png`, picture);
}

/** The browser itself reads the pixels, on a page without a policy. */
async function smaller(page: Page, screenshot: Uint8Array): Promise<Uint8Array> {
  const blank = await page.context().newPage();
  const source = `data:image/png;base64,${screenshot.toBase64()}`;
  const { width, height, pixels } = await blank.evaluate(`(async () => {
    const picture = await createImageBitmap(await (await fetch("${source}")).blob());
    const context = new OffscreenCanvas(picture.width, picture.height).getContext("2d");
    context.drawImage(picture, 0, 0);
    const { data } = context.getImageData(0, 0, picture.width, picture.height);
    return { width: picture.width, height: picture.height, pixels: btoa(Array.from(data, (n) => String.fromCharCode(n)).join("")) };
  })()`) as { width: number; height: number; pixels: string };
  await blank.close();
  return indexedPng(new Uint8ClampedArray(Uint8Array.fromBase64(pixels)), width, height);
}

if (import.meta.main) {
  const state = await Deno.makeTempDir({ prefix: "picket-pictures-" });
  const service = await browserService.start();
  const demo = await startDemo(state);
  try {
    await Deno.mkdir(folder, { recursive: true });
    const chromium = await openBrowser(service.address);
    const page = await (await chromium.newContext({ timezoneId: "UTC" })).newPage();
    await page.goto(demo.url);
    await page.getByLabel("API key").fill(demo.key);
    await page.getByRole("button", { name: "Log in" }).click();
    await page.locator("#who").waitFor();
    for (const picture of pictures) await take(page, picture);
    await chromium.close();
  } finally {
    await demo.stop();
    await service.stop();
    await Deno.remove(state, { recursive: true });
  }
}
