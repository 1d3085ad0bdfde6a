/** Types what the guides show into a booted machine.
 *
 * In: a machine, a command as it stands in a guide, what its placeholders are here. Out: what it printed; what was not
 * typed. Invariant: a command that ends with another code than 0 fails the test. @module */

import { assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { runProgram, storeIn } from "../aggregator/commands/harness.ts";
import { flowsOf, flowWrite, nothing, t0 } from "../aggregator/store/rows.ts";
import type { Booted } from "../services/booted.ts";
import { commands } from "../guide.ts";
import type { Site } from "./site.ts";

/** Where the test lays what it installs. */
export const folder = "/srv/brought";
const archive = "/var/lib/picket-aggregator/archive";
export class Guide {
  #machine: Booted;
  #left = new Set(Object.keys(commands).filter((command) => "machine" in commands[command]));
  /** What braces stand for. */
  readonly given: Record<string, string> = {};

  constructor(machine: Booted) {
    this.#machine = machine;
  }

  /** What a person has: sudo, and the answer yes. */
  async prepare(): Promise<void> {
    await this.#machine.must(
      `printf '#!/bin/sh\\nexec "$@"\\n' >/usr/local/bin/sudo; chmod 755 /usr/local/bin/sudo; ` +
        `echo 'APT::Get::Assume-Yes "true"; Dpkg::Use-Pty "0";' >/etc/apt/apt.conf.d/90yes`,
    );
  }

  async type(...shown: string[]): Promise<string> {
    let output = "";
    for (const command of shown) {
      const how = commands[command];
      if (!how || !("machine" in how)) throw new Error(`no guide shows it for a machine: ${command}`);
      const line = (how.machine || command).replace(
        /\{([a-z]+)\}/g,
        (_, name) => this.given[name] ?? `{${name}}`,
      );
      const { code, stdout, stderr } = await this.#machine.run(
        `cd ${folder}; export DEBIAN_FRONTEND=noninteractive; sudo ${line}`,
      );
      assertEquals(code, 0, `${line}\n${stdout}\n${stderr}`);
      this.#left.delete(command);
      output += stdout;
    }
    return output;
  }

  /** What is shown and was not typed. */
  get left(): string[] {
    return [...this.#left];
  }
}

/** An archive with one day in a folder of ours. */
export async function makeArchive(state: string): Promise<void> {
  const store = storeIn(state);
  await store.start();
  await store.prepareDays(t0 * 1e3);
  await store.ingest({ ...nothing(), ...flowsOf([flowWrite(0), flowWrite(60)]) });
  await store.stop();
  const args = ["db", "archive", "2026-01-15", "--archive", `${state}/archive`, "--state", state];
  const { code, stderr } = await runProgram(args);
  assertEquals(code, 0, stderr);
}

/** All that an operator does between the installation and the upgrade. The sensor of the package runs. */
export async function operate(site: Site, guide: Guide): Promise<void> {
  await letIn(site, guide);
  await investigate(site, guide);
  await watch(site, guide);
  await keep(site, guide);
  await configure(site, guide);
  const gone = await guide.type("picket-aggregator sensor revoke roof");
  assertStringIncludes(gone, "revoked");
}

async function letIn({ machine }: Site, guide: Guide): Promise<void> {
  await guide.type("picket-aggregator token create --site office --tags roof --ttl 1d");
  const said = await guide.type("picket-aggregator token create --uses 300 --ttl 7d --approve");
  guide.given.token = said.split("\n")[0];
  await guide.type("picket-sensor enrol --aggregator URL --token TOKEN");
  assertMatch(await guide.type("picket-aggregator sensor list"), /roof.*pending/);
  await guide.type("picket-aggregator sensor approve roof");
  await guide.type("picket-aggregator key create --name grafana --role viewer --expires 365d");
  assertStringIncludes(await guide.type("picket-aggregator key list"), "grafana");
  await machine.must(
    "picket-aggregator key create --name assistant --role viewer >~/viewer.key 2>/dev/null",
  );
}

