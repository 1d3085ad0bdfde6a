/** What tshark says of itself, kept between starts:
 * when it is used, when it must not be, and what several starts leave. @module */

import { createHash } from "node:crypto";
import { assert, assertEquals, assertRejects } from "@std/assert";
import { ProfileCache, type TsharkProfile } from "../../../../sensor/dissect/child/profile_cache.ts";
import { profileOrigins, Tshark } from "../../../../sensor/dissect/child/tshark.ts";
import { skipLoudly } from "../../../services/services.ts";
import { counted, silentReporter } from "../../ship/helpers.ts";

/** Asks tshark, and keeps what it was asked and what configuration a child of it got. */
const watched = `#!/bin/sh
case "$*" in
  *"-r -"*) cp "$WIRESHARK_CONFIG_DIR/disabled_protos" "$0.given" ;;
  *) echo "$*" >> "$0.asked" ;;
esac
exec tshark "$@"
`;
const emptyCapture = Uint8Array.fromHex("d4c3b2a1020004000000000000000000ffff000001000000");
const nobody = 65_534;
const root = Deno.uid() === 0
  ? { ignore: false }
  : skipLoudly("a cache of somebody else", "only root can give files away");

/** A tshark that can be watched and replaced, and a cache that is not there yet. */
class Place {
  readonly folder = Deno.makeTempDirSync({ prefix: "picket-cache-" });
  readonly cacheFolder = `${this.folder}/a/cache`;
  readonly file = `${this.cacheFolder}/tshark.json`;
  readonly tsharkPath = `${this.folder}/tshark-watched`;

  constructor() {
    // The child may run as nobody; what it was given must be possible to leave.
    Deno.chmodSync(this.folder, 0o777);
    Deno.writeTextFileSync(this.tsharkPath, watched, { mode: 0o755 });
    Deno.chmodSync(this.tsharkPath, 0o755);
  }

  /** Questions asked of tshark so far. */
  get asked(): number {
    try {
      return Deno.readTextFileSync(`${this.tsharkPath}.asked`).split("\n").length - 1;
    } catch {
      return 0;
    }
  }

  /** One start. Returns where the profile came from, and the allow-list as a child of it was given it. */
  async start(cacheFolder = this.cacheFolder): Promise<{ origin: string; version: string; given: string }> {
    const { reporter } = silentReporter();
    const program = new Tshark({ tsharkPath: this.tsharkPath, cacheFolder }, { reporter });
    await program.prepare();
    const child = program.spawn();
    const output = new Response(child.output as ReadableStream).text();
    await child.write(emptyCapture);
    await child.end();
    assertEquals([await output, await child.exited], ["", ""]);
    await program.dispose();
    const origin = profileOrigins.find((name) =>
      counted(reporter, "dissector_profiles_total", `origin="${name}"`) === 1
    );
    const given = await Deno.readTextFile(`${this.tsharkPath}.given`);
    await Deno.remove(`${this.tsharkPath}.given`);
    return { origin: origin ?? "not counted", version: program.version, given };
  }

  remove(): void {
    Deno.removeSync(this.folder, { recursive: true });
  }
}

async function inPlace(body: (place: Place) => Promise<void>): Promise<void> {
  const place = new Place();
  try {
    await body(place);
  } finally {
    place.remove();
  }
}

Deno.test("the second start asks tshark nothing and gives its child the same allow-list", () =>
  inPlace(async (place) => {
    const first = await place.start();
    assertEquals(first.origin, "kept");
    const { asked } = place;
    assert(asked >= 2);
    assertEquals(await place.start(), { ...first, origin: "cache" });
    assertEquals(place.asked, asked);
    const disabled = first.given.trimEnd().split("\n");
    assert(disabled.length > 1_000 && disabled.includes("giop") && !disabled.includes("dns"));
  }));

for (
  const [what, change] of [
    ["tshark that was replaced", ({ tsharkPath }) => Deno.utime(tsharkPath, 1_700_000_000, 1_700_000_000)],
    ["tshark whose kept profile was cut", ({ file }) => Deno.truncate(file, 10_000)],
  ] as [string, (place: Place) => Promise<void>][]
) {
  Deno.test(`a ${what} is asked again, once`, () =>
    inPlace(async (place) => {
      const first = await place.start();
      const { asked } = place;
      await change(place);
      assertEquals(await place.start(), first);
      assertEquals(place.asked, 2 * asked);
      assertEquals(await place.start(), { ...first, origin: "cache" });
    }));
}

/** A profile of about as many octets as asked for. */
function profileOf(octets: number): TsharkProfile {
  return { version: "4.0.17", disabled: "protocol\n".repeat(octets / 9), fields: null };
}

