/** Tests of the release key on the sensor: pinned at enrolment, shown, changed, taken away.
 * A run takes what that key has signed. @module */

import { assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { loadIdentity } from "../../../sensor/control/identity.ts";
import { realDisk } from "../../../sensor/disk.ts";
import { keysFromSeed } from "../../../shared/batch.ts";
import { releaseKeyFile, releaseKeyId, releaseKeyText } from "../../../shared/release.ts";
import { releaseKey, releaseOf, tinyProgram } from "../control/upgrade_fixture.ts";
import { usualFits } from "../../../shared/release.ts";
import { version } from "../../../shared/version.ts";
import { machineTest, until } from "./machine.ts";

const other = releaseKeyText(keysFromSeed(new Uint8Array(32).fill(2)).publicKey);

machineTest(
  "the release key of the enrolment is pinned, and another only by a command on the sensor",
  async (machine) => {
    machine.aggregator.releaseKey = releaseKey;
    await machine.enrol();
    const pinned = async () => (await loadIdentity(realDisk, machine.state))!.enrolment!.release_key;
    assertEquals(await pinned(), releaseKey);
    assertEquals(
      (await machine.call("release-key")).out,
      `release key ${releaseKeyId(releaseKey)} is pinned: ${releaseKey}`,
    );
    Deno.writeTextFileSync(`${machine.folder}/release.pub`, releaseKeyFile(other));
    assertEquals((await machine.call("release-key", `${machine.folder}/release.pub`)).code, 0);
    assertEquals(await pinned(), other);
    assertEquals(JSON.parse((await machine.call("release-key", releaseKey, "--json")).out), {
      id: releaseKeyId(releaseKey),
      key: releaseKey,
    });
    for (const nonsense of [["x"], [releaseKey, other], [`${machine.folder}/nothing`], [machine.state]]) {
      const refused = await machine.call("release-key", ...nonsense);
      assertEquals(refused.code, 2);
      assertStringIncludes(refused.err, "Cannot pin a release key as it must be a file of one");
    }
    assertEquals(await pinned(), releaseKey);
    assertMatch(
      (await machine.call("release-key", "none")).out,
      /^no release key is pinned: this sensor takes no/,
    );
    assertEquals(await pinned(), null);
  },
);

machineTest("an aggregator without a release key, or one that knows of none, pins none", async (machine) => {
  assertEquals((await machine.call("release-key")).code, 3);
  await machine.enrol();
  assertEquals((await loadIdentity(realDisk, machine.state))!.enrolment!.release_key ?? null, null);
  assertMatch((await machine.call("release-key")).out, /^no release key is pinned/);
});

const newer = () => {
  const [major, minor, patch] = version.split(".").map(Number);
  return releaseOf(tinyProgram(0, 1_500_000), {
    version: `${major}.${minor}.${patch + 1}`,
    target: Deno.build.target as "x86_64-unknown-linux-gnu",
    fits: usualFits(version),
  });
};

machineTest(
  "a run takes an upgrade, says so, ends in order, and leaves it to be started next",
  async (machine) => {
    const { aggregator, state } = machine, release = newer();
    aggregator.releaseKey = releaseKey;
    await machine.enrol();
    Object.assign(aggregator, { upgrade: release.offer, program: release.program });
    machine.env = { PICKET_SLOT: "installed" };
    const { ended } = machine.begin("run", "--interface", "eth9", "--check-in-s", "1");
    assertEquals(await ended, 0);
    assertEquals(Deno.readLinkSync(`${state}/slots/next`), "a");
    assertEquals(Deno.readFileSync(`${state}/slots/a/picket-sensor`), release.program);
    const last = aggregator.checkIns.at(-1)!;
    assertEquals([last.upgrade?.state, last.upgrade?.version], ["switching", release.manifest.version]);
    assertMatch(
      (await machine.call("status")).out,
      new RegExp(`^upgrade +version ${release.manifest.version}, switching$`, "m"),
    );
  },
);

machineTest(
  "a run that its service did not start takes no upgrade and says why, in status too",
  async (machine) => {
    const { aggregator } = machine, release = newer();
    aggregator.releaseKey = releaseKey;
    await machine.enrol();
    Object.assign(aggregator, { upgrade: release.offer, program: release.program });
    const { ended, stop } = machine.begin("run", "--interface", "eth9", "--check-in-s", "1");
    await until(() => aggregator.checkIns.length >= 2);
    stop();
    assertEquals(await ended, 0);
    assertEquals(aggregator.checkIns.at(-1)?.upgrade?.state, "unable");
    assertMatch(
      (await machine.call("status")).out,
      /^upgrade +none is taken: it was not started by its service/m,
    );
  },
);
