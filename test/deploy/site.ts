/** A booted machine with Picket on it: an aggregator, an enrolled sensor on a wire, packets that only tshark reads.
 *
 * In: files to lay into the machine. Out: the questions and acts that tests of units and packages share.
 * Why DHCP: the sensor reads none of it by itself, so a fact in the store came through tshark,
 * and so through the walls. @module */

import { assertEquals } from "@std/assert";
import { dhcpCapture } from "../golden/dhcp_capture.ts";
import { Booted, missingForBoot } from "../services/booted.ts";
import { findProgram } from "../services/guarded_child.ts";
import { skipLoudly } from "../services/services.ts";
import { compiled } from "./compiled.ts";

const deploy = new URL("../../deploy/", import.meta.url).pathname;
const units = [
  "picket-sensor.service",
  "picket-aggregator.service",
  "picket-dissector.socket",
  "picket-dissector@.service",
];
const packets = 300;
export const url = "http://127.0.0.1:8600";

/** A folder with the compiled programs, or a loud skip. */
export async function bootable(what: string): Promise<{ ignore: boolean; programs: string }> {
  const native = await compiled("x86_64-unknown-linux-gnu");
  const reason = await missingForBoot() ??
    (await findProgram("tcpreplay") ? undefined : "tcpreplay is not installed (apt: tcpreplay)");
  return { ...(reason ? skipLoudly(what, reason) : native), programs: native.folder };
}

/** What a test asks of the machine again and again. */
export class Site {
  /** Of the sensor, which is asked for by it. */
  sensor = "roof";

  constructor(readonly machine: Booted, readonly folder: string) {}

  /** Boots a machine with `files`, from a path here to a path inside. */
  static async open(files: Record<string, string>): Promise<Site> {
    const machine = await Booted.boot(files);
    const folder = await Deno.makeTempDir({ prefix: "picket-booted-" });
    await Deno.writeFile(`${folder}/dhcp.pcap`, dhcpCapture(packets, 3_000));
    return new Site(machine, folder);
  }

  /** A machine with the programs and the units as they lie in the checkout, put there by hand. */
  static openBare(programs: string, more: Record<string, string> = {}): Promise<Site> {
    return Site.open({
      ...more,
      ...Object.fromEntries([
        ...units.map((unit) => [`${deploy}${unit}`, `/etc/systemd/system/${unit}`]),
        ...["picket-sensor", "picket-aggregator"].map((
          name,
        ) => [`${programs}/${name}`, `/usr/local/bin/${name}`]),
        [`${deploy}start-sensor.sh`, "/usr/local/lib/picket/start-sensor"],
      ]),
    });
  }

  /** A wire with the sensor at its near end; `tcpreplay` sends at the far one. */
  async wire(): Promise<void> {
    await this.machine.must(
      "ip link add near type veth peer name far; ip link set near up; ip link set far up",
    );
  }

  async configure(): Promise<void> {
    await this.machine.must(
      // What was sent is a flow two seconds later, not thirty.
      "mkdir -p /etc/picket; " +
        "echo 'PICKET_INTERFACE=near\nPICKET_CHECK_IN_S=1\nPICKET_OTHER_IDLE_MS=2000' >/etc/picket/sensor.env",
    );
  }

  /** The services are installed; the aggregator runs, or is started. */
  async enrolAndStart(): Promise<void> {
    const { machine } = this;
    await machine.must("systemctl start picket-aggregator");
    await machine.until("test -s /var/lib/picket-aggregator/admin.key && echo there", /there/, 20);
    const token = await machine.must(`picket-aggregator token --url ${url} 2>/dev/null`);
    await machine.must(`picket-sensor enrol --aggregator ${url} --token ${token.trim()} --name roof`);
    await machine.must("systemctl start picket-sensor");
    await this.isHealthy();
  }

  /** The sensor that runs now captures, and the fleet has heard of it. */
  async isHealthy(): Promise<void> {
    // A service of type notify is active once it captures;
    // its status is that of this run as soon as it holds this process.
    await this.machine.until("systemctl is-active picket-sensor", /^active/, 40);
    const pid = "$(systemctl show -p MainPID --value picket-sensor)";
    await this.machine.until(`grep -c '"pid":'${pid}, /var/lib/picket-sensor/status.json`, /^1/, 40);
    await this.fleetShows(/"status":"healthy".*"standing":\["capabilities"/);
  }

  /** Sends the capture and waits until every packet of it is a flow with a fact. */
  async send(): Promise<void> {
    const before = await this.health();
    const { code, stderr } = await this.machine.onItsNetwork(
      "tcpreplay",
      "-q",
      "-i",
      "far",
      `${this.folder}/dhcp.pcap`,
    );
    assertEquals(code, 0, stderr);
    const wanted = before.facts.answered + packets;
    for (let i = 0; i < 100; i++) {
      const { facts } = await this.health();
      if (facts.answered >= wanted) return;
      await new Promise((resolve) => setTimeout(resolve, 200));
    }
    throw new Error(`Not all answered: ${JSON.stringify((await this.health()).facts)}`);
  }

  // deno-lint-ignore no-explicit-any
  async health(): Promise<any> {
    const text = await this.machine.must("cat /var/lib/picket-sensor/status.json");
    return JSON.parse(text).health;
  }

  /** What the aggregator knows of the sensor. */
  fleetShows(pattern: RegExp, seconds = 40): Promise<string> {
    return this.machine.until(`picket-aggregator sensor show ${this.sensor} --json`, pattern, seconds);
  }

  async onePid(name: string): Promise<number> {
    const pids = await this.machine.pidsOf(name);
    assertEquals(pids.length, 1, `${name}: ${pids}`);
    return pids[0];
  }

  /** A tshark other than `before` runs. */
  async nextTshark(before: number, seconds: number): Promise<number> {
    for (let i = 0; i < seconds * 5; i++) {
      const pids = await this.machine.pidsOf("tshark");
      const next = pids.find((pid) => pid !== before);
      if (next !== undefined) return next;
      await new Promise((resolve) => setTimeout(resolve, 200));
    }
    throw new Error(`No other tshark within ${seconds} s`);
  }

  status(pid: number): Promise<string> {
    return this.machine.must(`cat /proc/${pid}/status`);
  }

  async close(): Promise<void> {
    await this.machine.stop();
    await Deno.remove(this.folder, { recursive: true });
  }
}
