/** Tests of the folder of releases: what is taken in and offered, what is not and why, parts, bounds. @module */

import { gunzipSync } from "node:zlib";
import { assert, assertEquals } from "@std/assert";
import { ReleaseFolder } from "../../../aggregator/fleet/release_folder.ts";
import { keysFromSeed } from "../../../shared/batch.ts";
import { type Manifest, releaseKeyText, signRelease } from "../../../shared/release.ts";
import { releaseKey, releaseOf, tinyProgram } from "../../sensor/control/upgrade_fixture.ts";

const nowMs = 1_800_000_000_000;

class World {
  readonly folder = Deno.makeTempDirSync({ prefix: "picket-releases-" });
  readonly releases = new ReleaseFolder(`${this.folder}/state/releases`);

  /** A signed program somewhere else; returns its path. */
  sign(program: Uint8Array, change: Partial<Manifest> = {}, name = "program"): string {
    const { offer: { manifest, signature } } = releaseOf(program, change);
    Deno.writeFileSync(`${this.folder}/${name}`, program);
    Deno.writeTextFileSync(`${this.folder}/${name}.release`, JSON.stringify({ manifest, signature }));
    return `${this.folder}/${name}`;
  }

  async versions(): Promise<string[]> {
    this.releases.forget();
    return (await this.releases.all(nowMs)).rows.map(({ read }) =>
      `${read.version} ${read.target.slice(0, 6)}`
    );
  }

  async problems(): Promise<string[]> {
    this.releases.forget();
    return (await this.releases.all(nowMs)).problems.map(({ file, reason }) => `${file}: ${reason}`);
  }
}

async function scenario(work: (world: World) => Promise<void>): Promise<void> {
  const world = new World();
  try {
    await work(world);
  } finally {
    Deno.removeSync(world.folder, { recursive: true });
  }
}

Deno.test("signed programs are taken in, offered, handed out in parts, and removed by version", () =>
  scenario(async (world) => {
    const { releases } = world;
    assertEquals(await releases.all(nowMs), { key: null, rows: [], problems: [] });
    const program = tinyProgram(0, 2_100_000), path = world.sign(program);
    assertEquals(await releases.add(path, nowMs), {
      ok: false,
      reason: "there is no release key: picket-aggregator release trust FILE",
    });
    await releases.trust(releaseKey);
    assert((await releases.add(path, nowMs)).ok);
    assert((await releases.add(path, nowMs)).ok, "once more is the same");
    const arm = tinyProgram(0, 4_096, "aarch64-unknown-linux-gnu");
    assert((await releases.add(world.sign(arm, { target: "aarch64-unknown-linux-gnu" }), nowMs)).ok);
    assertEquals(await world.versions(), ["1.1.0 aarch6", "1.1.0 x86_64"]);
    const release = (await releases.find("1.1.0", "x86_64-unknown-linux-gnu", nowMs))!;
    const { sha256 } = release.read;
    const sizes = [];
    for (const from of [0, 1_048_576, 2_097_152, 2_100_000, 9_000_000]) {
      const part = (await releases.part(sha256, from, nowMs))!;
      assertEquals(part, program.slice(from, from + 1_048_576));
      for (let time = 0; time < 2; time++) {
        assertEquals(
          new Uint8Array(gunzipSync((await releases.packedPart(sha256, from, nowMs))!)),
          part,
        );
      }
      sizes.push(part.length);
    }
    assertEquals(sizes, [1_048_576, 1_048_576, 2_848, 0, 0]);
    for (const how of ["part", "packedPart"] as const) {
      assertEquals(await releases[how]("0".repeat(64), 0, nowMs), null);
    }
    assertEquals(await releases.find("1.1.1", "x86_64-unknown-linux-gnu", nowMs), null);
    assertEquals([await releases.remove("1.0.0", nowMs), await releases.remove("1.1.0", nowMs)], [0, 2]);
    assertEquals(await releases.packedPart(sha256, 0, nowMs), null, "nor from memory");
    assertEquals([...Deno.readDirSync(releases.folder)].map(({ name }) => name), ["key.pub"]);
  }));

