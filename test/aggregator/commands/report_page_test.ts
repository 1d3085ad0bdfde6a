/** The report as a page: complete, inert whatever the wire held, and a PDF that can be read. @module */

import { assert, assertEquals, assertRejects, assertStringIncludes } from "@std/assert";
import { Buffer } from "node:buffer";
import { inflateSync } from "node:zlib";
import { PdfProblem, printPdf } from "../../../aggregator/cli/pdf.ts";
import { reportCommand } from "../../../aggregator/commands/report_command.ts";
import { startHostileWorld } from "../dashboard/hostile.ts";
import { openBrowser, useBrowser } from "../../services/services.ts";
import { runInside, withFolder } from "./harness.ts";

const browser = await useBrowser();

/** A world full of hostile strings, and the options that lead to it. */
async function withRemote(work: (folder: string, remote: string[]) => Promise<void>): Promise<void> {
  const world = await startHostileWorld();
  try {
    await withFolder(async (folder) => {
      await Deno.writeTextFile(`${folder}/key`, world.fixture.keys.viewer);
      await work(folder, ["--url", world.url, "--key-file", `${folder}/key`]);
    });
  } finally {
    await world.stop();
  }
}

/** Writes the report of that world. */
function withReport(work: (path: string, html: string) => Promise<void>): Promise<void> {
  return withRemote(async (folder, remote) => {
    const path = `${folder}/week.html`;
    const ran = await runInside([reportCommand], ["report", "--html", path, "--since", "7d", ...remote]);
    assertEquals([ran.code, ran.stdout], [0, path], ran.stderr);
    assertEquals((await Deno.stat(path)).mode! & 0o777, 0o600);
    const nowhere = await runInside([reportCommand], [
      "report",
      "--html",
      `${folder}/none/x.html`,
      ...remote,
    ]);
    assertEquals(nowhere.code, 3);
    const span = await runInside([reportCommand], ["report", "--html", path, "--since", "91d", ...remote]);
    assertEquals(span.code, 2);
    await work(path, await Deno.readTextFile(path));
  });
}

Deno.test("the report tells incidents, sensors, traffic, talkers and new hosts, and holds nothing live", () =>
  withReport((_path, html) => {
    for (
      const words of [
        "Incidents",
        "Sensors",
        "cellar",
        "lossy",
        "Traffic",
        "Top talkers",
        "New hosts",
        "<svg",
        "DNS tunnel",
        "2 of 3 sensors do not see all they should.",
      ]
    ) {
      assertStringIncludes(html, words);
    }
    assertStringIncludes(html, "Content-Security-Policy");
    const known =
      /^<\/?(?:!doctype|html|head|meta|title|style|body|h[123]|p|b|div|ol|li|span|table|tr|th|td|br|svg|rect|line|text)$/;
    for (const [tag] of html.matchAll(/<\/?!?[a-z][a-z0-9]*/gi)) assert(known.test(tag), tag);
    assert(!/<[^>]*\s(?:on[a-z]+|href|src|srcset|style)\s*=/i.test(html));
    assert(!/[\u202a-\u202e\u2066-\u2069\u200b]/.test(html));
    assert(html.includes("&lt;script&gt;"), "a hostile string is there, as text");
    return Promise.resolve();
  }));

Deno.test({
  name: "the report runs nothing and asks nobody in a browser, and its PDF can be read",
  ignore: browser.ignore,
  fn: () =>
    withReport(async (path) => {
      const opened = await openBrowser(browser.address);
      try {
        const page = await (await opened.newContext()).newPage();
        const asked: string[] = [], shown: string[] = [];
        page.on("request", (request) => asked.push(request.url()));
        page.on("dialog", (dialog) => (shown.push(dialog.message()), dialog.dismiss()));
        await page.goto(`file://${path}`);
        const pdf = await page.pdf({ format: "A4", preferCSSPageSize: true });
        assertEquals([asked, shown], [[`file://${path}`], []]);
        const { pages, text } = readPdf(pdf);
        assert(pages >= 1 && pages <= 20, `${pages} pages`);
        for (
          const words of ["Network report", "Incidents", "Critical", "Top talkers", "New hosts", "cellar"]
        ) {
          assert(text.includes(words.replaceAll(" ", "")), `${words} is not in: ${text.slice(0, 2_000)}`);
        }
        await page.context().close();
      } finally {
        await opened.close();
      }
    }),
});

