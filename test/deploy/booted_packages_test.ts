/** The packages in use: installed, upgraded, rebooted, downgraded, removed and purged on a booted machine;
 * then the same by install.sh.
 *
 * Method: after each act, what must be there is there, and the sensor still is who it was; after a purge a search of
 * the whole disk finds nothing of Picket. @module */

import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { demoCapture } from "../e2e/scenarios.ts";
import { findProgram } from "../services/guarded_child.ts";
import { nightly, skipLoudly } from "../services/services.ts";
import { version } from "../../shared/version.ts";
import { run } from "./compiled.ts";
import { folder as brought, Guide, makeArchive, operate } from "./guide_run.ts";
import { bootable, Site } from "./site.ts";

const deploy = new URL("../../deploy/", import.meta.url).pathname;
const script = `${deploy}package.sh`;
const { ignore, programs } = await bootable("packages on a booted machine");
const slow = nightly("the packages' lint, two minutes");
const lintian = slow.ignore || await findProgram("lintian")
  ? { ignore: ignore || slow.ignore }
  : skipLoudly("the packages' lint", "lintian is not installed (apt: lintian)");
/** Built once for this file; the first test that wants them pays. */
let built: Promise<string> | null = null;

function packages(): Promise<string> {
  return built ??= (async () => {
    const output = await Deno.makeTempDir({ prefix: "picket-packages-" });
    for (const more of [[], ["--revision", "2", "--only", "picket-sensor"]]) {
      const args = [
        "--arch",
        "amd64",
        "--programs",
        programs,
        "--output",
        output,
        "--compression",
        "gzip",
        ...more,
      ];
      const { code, stderr } = await run(script, args);
      assertEquals(code, 0, stderr);
    }
    return output;
  })();
}

globalThis.addEventListener("unload", () => {
  void built?.then((folder) => Deno.removeSync(folder, { recursive: true }));
});

const refusals: readonly (readonly [args: string[], words: string])[] = [
  [["--tarpit"], "the option is unknown: --tarpit"],
  [["--arch", "armhf"], '"--arch" must be amd64 or arm64: current value is "armhf"'],
  [["--revision", "two"], '"--revision" must be a number: current value is "two"'],
  [["--compression", "zip"], '"--compression" must be xz or gzip: current value is "zip"'],
  [["--output"], '"--output" must have a value'],
];
for (const [args, words] of refusals) {
  Deno.test(`package script refuses ${args.join(" ")} with a sentence`, async () => {
    const refused = await run(script, args);
    assertEquals([refused.code, refused.stdout], [2, ""]);
    assertStringIncludes(refused.stderr, `Cannot package as ${words}`);
  });
}

Deno.test({
  name: "packages are clean for lintian, and the same programs give the same package",
  ignore: lintian.ignore,
  fn: async () => {
    const folder = await packages();
    const names = [...Deno.readDirSync(folder)].map(({ name }) => name).sort();
    assertEquals(names, [
      `picket-aggregator_${version}_amd64.deb`,
      `picket-sensor_${version}+2_amd64.deb`,
      `picket-sensor_${version}_amd64.deb`,
    ]);
    const { code, stdout } = await run("lintian", [
      "--fail-on",
      "error,warning",
      ...names.map((name) => `${folder}/${name}`),
    ]);
    assertEquals([code, stdout], [0, ""]);
    const again = await Deno.makeTempDir();
    try {
      const args = ["--arch", "amd64", "--programs", programs, "--output", again, "--compression", "gzip"];
      assertEquals((await run(script, [...args, "--only", "picket-sensor"])).code, 0);
      const name = `picket-sensor_${version}_amd64.deb`;
      assertEquals((await run("cmp", [`${folder}/${name}`, `${again}/${name}`])).stdout, "");
    } finally {
      await Deno.remove(again, { recursive: true });
    }
  },
});

/** The packages, two of them to be upgraded between, and an archive of an old day. */
async function broughtFiles(
  folder: string,
  names: { aggregator: string; sensor: string; next: string },
): Promise<Record<string, string>> {
  const old = `${folder}/old`;
  await Deno.mkdir(old);
  await makeArchive(old);
  const files = [...Deno.readDirSync(`${old}/archive`)].filter(({ isFile }) => isFile).map(({ name }) =>
    name
  );
  return {
    [`${folder}/${names.aggregator}`]: `${brought}/first/${names.aggregator}`,
    [`${folder}/${names.sensor}`]: `${brought}/first/${names.sensor}`,
    [`${folder}/${names.next}`]: `${brought}/next/${names.next}`,
    ...Object.fromEntries(files.map((name) => [`${old}/archive/${name}`, `${brought}/archive/${name}`])),
  };
}

