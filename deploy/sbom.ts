/** What is inside the programs besides our own code: a CycloneDX 1.5 bill of materials, and the licences of all of it.
 *
 * In: the lock file, the installed packages, the import map, the version of the runtime. Out: JSON on standard output,
 * or with `--licences` one text. Invariant: every package the programs can reach is named with the digest of the lock
 * file, and has a licence text or a licence name; one without either ends the script. Packages that only tests or the
 * dashboard's build import are left out.
 *
 *     deno run --allow-read deploy/sbom.ts VERSION EPOCH_SECONDS RUNTIME_VERSION [--licences] @module */

import { createHash } from "node:crypto";

/** Imported by tests and by the dashboard's build alone. */
const testPackages = ["axe-core", "esbuild", "fast-check", "playwright-core"];
const root = new URL("../", import.meta.url).pathname;

interface Lock {
  specifiers: Record<string, string>;
  npm: Record<string, { integrity: string; dependencies?: string[]; optionalDependencies?: string[] }>;
}

interface Package {
  name: string;
  version: string;
  integrity: string;
  licence: string;
  licenceText: string;
}

async function readPackages(): Promise<Package[]> {
  const lock: Lock = JSON.parse(await Deno.readTextFile(`${root}deno.lock`));
  const { imports } = JSON.parse(await Deno.readTextFile(`${root}deno.json`));
  const keyOf = (name: string) => Object.keys(lock.npm).find((key) => key.startsWith(`${name}@`));
  const wanted = Object.entries(imports as Record<string, string>)
    .filter(([name, target]) => target.startsWith("npm:") && !testPackages.includes(name)).map(([name]) =>
      packageOf(name)
    );
  const found = new Map<string, Package>();
  for (const name of wanted) {
    const key = keyOf(name);
    if (key === undefined) throw new Error(`Cannot list what is inside as deno.lock has no package: ${name}`);
    if (found.has(key)) continue;
    const { integrity, dependencies = [], optionalDependencies = [] } = lock.npm[key];
    wanted.push(...dependencies, ...optionalDependencies);
    found.set(key, await readPackage(name, key.slice(name.length + 1), integrity));
  }
  return [...found.values()].sort((a, b) => (a.name < b.name ? -1 : 1));
}

/** "preact/hooks" -> "preact". */
function packageOf(name: string): string {
  return name.split("/").slice(0, name.startsWith("@") ? 2 : 1).join("/");
}

async function readPackage(name: string, version: string, integrity: string): Promise<Package> {
  const folder = `${root}node_modules/.deno/${name.replace("/", "+")}@${version}/node_modules/${name}`;
  const { license } = JSON.parse(await Deno.readTextFile(`${folder}/package.json`));
  const licence = typeof license === "string" ? license : license?.type ?? "";
  let licenceText = "";
  for await (const entry of Deno.readDir(folder)) {
    if (/^(licen[cs]e|copying|notice)/i.test(entry.name) && entry.isFile) {
      licenceText += await Deno.readTextFile(`${folder}/${entry.name}`);
    }
  }
  if (licence === "" && licenceText === "") {
    throw new Error(`Cannot list what is inside as this package names no licence: ${name}@${version}`);
  }
  return { name, version, integrity, licence, licenceText };
}

/** "sha512-<base64>" as CycloneDX has it. */
function digestOf(integrity: string): { alg: string; content: string } {
  const [algorithm, text] = integrity.split("-", 2);
  return {
    alg: algorithm.toUpperCase().replace("SHA", "SHA-"),
    content: Uint8Array.fromBase64(text).toHex(),
  };
}

const purlOf = ({ name, version }: { name: string; version: string }) =>
  `pkg:npm/${name.replace("@", "%40")}@${version}`;

function billOf(packages: readonly Package[], version: string, epochSeconds: number, runtime: string) {
  const picket = {
    type: "application",
    "bom-ref": "picket",
    name: "picket",
    version,
    licenses: named("Apache-2.0"),
  };
  const components = [
    {
      type: "framework",
      "bom-ref": `deno@${runtime}`,
      name: "deno",
      version: runtime,
      licenses: named("MIT"),
      purl: `pkg:github/denoland/deno@v${runtime}`,
    },
    ...packages.map((one) => ({
      type: "library",
      "bom-ref": purlOf(one),
      name: one.name,
      version: one.version,
      licenses: named(one.licence),
      hashes: [digestOf(one.integrity)],
      purl: purlOf(one),
    })),
  ];
  const digest = createHash("sha256").update(JSON.stringify([version, epochSeconds, components])).digest(
    "hex",
  );
  return {
    bomFormat: "CycloneDX",
    specVersion: "1.5",
    // The same release has the same number: nothing in it is drawn by lot.
    serialNumber: `urn:uuid:${digest.slice(0, 8)}-${digest.slice(8, 12)}-4${digest.slice(13, 16)}-8${
      digest.slice(17, 20)
    }-${digest.slice(20, 32)}`,
    version: 1,
    metadata: { timestamp: new Date(epochSeconds * 1_000).toISOString(), component: picket },
    components,
    dependencies: [{ ref: "picket", dependsOn: components.map((one) => one["bom-ref"]) }],
  };
}

function named(licence: string) {
  return /[ ()]/.test(licence) ? [{ expression: licence }] : [{ license: { id: licence } }];
}

if (import.meta.main) {
  const [version, epoch, runtime, flag] = Deno.args;
  if (!version || !/^\d+$/.test(epoch ?? "") || !runtime || (flag !== undefined && flag !== "--licences")) {
    throw new Error(
      "Cannot list what is inside as the arguments must be VERSION EPOCH_SECONDS RUNTIME_VERSION [--licences]",
    );
  }
  const packages = await readPackages();
  const text = flag === "--licences"
    ? packages.map(({ name, version, licence, licenceText }) =>
      `${name} ${version}\n${licence}\n\n${licenceText.trim()}\n`
    ).join(`\n${"=".repeat(79)}\n\n`)
    : JSON.stringify(billOf(packages, version, Number(epoch), runtime), null, 2) + "\n";
  await Deno.stdout.write(new TextEncoder().encode(text));
}
