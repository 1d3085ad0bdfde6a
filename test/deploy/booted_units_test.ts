/** The units as shipped, under a real systemd: what the tshark of the running sensor may do is read in its /proc, and
 * each of the three parts dies in turn.
 *
 * Method: compiled programs, units copied as they are, the services under their own users; every packet is one that
 * only tshark reads, so that a fact in the store came through the walls. @module */

import { assert, assertEquals, assertMatch } from "@std/assert";
import { bootable, Site } from "./site.ts";

const { ignore, programs } = await bootable("booted units");
const allWalls = "capabilities,privileges,network,files,memory,time,user,syscalls";

async function checkChild(site: Site): Promise<void> {
  const { machine } = site;
  const pid = await site.onePid("tshark");
  const status = await site.status(pid);
  for (const set of ["CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"]) {
    assertMatch(status, new RegExp(`^${set}:\t0{16}$`, "m"));
  }
  assertMatch(status, /^NoNewPrivs:\t1$/m);
  assertMatch(status, /^Seccomp:\t2$/m);
  const sensor = await site.status(await site.onePid("picket-sensor"));
  const uid = (text: string) => Number(/^Uid:\t(\d+)/m.exec(text)![1]);
  const filters = (text: string) => Number(/^Seccomp_filters:\t(\d+)/m.exec(text)![1]);
  assert(uid(status) > 1_000 && uid(status) !== uid(sensor), status);
  assert(filters(status) > filters(await site.status(1)), status);
  // Loopback alone, and that down; another network than the sensor's.
  assertEquals((await machine.must(`grep -c : /proc/${pid}/net/dev`)).trim(), "1");
  assertEquals((await machine.must(`tail -n +2 /proc/${pid}/net/route`)).trim(), "");
  const namespaces = await machine.must(`readlink /proc/${pid}/ns/net /proc/1/ns/net | uniq | wc -l`);
  assertEquals(namespaces.trim(), "2");
  const limits = await machine.must(`cat /proc/${pid}/limits`);
  const space = Number(/^Max address space +(\d+)/m.exec(limits)![1]);
  for (const unit of ["picket-sensor", "picket-dissector@x"]) {
    const max = await machine.must(`systemctl show -p MemoryMax --value ${unit}`);
    assert(space < Number(max), `${space} of ${unit}'s ${max}`);
  }
  // Neither by name nor through its root is there anything of the sensor's.
  for (const path of ["/var/lib/picket-sensor", "/var/lib/private", "/etc/picket", "/var/cache/private"]) {
    const { code } = await machine.run(`ls /proc/${pid}/root${path}`);
    assert(code !== 0, path);
  }
}

async function checkDumpcap(site: Site): Promise<void> {
  const status = await site.status(await site.onePid("dumpcap"));
  // CAP_NET_RAW is number 13.
  for (const set of ["CapPrm", "CapEff", "CapBnd"]) {
    assertMatch(status, new RegExp(`^${set}:\t0{12}2000$`, "m"));
  }
  assertMatch(status, /^NoNewPrivs:\t1$/m);
}