Deno.test({
  name: "report --pdf writes a whole PDF that only its owner reads, and leaves nothing behind",
  ignore: browser.ignore,
  fn: () =>
    withRemote(async (folder, remote) => {
      const path = `${folder}/week.pdf`;
      const before = temporaryOnes();
      const ran = await runInside([reportCommand], ["report", "--pdf", path, "--since", "7d", ...remote]);
      assertEquals([ran.code, ran.stdout], [0, path], ran.stderr);
      assertEquals((await Deno.stat(path)).mode! & 0o777, 0o600);
      assertEquals(temporaryOnes(), before);
      const { pages, text } = readPdf(await Deno.readFile(path));
      assertEquals(pages, 2);
      for (
        const words of [
          "Networkreport",
          "Critical",
          "Toptalkers",
          "cellar",
          "<script>alert(1)</script>",
          "1of2",
        ]
      ) {
        assertStringIncludes(text, words);
      }
      const both = await runInside([reportCommand], [
        "report",
        ...["--html", `${folder}/week.html`, "--pdf", `${folder}/none/week.pdf`],
        ...remote,
      ]);
      assertEquals([both.code, both.stdout], [3, `${folder}/week.html`]);
      assertStringIncludes(both.stderr, '"pdf" must be a file that can be written');
    }),
});

Deno.test("where no browser is installed, the report says which to install", async () => {
  const asked = printPdf("<p>x</p>", { signal: new AbortController().signal, program: "picket-no-browser" });
  await assertRejects(
    () => asked,
    PdfProblem,
    '"picket-no-browser" must be installed (Debian: apt install chromium)',
  );
});

Deno.test("a browser that makes nothing, or is told to stop, is a problem and no PDF", async () => {
  const signal = new AbortController().signal;
  await assertRejects(() => printPdf("x", { signal, program: "true" }), PdfProblem, "made no PDF");
  await assertRejects(() => printPdf("x", { signal: AbortSignal.abort(), program: "true" }));
});

function temporaryOnes(): string[] {
  return [...Deno.readDirSync("/tmp")].map(({ name }) => name).filter((name) =>
    name.startsWith("picket-report-")
  );
}

/** Pages of a PDF that Chromium wrote, and its text without spaces, as each font of it spells it. */
function readPdf(bytes: Uint8Array): { pages: number; text: string } {
  const raw = Buffer.from(bytes).toString("latin1");
  const streams = [...raw.matchAll(/stream\r?\n([^]*?)\r?\nendstream/g)].map(([, body]) => {
    try {
      return inflateSync(Buffer.from(body, "latin1")).toString("latin1");
    } catch {
      return body;
    }
  });
  const whole = [raw, ...streams].join("\n");
  const maps = streams.filter((one) => one.includes("begincmap")).map((cmap) => {
    const letters = new Map<string, string>();
    const letter = (hex: string) => String.fromCharCode(parseInt(hex, 16));
    for (const [, block] of cmap.matchAll(/beginbfchar([^]*?)endbfchar/g)) {
      for (const [, from, to] of block.matchAll(/<([0-9A-Fa-f]{4})>\s*<([0-9A-Fa-f]{4})>/g)) {
        letters.set(from, letter(to));
      }
    }
    for (const [, block] of cmap.matchAll(/beginbfrange([^]*?)endbfrange/g)) {
      for (
        const [, from, to, first] of block.matchAll(
          /<([0-9A-Fa-f]{4})>\s*<([0-9A-Fa-f]{4})>\s*<([0-9A-Fa-f]{4})>/g,
        )
      ) {
        for (let code = parseInt(from, 16), at = 0; code <= parseInt(to, 16); code++, at++) {
          letters.set(
            code.toString(16).toUpperCase().padStart(4, "0"),
            String.fromCharCode(parseInt(first, 16) + at),
          );
        }
      }
    }
    return letters;
  });
  const drawn = streams.filter((one) => /\bBT\b/.test(one))
    .map((one) => [...one.matchAll(/<([0-9A-Fa-f]+)>/g)].map(([, hex]) => hex).join("")).join("");
  const text = maps.map((letters) =>
    (drawn.match(/.{4}/g) ?? []).map((code) => letters.get(code.toUpperCase()) ?? "").join("")
  ).join("\n");
  return { pages: [...whole.matchAll(/\/Type\s*\/Page\b(?!s)/g)].length, text: text.replaceAll(" ", "") };
}