async function investigate(site: Site, guide: Guide): Promise<void> {
  const { machine } = site;
  await machine.must(`picket-sensor replay ${guide.given.capture} --ship --no-facts --state ~/roof`);
  const idIn = async (list: string, name: string) => {
    const found = await machine.until(
      `picket-aggregator ${list} --json`,
      new RegExp(`"${name}": ?"[0-9a-f]+"`),
      20,
    );
    return new RegExp(`"${name}": ?"([0-9a-f]{16})"`).exec(found)![1];
  };
  await site.send();
  guide.given.flow = await idIn("flows --filter 'dst_port = 67'", "flow_id");
  guide.given.threat = await idIn("threats", "id");
  assertStringIncludes(await guide.type("picket-sensor replay FILE... --flows"), "192.168");
  await guide.type("picket-aggregator analyze FILE...", "picket-aggregator flows --filter");
  await guide.type("picket-aggregator packets 00112233aabbccdd -o evidence.pcapng");
  await guide.type("picket-aggregator packets ID -o FILE");
  await machine.must(`test -s ${folder}/evidence.pcapng`);
  await guide.type("picket-aggregator triage preview ID", "picket-aggregator mcp --key-file viewer.key");
  await guide.type(
    "suppress preview",
    "picket-aggregator suppress add --source 10.0.0.5 --detector host_sweep --reason 'our scanner' --expires 90d",
    "picket-aggregator export flows --output FILE",
  );
  assertMatch(await machine.must("head -1 ~/flows.csv"), /flow_id/);
}

async function watch({ machine }: Site, guide: Guide): Promise<void> {
  const services = await guide.type("systemctl status picket-sensor picket-aggregator");
  assertEquals(services.match(/active \(running\)/g)?.length, 2, services);
  // The walls of the unit let the service see an address that the machine got meanwhile.
  await machine.must("ip address add 10.9.9.2/24 dev near");
  await guide.type("systemctl reload picket-aggregator");
  await machine.until("picket-aggregator sensor list --url https://10.9.9.2:8600", /pi/, 20);
  await guide.type("journalctl -u picket-sensor -p warning");
  assertStringIncludes(await guide.type("picket-sensor status"), "walls");
  await guide.type("picket-sensor doctor");
  assertStringIncludes(await guide.type("picket-sensor canary"), "found at the centre");
  assertStringIncludes(await guide.type("picket-aggregator sensor canary NAME"), "canary of pi: arrived");
  assertStringIncludes(await guide.type("picket-aggregator sensors"), "healthy");
  const listens = await guide.type(
    "picket-aggregator serve --public-url https://picket.example/watch/ --trusted-proxies 127.0.0.1",
  );
  assertStringIncludes(listens, "listening");
  await machine.must("rm -r ~/proxied");
}

async function keep({ machine }: Site, guide: Guide): Promise<void> {
  await machine.must(`cp -r ${folder}/archive ${archive}`);
  await guide.type(`picket-aggregator db verify --archive ${archive}`);
  assertStringIncludes(await guide.type(`picket-aggregator db import ${archive} 2026-01-15`), "2 ");
  await guide.type("picket-aggregator db size", "picket-aggregator db backup /srv/picket-backup.db");
  await guide.type("systemctl stop picket-aggregator");
  await guide.type("picket-aggregator db restore /srv/picket-backup.db --force");
  await guide.type("systemctl start picket-aggregator");
  await machine.must("rm /srv/picket-backup.db");
}

async function configure(site: Site, guide: Guide): Promise<void> {
  await guide.type("picket-aggregator sensor tag roof canary");
  await guide.type(
    'picket-aggregator policy set office filter="not port 9100" snaplen=256 noise=mdns,ssdp --to tag=canary',
    "picket-aggregator policy set NAME filter=.. snaplen=.. --to tag=canary",
  );
  assertStringIncludes(await guide.type("picket-aggregator policy show office"), "snaplen");
  await guide.type("picket-aggregator policy set office --to all");
  await site.fleetShows(/"policy":\{"name":"office","wanted":[0-9]+,"actual":[1-9]/);
  // It cuts the packets that the test sends.
  await site.machine.must("picket-aggregator policy remove office; picket-aggregator policy remove trial");
  await site.fleetShows(/"policy":\{"name":null/);
}
