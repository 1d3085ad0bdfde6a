/** Upgrades from the centre under a real systemd: the unit as shipped, compiled programs, and programs that do harm.
 *
 * Method: the next version is the same program with another version number in it; those that crash or hang are a few
 * instructions of their own. Each is signed, added, rolled out; what runs is read in /proc.
 * Why a policy: without its limit a download of such a program takes a minute and a half. @module */

import { assert, assertEquals, assertMatch } from "@std/assert";
import { releaseKeyFile } from "../../shared/release.ts";
import { version } from "../../shared/version.ts";
import { releaseKey, releaseOf, tinyProgram } from "../sensor/control/upgrade_fixture.ts";
import { bootable, Site } from "./site.ts";

const { ignore, programs } = await bootable("booted upgrade");
const brought = "/srv/brought";
const slots = "/var/lib/picket-sensor/slots";

const [major, minor, patch] = version.split(".").map(Number);
const later = (step: number) => `${major}.${minor}.${patch + step}`;

/** The compiled sensor as another version; the number is as long as the one before. */
function renumbered(program: Uint8Array, to: string): Uint8Array {
  const [from, words] = [version, to].map((one) => new TextEncoder().encode(`version = "${one}"`));
  assertEquals(words.length, from.length);
  const copy = program.slice();
  let found = 0;
  for (let at = copy.indexOf(from[0]); at >= 0; at = copy.indexOf(from[0], at + 1)) {
    if (!from.every((octet, i) => copy[at + i] === octet)) continue;
    copy.set(words, at);
    found++;
  }
  assert(found > 0, "the program holds its version");
  return copy;
}

/** Programs with their signatures, as files for the machine. */
async function bring(folder: string): Promise<Record<string, string>> {
  const sensor = await Deno.readFile(`${programs}/picket-sensor`);
  const made: [name: string, step: number, program: Uint8Array][] = [
    ["good", 1, renumbered(sensor, later(1))],
    ["crashing", 2, tinyProgram(7)],
    ["hanging", 3, tinyProgram(null)],
    ["mute", 4, renumbered(sensor, later(4))],
  ];
  await Deno.writeTextFile(`${folder}/release.pub`, releaseKeyFile(releaseKey));
  const files: Record<string, string> = { [`${folder}/release.pub`]: `${brought}/release.pub` };
  for (const [name, step, program] of made) {
    const { offer: { manifest, signature } } = releaseOf(program, { version: later(step) });
    await Deno.writeFile(`${folder}/${name}`, program);
    await Deno.writeTextFile(`${folder}/${name}.release`, JSON.stringify({ manifest, signature }));
    for (const file of [name, `${name}.release`]) files[`${folder}/${file}`] = `${brought}/${file}`;
  }
  return files;
}

class Upgrading {
  constructor(readonly site: Site) {}

  async rollOut(name: string, step: number): Promise<void> {
    const { machine } = this.site;
    await machine.must(`picket-aggregator release add ${brought}/${name}`);
    // The aggregator looks at its folder every ten seconds.
    await machine.until(
      `picket-aggregator upgrade start ${later(step)} --canary 100% --url http://127.0.0.1:8600 2>&1`,
      /begins/,
      30,
    );
  }

  /** What runs, as /proc has it. */
  async program(): Promise<string> {
    const pid = await this.site.onePid("picket-sensor");
    return (await this.site.machine.must(`readlink /proc/${pid}/exe`)).trim();
  }

  async ends(name: string, step: number, reason: RegExp): Promise<void> {
    const { machine } = this.site;
    const status = await machine.until("picket-aggregator upgrade status; true", /: halted/, 120);
    assertMatch(status, new RegExp(`^rollout \\d+ of version ${later(step)}: halted`), name);
    assertMatch(status, reason);
    await this.isWell();
    await machine.must("picket-aggregator upgrade cancel");
    assertEquals((await machine.run(`test -L ${slots}/tried`)).code, 1);
  }

  /** The program of the first step runs, and is heard from. */
  async isWell(): Promise<void> {
    await this.site.fleetShows(new RegExp(`"version":"${later(1)}"`));
    await this.site.isHealthy();
    assertMatch(await this.program(), /\/slots\/a\/picket-sensor$/);
  }
}