/** Everything on the disk that bears the name, but what the test itself brought and what logs say. */
async function leftBehind(site: Site): Promise<string[]> {
  const found = await site.machine.must(
    `find / -xdev -iname '*picket*' ! -path '${brought}*' ! -path '/proc/*' ! -path '/var/log/*' ! -path '/tmp/systemd-private-*' 2>/dev/null`,
  );
  return found.split("\n").filter(Boolean);
}

Deno.test({
  name: "packages install, upgrade, survive a reboot, downgrade, and purge without a trace",
  ignore,
  fn: async (test) => {
    const folder = await packages();
    const names = {
      aggregator: `picket-aggregator_${version}_amd64.deb`,
      sensor: `picket-sensor_${version}_amd64.deb`,
      next: `picket-sensor_${version}+2_amd64.deb`,
    };
    const site = await Site.open({
      ...await broughtFiles(folder, names),
      [demoCapture]: `${brought}/office-day.pcap`,
    });
    const { machine } = site;
    const guide = new Guide(machine);
    const { given } = guide;
    const apt = "DEBIAN_FRONTEND=noninteractive apt-get -y -q -o Dpkg::Use-Pty=0";
    const sensorId = async () =>
      JSON.parse(await machine.must("picket-sensor status --json || true")).enrolled?.sensor_id;
    let identity = "";
    // An address that another machine could have: setup asks nothing.
    const wire = () => site.wire().then(() => machine.must("ip address add 10.9.9.1/24 dev near"));
    try {
      await test.step("nothing is there before", async () => assertEquals(await leftBehind(site), []));
      await test.step("install: the aggregator runs, the sensor waits for its enrolment", async () => {
        await guide.prepare();
        Object.assign(given, { folder: "first", capture: `${brought}/office-day.pcap` });
        await guide.type(
          "apt install ./picket-aggregator_*_amd64.deb",
          "apt install ./picket-sensor_*_arm64.deb",
        );
        const states = await machine.run(
          "systemctl is-active picket-aggregator; systemctl is-active picket-sensor; systemctl is-enabled picket-sensor; systemctl is-failed picket-sensor",
        );
        assertEquals(states.stdout.trim().split("\n"), ["active", "inactive", "enabled", "inactive"]);
        assertEquals(
          (await machine.must("stat -c %a /etc/picket/sensor.env /etc/picket/aggregator.env")).trim(),
          "600\n600",
        );
        assertStringIncludes(await machine.must("zcat /usr/share/man/man8/picket-sensor.8.gz"), "enrol");
      });
      await test.step("enrol: it captures, behind its walls", async () => {
        await wire();
        await site.configure();
        const said = await guide.type("picket-aggregator setup");
        const [, host, token] = /picket:\/\/([^/]+)\/([^#]+)#/.exec(said)!;
        given.url = `https://${host}`;
        site.sensor = "pi";
        const ca = "--aggregator-ca /var/lib/picket-aggregator/tls/ca.pem";
        await machine.must(`picket-sensor enrol --aggregator ${given.url} --token ${token} --name pi ${ca}`);
        await guide.type("systemctl start picket-sensor");
        await site.isHealthy();
        await site.send();
        identity = await sensorId();
        assertMatch(identity, /^s[0-9a-f]+$/);
      });
      await test.step("operate: every command of the guides does what they say", () => operate(site, guide));
      await test.step("upgrade: another process, the same sensor, the operator's settings, nothing lost", async () => {
        const before = await site.onePid("picket-sensor");
        given.folder = "next";
        await guide.type("apt install ./picket-sensor_*_arm64.deb");
        assertStringIncludes(await machine.must("dpkg-query -W picket-sensor"), `${version}+2`);
        await machine.until("pidof picket-sensor", new RegExp(`^(?!${before}$)\\d+$`, "m"), 20);
        await site.isHealthy();
        await site.send();
        assertEquals(await sensorId(), identity);
        assertStringIncludes(await machine.must("cat /etc/picket/sensor.env"), "PICKET_INTERFACE=near");
        assertEquals(JSON.parse(await site.fleetShows(/"missing_batches":0/)).open_gaps, 0);
      });
      await test.step("reboot: both come back by themselves, the sensor as soon as its interface does", async () => {
        await machine.reboot();
        await wire();
        // The runtime with which tests compile reads no names from a certificate, and so forgets this address.
        await machine.must("systemctl reload picket-aggregator");
        await site.isHealthy();
        await site.send();
        assertEquals(await sensorId(), identity);
      });
      await test.step("downgrade: what the operator disabled stays disabled", async () => {
        await machine.must("systemctl disable --now picket-sensor");
        await guide.type("apt install --allow-downgrades ./picket-sensor_*_arm64.deb");
        const states = await machine.run(
          "systemctl is-active picket-sensor; systemctl is-enabled picket-sensor",
        );
        assertEquals(states.stdout.trim().split("\n"), ["inactive", "disabled"]);
        await machine.must("systemctl enable --now picket-sensor");
        await site.isHealthy();
      });
      await test.step("remove: key and settings stay, and are used again", async () => {
        await guide.type("apt remove picket-sensor");
        assert((await machine.pidsOf("picket-sensor")).length === 0);
        await machine.must(
          "test -e /var/lib/picket-sensor/identity.json && test -e /etc/picket/sensor.env && ! test -e /usr/bin/picket-sensor",
        );
        given.folder = "first";
        await guide.type("apt install ./picket-sensor_*_arm64.deb");
        await site.isHealthy();
        assertEquals(await sensorId(), identity);
      });
      await test.step("purge: nothing is left, nor does anything run", async () => {
        await guide.type("apt purge picket-sensor");
        await machine.must(`${apt} purge picket-aggregator`);
        assertEquals(await leftBehind(site), []);
        const { stdout } = await machine.run(
          "systemctl list-units --state=active,activating,failed --plain --no-legend 'picket*'",
        );
        assertEquals(stdout, "");
        for (const name of ["picket-sensor", "picket-aggregat", "tshark", "dumpcap"]) {
          assertEquals(await machine.pidsOf(name), [], name);
        }
      });
      assertEquals(guide.left, [], "shown, and not typed here");
    } finally {
      await site.close();
    }
  },
});

Deno.test({
  name: "install script installs, upgrades and uninstalls both sides without apt",
  ignore,
  fn: async (test) => {
    const inside = brought;
    const files = [
      "install.sh",
      "start-sensor.sh",
      "picket-sensor.service",
      "picket-aggregator.service",
      "picket-dissector.socket",
      "picket-dissector@.service",
      "debian/sensor.env",
      "debian/aggregator.env",
    ];
    const site = await Site.open(Object.fromEntries([
      ...files.map((file) => [`${deploy}${file}`, `${inside}/${file}`]),
      ...["picket-sensor", "picket-aggregator"].map((name) => [`${programs}/${name}`, `${inside}/${name}`]),
    ]));
    const { machine } = site;
    try {
      await test.step("it refuses what it cannot do with a sentence", async () => {
        const cases: [command: string, code: number, words: string][] = [
          ["install.sh", 2, "Cannot install as it must be told which: sensor or aggregator"],
          ["install.sh sensor --purge", 2, '"--purge" goes with "--uninstall"'],
          ["install.sh sensor --program /nonexistent", 3, "there is no such file: /nonexistent"],
          ["install.sh sensor --program /etc/passwd", 3, "does not run on this machine: /etc/passwd"],
        ];
        for (const [command, code, words] of cases) {
          const refused = await machine.run(`${inside}/${command}`);
          assertEquals([refused.code, refused.stdout], [code, ""]);
          assertStringIncludes(refused.stderr, words);
        }
        const nobody = await machine.run(
          `cp ${inside}/install.sh /tmp/; setpriv --reuid=65534 bash /tmp/install.sh sensor; code=$?; rm /tmp/install.sh; exit $code`,
        );
        assertEquals(nobody.code, 3);
        assertStringIncludes(nobody.stderr, "it must run as root");
      });
      await test.step("both sides install; a sensor enrols and captures behind its walls", async () => {
        await machine.must("cd /srv/brought; ./install.sh aggregator");
        await machine.must("cd /srv/brought; ./install.sh sensor");
        await site.wire();
        await site.configure();
        await site.enrolAndStart();
        await site.send();
      });
      await test.step("installing again is an upgrade: settings and identity stay, the service runs the new file", async () => {
        const before = await site.onePid("picket-sensor");
        await machine.must(`${inside}/install.sh sensor`);
        await site.isHealthy();
        const after = await site.onePid("picket-sensor");
        assert(after !== before);
        assertEquals(
          (await machine.must(`readlink /proc/${after}/exe`)).trim(),
          "/usr/local/bin/picket-sensor",
        );
        assertStringIncludes(await machine.must("cat /etc/picket/sensor.env"), "PICKET_INTERFACE=near");
      });
      await test.step("uninstalling keeps key and settings, with --purge nothing", async () => {
        await machine.must(`${inside}/install.sh sensor --uninstall`);
        await machine.must("test -e /var/lib/picket-sensor/identity.json && test -e /etc/picket/sensor.env");
        await machine.must(`${inside}/install.sh sensor --uninstall --purge`);
        await machine.must(`${inside}/install.sh aggregator --uninstall --purge`);
        assertEquals(await leftBehind(site), []);
      });
    } finally {
      await site.close();
    }
  },
});