/** The file with other content, and a digest that fits it. */
async function rewrite(file: string, change: (content: Record<string, unknown>) => unknown): Promise<void> {
  const [first, rest] = (await Deno.readTextFile(file)).split("\n");
  const text = JSON.stringify(change(JSON.parse(rest)));
  const digest = createHash("sha256").update(text).digest("hex");
  await Deno.writeTextFile(file, `${first.split(" ")[0]} ${digest}\n${text}`);
}

async function rewriteText(file: string, change: (text: string) => string): Promise<void> {
  await Deno.writeTextFile(file, change(await Deno.readTextFile(file)));
}

const spoilt: Record<string, (file: string) => Promise<unknown>> = {
  "is cut": (file) => Deno.truncate(file, 80_000),
  "is empty": (file) => Deno.truncate(file, 0),
  "has another octet": (file) => rewriteText(file, (text) => text.replace("protocol", "protocoL")),
  "is of another format": (file) => rewriteText(file, (text) => text.replace("profile-1", "profile-2")),
  "is too long": (file) => rewrite(file, (content) => ({ ...content, disabled: "x\n".repeat(600_000) })),
  "is about another tshark": (file) => rewrite(file, (content) => ({ ...content, key: "0".repeat(64) })),
  "disables nothing": (file) => rewrite(file, (content) => ({ ...content, disabled: "\n" })),
  "has fields of another type": (file) => rewrite(file, (content) => ({ ...content, fields: [1] })),
  "is no object": (file) => rewrite(file, () => null),
  "may be written by others": (file) => Deno.chmod(file, 0o666),
  "may be written by its group": (file) => Deno.chmod(file, 0o620),
  "is a link": async (file) => {
    await Deno.rename(file, `${file}.elsewhere`);
    await Deno.symlink(`${file}.elsewhere`, file);
  },
  "is a pipe": async (file) => {
    await Deno.remove(file);
    assert((await new Deno.Command("mkfifo", { args: [file] }).output()).success);
  },
};

Deno.test("a kept profile that was spoilt is not used, and replaced", async (t) => {
  const profile = profileOf(90_000);
  for (const [how, spoil] of Object.entries(spoilt)) {
    await t.step(how, () =>
      inPlace(async ({ cacheFolder, file }) => {
        const cache = new ProfileCache(cacheFolder);
        assert(await cache.write("a", profile));
        assertEquals(await cache.read("a"), profile);
        await spoil(file);
        assertEquals(await cache.read("a"), null);
        assert(await cache.write("a", profile));
        assertEquals(await cache.read("a"), profile);
      }));
  }
});

Deno.test("a kept profile whose digest and shape are right is used: the spoilt ones were refused for their reason", () =>
  inPlace(async ({ cacheFolder, file }) => {
    const cache = new ProfileCache(cacheFolder);
    assert(await cache.write("a", profileOf(900)));
    await rewrite(file, (content) => ({ ...content, version: "9.9.9" }));
    assertEquals((await cache.read("a"))?.version, "9.9.9");
  }));

Deno.test({
  name: "a kept profile that belongs to somebody else is not used, and replaced",
  ...root,
  fn: () =>
    inPlace(async (place) => {
      await place.start();
      await Deno.chown(place.file, nobody, nobody);
      assertEquals((await place.start()).origin, "kept");
      assertEquals((await Deno.stat(place.file)).uid, 0);
    }),
});

Deno.test("a folder that others may write is not used, and nothing is written there", () =>
  inPlace(async (place) => {
    const first = await place.start();
    const before = await Deno.stat(place.file);
    await Deno.chmod(place.cacheFolder, 0o777);
    assertEquals(await place.start(), { ...first, origin: "not_kept" });
    await Deno.chmod(place.cacheFolder, 0o770);
    assertEquals(await place.start(), { ...first, origin: "not_kept" });
    const { ino, mtime } = await Deno.stat(place.file);
    assertEquals([ino, mtime], [before.ino, before.mtime]);
    assertEquals([...Deno.readDirSync(place.cacheFolder)].length, 1);
  }));

Deno.test({
  name: "a folder of somebody else is not used, and nothing is written there",
  ...root,
  fn: () =>
    inPlace(async (place) => {
      await place.start();
      await Deno.chown(place.cacheFolder, nobody, nobody);
      assertEquals((await place.start()).origin, "not_kept");
      await Deno.remove(place.file);
      assertEquals((await place.start()).origin, "not_kept");
      assertEquals([...Deno.readDirSync(place.cacheFolder)], []);
    }),
});