Deno.test({
  name:
    "booted sensor upgrades from the centre, and comes back from programs that crash, hang or are not heard from",
  ignore,
  fn: async (test) => {
    const folder = await Deno.makeTempDir({ prefix: "picket-booted-upgrade-" });
    const site = await Site.openBare(programs, await bring(folder));
    const { machine } = site, upgrading = new Upgrading(site);
    try {
      await test.step("a sensor that enrols pins the release key", async () => {
        await site.wire();
        await machine.must(
          "mkdir -p /etc/picket; printf 'PICKET_INTERFACE=near\\nPICKET_CHECK_IN_S=1\\nPICKET_POLICY_TRIAL_S=2\\nPICKET_UPGRADE_TRIAL_S=8\\n' >/etc/picket/sensor.env",
        );
        await machine.must("systemctl start picket-aggregator");
        await machine.until("test -s /var/lib/picket-aggregator/admin.key && echo there", /there/, 20);
        await machine.must(`picket-aggregator release trust ${brought}/release.pub`);
        await machine.must("picket-aggregator policy set fast uploadBytesPerS=1000000000");
        // The aggregator looks at its folder every ten seconds.
        await machine.until("sleep 1; picket-aggregator release list", /^release key/, 5);
        await new Promise((resolve) => setTimeout(resolve, 11_000));
        await site.enrolAndStart();
        assertMatch(await machine.must("picket-sensor release-key"), /is pinned/);
        assertEquals(await upgrading.program(), "/usr/local/bin/picket-sensor");
      });
      await test.step("a good program is fetched, tried, and in force, behind the same walls", async () => {
        await upgrading.rollOut("good", 1);
        await machine.until(`readlink ${slots}/active`, /^a$/m, 120);
        await upgrading.isWell();
        await site.send();
        const status = await machine.must("picket-aggregator upgrade status");
        assertMatch(status, new RegExp(`roof: done, canary, runs ${later(1)}`));
        await machine.must("picket-aggregator upgrade cancel");
        assertMatch(await machine.must("journalctl -u picket-sensor"), /has proved itself and is in force/);
      });
      await test.step("a program that crashes is started once", async () => {
        await upgrading.rollOut("crashing", 2);
        await upgrading.ends("crashing", 2, /it ended before it had proved itself \(exit-code exited 7\)/);
      });
      await test.step("a program that hangs is ended by systemd", async () => {
        const dropIn = "/run/systemd/system/picket-sensor.service.d";
        await machine.must(
          `mkdir -p ${dropIn}; printf '[Service]\\nTimeoutStartSec=6\\n' >${dropIn}/soon.conf`,
        );
        await machine.must("systemctl daemon-reload");
        await upgrading.rollOut("hanging", 3);
        await upgrading.ends("hanging", 3, /it ended before it had proved itself \(timeout /);
        await machine.must(`rm -r ${dropIn}; systemctl daemon-reload`);
      });
      await test.step("a program that gets no check-in through goes back by itself, and says so later", async () => {
        await upgrading.rollOut("mute", 4);
        await machine.until(`readlink ${slots}/tried`, /^b$/m, 120);
        await machine.must("systemctl stop picket-aggregator");
        await machine.until(`test -L ${slots}/tried || echo back`, /back/, 60);
        await machine.must("systemctl start picket-aggregator");
        await upgrading.ends("mute", 4, /no check-in got through for 8 s/);
      });
      await test.step("a sensor that is killed starts what is in force; what is installed by hand is so at once", async () => {
        await machine.must(`kill -KILL ${await site.onePid("picket-sensor")}`);
        await upgrading.isWell();
        await machine.must(
          "cp /usr/local/bin/picket-sensor /usr/local/bin/.part && mv /usr/local/bin/.part /usr/local/bin/picket-sensor",
        );
        await machine.must("systemctl restart picket-sensor");
        await site.isHealthy();
        assertEquals(await upgrading.program(), "/usr/local/bin/picket-sensor");
      });
    } finally {
      await site.close();
      await Deno.remove(folder, { recursive: true });
    }
  },
});
