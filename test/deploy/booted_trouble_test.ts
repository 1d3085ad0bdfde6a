/** What happens to machines in the field, under the units as shipped: a program that stands still, a full disk on
 * either side, a program that is replaced or broken while it runs.
 *
 * Method: each trouble begins and ends on a booted machine; afterwards the same sensor is healthy again by itself, and
 * every packet sent on the wire is in the store. @module */

import { assert, assertEquals, assertMatch } from "@std/assert";
import { bootable, Site } from "./site.ts";

const { ignore, programs } = await bootable("booted units in trouble");

/** Puts a file system of `mebibytes` in the place of a service's state, with what is in it. */
function confine(name: string, mebibytes: number): string {
  const folder = `/var/lib/private/${name}`;
  return `systemctl stop ${name} && cp -a ${folder} /var/kept && ` +
    `mount -t tmpfs -o size=${mebibytes}m,mode=700 tmpfs ${folder} && cp -a /var/kept/. ${folder}/ && rm -r /var/kept`;
}
const fill = (name: string) =>
  `dd if=/dev/zero of=/var/lib/private/${name}/filler bs=64k 2>/dev/null; df /var/lib/private/${name} | tail -1`;
const empty = (name: string) => `rm /var/lib/private/${name}/filler`;

async function stored(site: Site): Promise<number> {
  const text = await site.machine.must("picket-aggregator report --json || true");
  return JSON.parse(text).totals.packets;
}

/** As many packets are stored as were sent, at least. */
async function storedAtLeast(site: Site, packets: number, seconds: number): Promise<void> {
  for (let i = 0; i < seconds * 2; i++) {
    if (await stored(site) >= packets) return;
    await new Promise((resolve) => setTimeout(resolve, 500));
  }
  throw new Error(`${await stored(site)} packets are stored, not ${packets}`);
}

Deno.test({
  name: "booted units come through a program that stands still, full disks, and replaced programs",
  ignore,
  fn: async (test) => {
    const site = await Site.openBare(programs);
    const { machine } = site;
    let sent = 0;
    const send = async () => {
      await site.send();
      sent += 300;
    };
    try {
      await site.wire();
      await site.configure();
      await site.enrolAndStart();
      await send();
      await test.step("a sensor that stands still is ended and started again", async () => {
        const dropIn = "/etc/systemd/system/picket-sensor.service.d";
        await machine.must(
          `mkdir ${dropIn}; echo '[Service]\nWatchdogSec=2\nTimeoutAbortSec=1' >${dropIn}/impatient.conf`,
        );
        await machine.must("systemctl daemon-reload; systemctl restart picket-sensor");
        await site.isHealthy();
        const before = await site.onePid("picket-sensor");
        // It lives longer than the watchdog allows to be silent, so it is heard.
        await new Promise((resolve) => setTimeout(resolve, 4_000));
        assertEquals(await site.onePid("picket-sensor"), before);
        await machine.must(`kill -STOP ${before}`);
        await machine.until("pidof picket-sensor", new RegExp(`^(?!${before}$)\\d+$`, "m"), 20);
        assertMatch(await machine.must("journalctl -u picket-sensor"), /Watchdog timeout/);
        await machine.must(`rm -r ${dropIn}; systemctl daemon-reload; systemctl restart picket-sensor`);
        await site.isHealthy();
        await send();
      });
      await test.step("a sensor whose disk is full starts, captures and ships, and says so", async () => {
        await machine.must(confine("picket-sensor", 8));
        await machine.must(fill("picket-sensor"));
        await machine.must("systemctl start picket-sensor");
        const { code } = await machine.onItsNetwork(
          "tcpreplay",
          "-q",
          "-i",
          "far",
          `${site.folder}/dhcp.pcap`,
        );
        assertEquals(code, 0);
        assertEquals((await machine.must("systemctl is-active picket-sensor")).trim(), "active");
        await machine.until(
          "journalctl -u picket-sensor -p warning -o cat",
          /ENOSPC|No space left|full/i,
          20,
        );
        await machine.must(empty("picket-sensor"));
        await site.isHealthy();
        await send();
        await storedAtLeast(site, sent, 40);
      });
      await test.step("an aggregator whose disk is full goes on running, and stores all once it is not", async () => {
        await machine.must(confine("picket-aggregator", 16));
        await machine.must("systemctl start picket-aggregator");
        await site.isHealthy();
        await machine.must(fill("picket-aggregator"));
        const before = await site.onePid("picket-aggregat");
        await machine.onItsNetwork("tcpreplay", "-q", "-i", "far", `${site.folder}/dhcp.pcap`);
        sent += 300;
        await machine.until("journalctl -u picket-aggregator -p warning -o cat", /full|No space left/i, 30);
        await machine.must(empty("picket-aggregator"));
        await storedAtLeast(site, sent, 60);
        assertEquals(await site.onePid("picket-aggregat"), before);
        await site.isHealthy();
      });
      await test.step("a program that is replaced goes on as it was, and the next start runs the new one", async () => {
        const before = await site.onePid("picket-sensor");
        await machine.must(
          "cp /usr/local/bin/picket-sensor /usr/local/bin/.new && mv /usr/local/bin/.new /usr/local/bin/picket-sensor",
        );
        await send();
        assertEquals(await site.onePid("picket-sensor"), before);
        await machine.must("systemctl restart picket-sensor");
        await site.isHealthy();
        await send();
        const after = await site.onePid("picket-sensor");
        assert(!(await machine.must(`readlink /proc/${after}/exe`)).includes("deleted"));
      });
      await test.step("a program that is broken is tried again until it is whole", async () => {
        await machine.must(
          "mv /usr/local/bin/picket-sensor /usr/local/bin/.good; echo broken >/usr/local/bin/picket-sensor; chmod 755 /usr/local/bin/picket-sensor",
        );
        await machine.run("systemctl restart picket-sensor");
        await new Promise((resolve) => setTimeout(resolve, 5_000));
        await machine.must("mv /usr/local/bin/.good /usr/local/bin/picket-sensor");
        await site.isHealthy();
        await send();
        await storedAtLeast(site, sent, 40);
      });
      await test.step("nothing failed on the way that was not caused", async () => {
        const { stdout } = await machine.run(
          "systemctl list-units --failed --plain --no-legend 'picket-sensor*' 'picket-agg*'",
        );
        assertEquals(stdout, "");
      });
    } finally {
      await site.close();
    }
  },
});