Deno.test({
  name:
    "booted units keep tshark behind walls, tell the fleet which stand, and live through the death of each part",
  ignore,
  fn: async (test) => {
    const site = await Site.openBare(programs);
    const { machine } = site;
    try {
      await test.step("a sensor enrols, captures, and facts come through the walls", async () => {
        await site.wire();
        await site.configure();
        // Not enrolled: not started, and not failed.
        await machine.must("systemctl start picket-sensor");
        assertEquals((await machine.run("systemctl is-active picket-sensor")).stdout.trim(), "inactive");
        await site.enrolAndStart();
        await site.send();
        // Systemd heard of it from the program itself.
        assertMatch(await machine.must("systemctl show picket-sensor"), /^Type=notify$[^]*^StatusErrno=0$/m);
      });
      await test.step("the child has nothing", () => checkChild(site));
      await test.step("dumpcap has CAP_NET_RAW alone", () => checkDumpcap(site));
      await test.step("no process in the sensor's unit dissects", async () => {
        const { stdout } = await machine.run(
          "cat $(systemctl show -p ControlGroup --value picket-sensor | sed 's,^,/sys/fs/cgroup/systemd,')/cgroup.procs /dev/null | xargs -I% cat /proc/%/comm",
        );
        assert(!stdout.includes("tshark"), stdout);
      });
      await test.step("status, doctor, log and fleet name the walls of the running child", async () => {
        const text = allWalls.replaceAll(",", ", ");
        const state = "--state /var/lib/picket-sensor";
        assertMatch(
          await machine.must(`picket-sensor status ${state}`),
          new RegExp(`^walls +around tshark: ${text}$`, "m"),
        );
        const { stdout } = await machine.run(`picket-sensor doctor --interface near ${state}`);
        assertMatch(stdout, new RegExp(`^ok +tshark canary .*the running sensor's tshark: ${text}$`, "m"));
        assertMatch(
          await machine.must("journalctl -u picket-sensor"),
          new RegExp(`walls around tshark walls=${text}`),
        );
        assertMatch(
          await site.fleetShows(/"missing":\[\]/),
          new RegExp(`"standing":${JSON.stringify(allWalls.split(",")).replaceAll(/[[\]]/g, "\\$&")}`),
        );
        assertMatch(await machine.must(`picket-sensor status ${state}`), /by the card \(near: \d+ in/);
      });
      await test.step("a tshark that is killed is replaced within 5 s, and the sensor goes on", async () => {
        const [sensor, tshark] = [await site.onePid("picket-sensor"), await site.onePid("tshark")];
        await machine.must(`kill -KILL ${tshark}`);
        await site.nextTshark(tshark, 5);
        await site.send();
        assertEquals(await site.onePid("picket-sensor"), sensor);
        await checkChild(site);
      });
      await test.step("a tshark that hangs is replaced, and ended by its own unit", async () => {
        const tshark = await site.onePid("tshark");
        await machine.must(`kill -STOP ${tshark}`);
        await machine.onItsNetwork("tcpreplay", "-q", "-i", "far", `${site.folder}/dhcp.pcap`);
        await site.nextTshark(tshark, 8);
        await machine.until(`test -e /proc/${tshark} || echo gone`, /gone/, 15);
        await site.send();
      });
      await test.step("a tshark that grows beyond its limit ends alone", async () => {
        const [sensor, tshark] = [await site.onePid("picket-sensor"), await site.onePid("tshark")];
        // As good as a leak: from now on it gets no more memory.
        await machine.must(`prlimit --pid ${tshark} --as=1000000`);
        for (let i = 0; i < 40 && (await machine.pidsOf("tshark")).includes(tshark); i++) {
          await machine.onItsNetwork(
            "tcpreplay",
            "-q",
            "-t",
            "--loop=20",
            "-i",
            "far",
            `${site.folder}/dhcp.pcap`,
          );
        }
        await site.nextTshark(tshark, 8);
        await site.send();
        assertEquals(await site.onePid("picket-sensor"), sensor);
      });
      await test.step("a sensor that is killed comes back as itself, and its tshark goes", async () => {
        const [sensor, tshark] = [await site.onePid("picket-sensor"), await site.onePid("tshark")];
        await machine.must(`kill -KILL ${sensor}`);
        await machine.until(`test -e /proc/${tshark} || echo gone`, /gone/, 15);
        await site.nextTshark(tshark, 10);
        await site.fleetShows(/"status":"healthy"/);
        await site.send();
        await checkChild(site);
      });
      await test.step("a restart is orderly: the sensor waits for nobody, and what it had is stored", async () => {
        const tshark = await site.onePid("tshark");
        await machine.must("systemctl restart picket-sensor");
        await machine.until(`test -e /proc/${tshark} || echo gone`, /gone/, 5);
        const log = await machine.must("journalctl -u picket-sensor");
        assertMatch(log, /stopped spooled_batches=0/);
        assert(!/timed out|capture ended by itself/.test(log), log);
        await site.isHealthy();
      });
      await test.step("a wall that is missing is an alarm in log, status and fleet", async () => {
        const dropIn = "/etc/systemd/system/picket-dissector@.service.d";
        await machine.must(
          `mkdir ${dropIn}; echo '[Service]\nPrivateNetwork=no\nLimitAS=infinity' >${dropIn}/weak.conf`,
        );
        await machine.must("systemctl daemon-reload");
        await machine.must(`kill -KILL ${await site.onePid("tshark")}`);
        const fleet = await site.fleetShows(/"status":"unwalled"/);
        assertMatch(fleet, /Walls around its tshark are missing: network, memory/);
        assertMatch(
          await machine.must("picket-sensor status --state /var/lib/picket-sensor"),
          /MISSING: network, memory$/m,
        );
        const log = await machine.must("journalctl -u picket-sensor");
        assertMatch(log, /walls around tshark are missing missing=network, memory standing=capabilities/);
        const alarms = await machine.must("journalctl -u picket-sensor -p err -o cat");
        assertMatch(alarms, /^error: walls around tshark are missing/m);
        assert(!alarms.includes("capturing"), alarms);
        await machine.must(`rm -r ${dropIn}; systemctl daemon-reload`);
        await machine.must(`kill -KILL ${await site.onePid("tshark")}`);
        await site.fleetShows(/"status":"healthy"/);
      });
      await test.step("nobody but the sensor may use the socket", async () => {
        const owner = await machine.must("stat -L -c '%a %u' /run/picket-dissector.sock");
        const [, uid] = /^Uid:\t(\d+)/m.exec(await site.status(await site.onePid("picket-sensor")))!;
        assertEquals(owner.trim(), `600 ${uid}`);
      });
    } finally {
      await site.close();
    }
  },
});