const wrong: [name: string, reason: string, make: (world: World) => string][] = [
  ["signed by another key", "its signature is not of the release key", (world) => {
    const path = world.sign(tinyProgram(0)), { manifest } = releaseOf(tinyProgram(0));
    const other = signRelease(manifest, keysFromSeed(new Uint8Array(32).fill(1)).privateKey);
    Deno.writeTextFileSync(`${path}.release`, JSON.stringify(other));
    return path;
  }],
  ["changed after it was signed", "it is not the program that was signed", (world) => {
    const path = world.sign(tinyProgram(0));
    Deno.writeFileSync(path, tinyProgram(1));
    return path;
  }],
  ["cut off", "it is not the program that was signed", (world) => {
    const path = world.sign(tinyProgram(0));
    Deno.truncateSync(path, 100);
    return path;
  }],
  [
    "for another machine than its manifest says",
    "it is no program for x86_64-unknown-linux-gnu",
    (world) =>
      world.sign(tinyProgram(0, 4_096, "aarch64-unknown-linux-gnu"), { target: "x86_64-unknown-linux-gnu" }),
  ],
  ["with a manifest that is none", "its manifest cannot be read", (world) => {
    const path = world.sign(tinyProgram(0));
    Deno.writeTextFileSync(`${path}.release`, "{");
    return path;
  }],
  ["with a manifest that has no end", "its manifest is too long", (world) => {
    const path = world.sign(tinyProgram(0));
    Deno.writeTextFileSync(`${path}.release`, " ".repeat(20_000));
    return path;
  }],
];
for (const [name, reason, make] of wrong) {
  Deno.test(`a program ${name} is not taken in, and not offered where it lies in the folder already`, () =>
    scenario(async (world) => {
      const { releases } = world;
      await releases.trust(releaseKey);
      const path = make(world);
      assertEquals(await releases.add(path, nowMs), { ok: false, reason });
      const inside = "picket-sensor-1.1.0-x86_64-unknown-linux-gnu";
      Deno.copyFileSync(path, `${releases.folder}/${inside}`);
      Deno.copyFileSync(`${path}.release`, `${releases.folder}/${inside}.release`);
      assertEquals([await world.versions(), await world.problems()], [[], [`${inside}: ${reason}`]]);
    }));
}

Deno.test("a program that is changed while it is offered is offered no more; another key offers nothing", () =>
  scenario(async (world) => {
    const { releases } = world;
    await releases.trust(releaseKey);
    await releases.add(world.sign(tinyProgram(0)), nowMs);
    const inside = `${releases.folder}/picket-sensor-1.1.0-x86_64-unknown-linux-gnu`;
    const { bytes } = (await releases.all(nowMs)).rows[0].read;
    Deno.writeFileSync(inside, tinyProgram(9, bytes));
    Deno.utimeSync(inside, 1, 1);
    assertEquals((await releases.all(nowMs + 9_999)).rows.length, 1, "looked at every 10 s");
    const later = await releases.all(nowMs + 10_000);
    assertEquals([later.rows.length, later.problems.length], [0, 1]);
    await releases.add(world.sign(tinyProgram(0)), nowMs);
    await releases.trust(releaseKeyText(keysFromSeed(new Uint8Array(32).fill(1)).publicKey));
    assertEquals([await world.versions(), (await world.problems()).length], [[], 1]);
  }));

Deno.test("a program under another's name is not offered as the other", () =>
  scenario(async (world) => {
    const { releases } = world;
    await releases.trust(releaseKey);
    const path = world.sign(tinyProgram(0), { version: "1.0.0" });
    const inside = `${releases.folder}/picket-sensor-1.1.0-x86_64-unknown-linux-gnu`;
    Deno.copyFileSync(path, inside);
    Deno.copyFileSync(`${path}.release`, `${inside}.release`);
    assertEquals(await world.versions(), []);
  }));

Deno.test("a release key that cannot be read is named, and offers nothing; what a stopped addition left goes", () =>
  scenario(async (world) => {
    const { releases } = world;
    await releases.trust(releaseKey);
    Deno.writeTextFileSync(`${releases.folder}/.picket-sensor-0.9.0-x.part`, "half");
    assert((await releases.add(world.sign(tinyProgram(0)), nowMs)).ok);
    assertEquals([...Deno.readDirSync(releases.folder)].filter(({ name }) => name.endsWith(".part")), []);
    Deno.writeTextFileSync(`${releases.folder}/key.pub`, "picket-release-key nonsense\n");
    assertEquals([await world.versions(), await world.problems()], [[], [
      `${releases.folder}: key.pub holds no release key`,
    ]]);
    Deno.removeSync(`${releases.folder}/key.pub`);
    Deno.mkdirSync(`${releases.folder}/key.pub`);
    assertEquals((await world.problems()).length, 1);
  }));

Deno.test("more than 200 releases in the folder are said, and the first 200 are looked at", () =>
  scenario(async (world) => {
    const { releases } = world;
    await releases.trust(releaseKey);
    for (let i = 0; i < 200; i++) {
      Deno.writeTextFileSync(`${releases.folder}/picket-sensor-${i}.release`, "{");
    }
    assert(!(await world.problems()).some((problem) => problem.includes("more than")));
    Deno.writeTextFileSync(`${releases.folder}/picket-sensor-200.release`, "{");
    const problems = await world.problems();
    assertEquals([problems.length, problems[0].endsWith("there are more than 200 releases")], [201, true]);
  }));

Deno.test("the folder takes 16 programs, and the 17th only in another's place", () =>
  scenario(async (world) => {
    const { releases } = world;
    await releases.trust(releaseKey);
    for (let patch = 0; patch < 16; patch++) {
      const path = world.sign(tinyProgram(patch), { version: `1.0.${patch}` });
      assert((await releases.add(path, nowMs)).ok, String(patch));
    }
    const refused = await releases.add(world.sign(tinyProgram(99), { version: "1.0.99" }), nowMs);
    assert(!refused.ok && refused.reason.startsWith("there may be 16 programs"));
    assert((await releases.add(world.sign(tinyProgram(77), { version: "1.0.3" }), nowMs)).ok);
    assertEquals((await world.versions()).length, 16);
  }));