Deno.test("a folder that cannot be made costs the cache and nothing else", () =>
  inPlace(async (place) => {
    await Deno.writeTextFile(`${place.folder}/file`, "");
    const { origin, given } = await place.start(`${place.folder}/file/cache`);
    assertEquals(origin, "not_kept");
    assert(given.includes("\ngiop\n"));
  }));

Deno.test("a missing tshark is named although a profile of it is kept", () =>
  inPlace(async (place) => {
    const { tsharkPath, cacheFolder } = place;
    await place.start();
    await Deno.remove(tsharkPath);
    const program = new Tshark({ tsharkPath, cacheFolder });
    await assertRejects(() => program.prepare(), Error, `Cannot find tshark: no program ${tsharkPath}`);
  }));

Deno.test("a list that tshark did not finish is refused, and never kept", () =>
  inPlace(async (place) => {
    const { tsharkPath, cacheFolder } = place;
    for (const end of ['tshark "$@" | head -n 100; exit 1', "exit 0"]) {
      await Deno.writeTextFile(
        tsharkPath,
        `#!/bin/sh\ncase "$*" in *-G*) ${end} ;; *) exec tshark "$@" ;; esac\n`,
      );
      const program = new Tshark({ tsharkPath, cacheFolder });
      await assertRejects(() => program.prepare(), Error, "-G protocols` did not end well");
    }
    await assertRejects(() => Deno.stat(place.file), Deno.errors.NotFound);
  }));

Deno.test("starts side by side leave one whole profile", () =>
  inPlace(async (place) => {
    const { tsharkPath, cacheFolder } = place;
    const programs = [1, 2, 3].map(() => new Tshark({ tsharkPath, cacheFolder }));
    await Promise.all(programs.map((program) => program.prepare()));
    await Promise.all(programs.map((program) => program.dispose()));
    assertEquals((await place.start()).origin, "cache");
    assertEquals([...Deno.readDirSync(cacheFolder)].map(({ name }) => name), ["tshark.json"]);
  }));

// Goal: a reader never meets half a file.
// Method: several caches of one folder write files of other lengths all the time.
Deno.test("a profile is whole at every moment, however many write it", () =>
  inPlace(async ({ cacheFolder }) => {
    const profiles = [900, 90_000, 450_000].map(profileOf);
    assert(await new ProfileCache(cacheFolder).write("a", profiles[0]));
    let writing = profiles.length, notWritten = 0, reads = 0, notWhole = 0;
    const writers = profiles.map(async (profile) => {
      const cache = new ProfileCache(cacheFolder);
      for (let round = 0; round < 30; round++) if (!await cache.write("a", profile)) notWritten++;
      writing--;
    });
    for (const reader = new ProfileCache(cacheFolder); writing > 0; reads++) {
      if (await reader.read("a") === null) notWhole++;
    }
    await Promise.all(writers);
    assert(reads > 0);
    assertEquals({ notWritten, notWhole }, { notWritten: 0, notWhole: 0 });
  }));

Deno.test("what a killed start left goes with the next write; what another start is writing stays", () =>
  inPlace(async ({ cacheFolder }) => {
    const cache = new ProfileCache(cacheFolder);
    await cache.write("a", profileOf(900));
    await Deno.writeTextFile(`${cacheFolder}/tshark-old.part`, "half");
    await Deno.utime(`${cacheFolder}/tshark-old.part`, 1_700_000_000, 1_700_000_000);
    await Deno.writeTextFile(`${cacheFolder}/tshark-new.part`, "half");
    await Deno.utime(`${cacheFolder}/tshark.json`, 1_700_000_000, 1_700_000_000);
    assert(await cache.write("a", profileOf(900)));
    const names = [...Deno.readDirSync(cacheFolder)].map(({ name }) => name).sort();
    assertEquals(names, ["tshark-new.part", "tshark.json"]);
  }));

Deno.test("a profile that would not be read again is not written", () =>
  inPlace(async ({ cacheFolder }) => {
    const cache = new ProfileCache(cacheFolder);
    for (const disabled of ["", "\n", "a b\n", "a\n\n", "a"]) {
      assertEquals(await cache.write("a", { version: "4.0.17", disabled, fields: null }), false);
    }
    assertEquals(await cache.write("a", { version: "4.0", disabled: "a\n", fields: null }), false);
    assertEquals(await cache.read("a"), null);
  }));

Deno.test("the fields a newer tshark knows are kept too", () =>
  inPlace(async ({ cacheFolder }) => {
    const profile = { version: "4.4.2", disabled: "a\nB.c-d\n", fields: ["frame.number", "dns.id"] };
    const cache = new ProfileCache(cacheFolder);
    assert(await cache.write("a", profile));
    assertEquals(await cache.read("a"), profile);
    assertEquals(await cache.read("b"), null);
  }));
