/** Arrows between folders run down: the table of what may import what, held against the imports that are there.
 *
 * In: every import of sensor/ and aggregator/. Out: one problem a line.
 * A room is a folder below a program, or a file beside them.
 * Invariant: a room imports only rooms that stand below it in the table, so there is no arrow up and no circle; each
 * room names the ones it uses, so that a new arrow is a decision somebody reads,
 * and an arrow that is gone leaves the table. @module */

import { assertEquals } from "@std/assert";

const root = new URL("../", import.meta.url).pathname;

/** Room to the rooms it imports, from the top floor down. */
type Floors = Readonly<Record<string, readonly string[]>>;

const floors: Record<string, Floors> = {
  aggregator: {
    main: ["commands", "older_runtime", "analyze", "serve", "store"],
    commands: [
      "analyze",
      "serve",
      "cli",
      "mcp",
      "archive",
      "api",
      "options",
      "tls",
      "triage",
      "fleet",
      "filter",
      "store",
      "model",
    ],
    older_runtime: [],
    analyze: ["cli", "triage", "detect", "ingest", "model"],
    serve: [
      "cli",
      "publish",
      "sinks",
      "retention",
      "archive",
      "api",
      "options",
      "tls",
      "triage",
      "detect",
      "evidence",
      "fleet",
      "ingest",
      "store",
      "model",
    ],
    cli: ["api", "options", "tls", "fleet", "store", "model"],
    publish: ["store", "model"],
    retention: ["archive", "store", "model"],
    api: [
      "mcp",
      "dashboard",
      "sinks",
      "archive",
      "triage",
      "evidence",
      "fleet",
      "ingest",
      "detect",
      "store",
      "filter",
      "intel",
      "model",
    ],
    mcp: ["model"],
    sinks: ["detect", "store", "model"],
    archive: ["store", "model"],
    options: ["triage", "detect", "store", "intel", "model"],
    tls: ["model"],
    dashboard: ["triage", "fleet", "model"],
    triage: ["detect", "model"],
    detect: ["store", "intel", "model"],
    evidence: ["fleet", "store", "model"],
    fleet: ["ingest", "store", "model"],
    ingest: ["store", "model"],
    store: ["filter", "model"],
    filter: ["model"],
    intel: ["model"],
    model: [],
  },
  sensor: {
    main: ["commands", "run", "control", "pipeline", "capture", "dissect", "disk"],
    commands: ["run", "control", "doctor", "pipeline", "aggregator_client", "disk", "prefilter", "authority"],
    run: [
      "control",
      "doctor",
      "pipeline",
      "capture",
      "dissect",
      "ship",
      "aggregator_client",
      "disk",
      "prefilter",
      "authority",
      "ring",
      "flow",
    ],
    control: ["capture", "ship", "aggregator_client", "disk", "authority", "ring"],
    doctor: [],
    pipeline: ["capture", "dissect", "prefilter", "ring", "flow", "decode"],
    capture: ["prefilter"],
    dissect: ["flow", "decode"],
    ship: ["aggregator_client", "disk", "flow"],
    aggregator_client: ["authority"],
    disk: [],
    prefilter: ["flow", "decode"],
    authority: [],
    ring: ["flow", "decode"],
    flow: ["decode"],
    decode: [],
  },
};

for (const [program, allowed] of Object.entries(floors)) {
  Deno.test(`arrows of ${program} run down, as its table says`, async () => {
    assertEquals(problemsOf(allowed, await arrowsOf(program)), []);
  });
}

Deno.test("an arrow up, a circle, an unlisted and an unused arrow are each a problem", () => {
  const table: Floors = { top: ["middle"], middle: ["ground"], ground: [] };
  const fine = new Map([["top middle", "a"], ["middle ground", "b"]]);
  const broken = (more: [string, string][]) => problemsOf(table, new Map([...fine, ...more]));
  assertEquals(broken([]), []);
  assertEquals(broken([["ground top", "c"]]), ["ground -> top runs up: c"]);
  assertEquals(broken([["middle top", "d"]]), ["middle -> top runs up: d"]);
  assertEquals(broken([["top ground", "e"]]), ["top -> ground is not in the table: e"]);
  assertEquals(broken([["attic top", "f"]]), ["attic is not in the table: f"]);
  assertEquals(problemsOf(table, new Map([["top middle", "a"]])), ["middle -> ground: nothing imports it"]);
});

function problemsOf(allowed: Floors, arrows: ReadonlyMap<string, string>): string[] {
  const rooms = Object.keys(allowed);
  const problems: string[] = [];
  for (const [arrow, example] of arrows) {
    const [from, to] = arrow.split(" ");
    const unknown = [from, to].find((room) => !rooms.includes(room));
    if (unknown !== undefined) problems.push(`${unknown} is not in the table: ${example}`);
    else if (rooms.indexOf(to) <= rooms.indexOf(from)) problems.push(`${from} -> ${to} runs up: ${example}`);
    else if (!allowed[from].includes(to)) {
      problems.push(`${from} -> ${to} is not in the table: ${example}`);
    }
  }
  for (const [from, used] of Object.entries(allowed)) {
    for (const to of used) {
      if (!arrows.has(`${from} ${to}`)) problems.push(`${from} -> ${to}: nothing imports it`);
    }
  }
  return problems;
}

/** "from to" to one import that makes the arrow. */
async function arrowsOf(program: string): Promise<Map<string, string>> {
  const arrows = new Map<string, string>();
  const roomOf = (path: string) => path.split("/")[1].replace(/\.tsx?$/, "");
  for (const path of await filesBelow(program)) {
    const text = await Deno.readTextFile(root + path);
    for (const [, target] of text.matchAll(/(?:\bfrom|\bimport)\s*\(?\s*"(\.[^"]+)"/g)) {
      const wanted = new URL(target, `file:///${path}`).pathname.slice(1);
      if (!wanted.startsWith(`${program}/`) || roomOf(wanted) === roomOf(path)) continue;
      arrows.set(`${roomOf(path)} ${roomOf(wanted)}`, `${path} imports ${wanted}`);
    }
  }
  return arrows;
}

async function filesBelow(folder: string): Promise<string[]> {
  const files: string[] = [];
  for await (const entry of Deno.readDir(root + folder)) {
    const path = `${folder}/${entry.name}`;
    if (entry.isDirectory) files.push(...await filesBelow(path));
    else if (/\.tsx?$/.test(path)) files.push(path);
  }
  return files.sort();
}
