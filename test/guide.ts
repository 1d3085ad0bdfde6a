/** The commands that README and operator's guide show, each with the way in which a test runs it.
 *
 * In: both texts. Out: their commands, those of blocks and those in running text; how each is run.
 * Invariant: a command without an entry fails test/readme_test.ts, and so does an entry without a command. `machine` is
 * what a booted machine runs in test/deploy/booted_packages_test.ts, with names in braces filled in there; `elsewhere`
 * is the test that runs it; `asked` says why only `--help` is asked whether command and options exist.
 * Why: a guide is typed in by somebody in trouble, who must not find out that it is wrong. @module */

export const guides = ["README.md", "deploy/README.md"] as const;
const root = new URL("../", import.meta.url).pathname;

export type How = { machine: string } | { elsewhere: string } | { asked: string };

const packages = { elsewhere: "test/deploy/booted_packages_test.ts" };
const secureKafka = { elsewhere: "test/shared/kafka_secure_test.ts" };
const upgrade = { elsewhere: "test/deploy/booted_upgrade_test.ts" };
const releases = { elsewhere: "test/aggregator/commands/upgrade_commands_test.ts" };
const checkout = { asked: "it is what the packages install, from a checkout" };
const option = { asked: "one option of a service that a machine runs with others" };
/** The machine has two sensors: the one that its package runs, and "roof", whose key lies in ~/roof. */
const enrolRoof = "picket-sensor enrol --aggregator {url} --token {token} --name roof --state ~/roof " +
  "--aggregator-ca /var/lib/picket-aggregator/tls/ca.pem";

/** By what stands in the text, without "sudo". A block of another language than sh has its first line. */
export const commands: Readonly<Record<string, How>> = {
  "./deploy/quickstart.sh": { elsewhere: "test/deploy/quickstart_test.ts" },
  "./test/run.sh": { asked: "it is what runs this test" },
  'src_ip in 10.0.0.0/8 and dst_port in (22, 3389) and bytes > 1MB and name ~ "example"': {
    elsewhere: "test/readme_test.ts",
  },
  "deno task mutants": { asked: "hours; test/mutants_test.ts holds the list together" },
  "deno task compile": { elsewhere: "test/deploy/compile_test.ts" },
  "deno task aggregator analyze FILE": checkout,
  "deno task aggregator serve": checkout,
  "deno task sensor run --interface eth0": checkout,
  "picket-sensor enrol --aggregator URL --token TOKEN": { machine: enrolRoof },
  "picket-sensor replay FILE... --flows": { machine: "picket-sensor replay {capture} --flows" },
  "picket-aggregator analyze FILE...": { machine: "picket-aggregator analyze {capture}" },
  "picket-aggregator policy set NAME filter=.. snaplen=.. --to tag=canary": {
    machine: "picket-aggregator policy set trial filter='not port 9100' snaplen=256 --to tag=canary",
  },
  "picket-aggregator suppress add --source 10.0.0.5 --detector host_sweep --reason 'our scanner' --expires 90d":
    {
      machine: "",
    },
  "suppress preview": { machine: "picket-aggregator suppress preview --source 10.0.0.5" },
  "picket-aggregator export flows --output FILE": {
    machine: "picket-aggregator export flows --output ~/flows.csv",
  },
  "picket-aggregator db size": { machine: "" },
  "picket-aggregator triage preview ID": { machine: "picket-aggregator triage preview {threat}" },
  "picket-aggregator packets ID -o FILE": {
    machine: "picket-aggregator packets {flow} -o ~/flow.pcapng",
  },
  "picket-aggregator mcp --key-file viewer.key": {
    machine: "picket-aggregator mcp --key-file ~/viewer.key </dev/null",
  },
  "picket-aggregator flows --filter": { machine: "picket-aggregator flows --filter 'bytes > 1MB'" },
  "serve --public-url https://picket.example/prefix --trusted-proxies 127.0.0.1": {
    elsewhere: "test/e2e/second_machine_test.ts",
  },
  "serve --retain-days 30 --retain-gigabytes 8": option,
  "serve --archive DIR": option,
  "serve --store mariadb://user@host/picket --kafka-brokers host:9092": {
    elsewhere: "test/e2e/fleet_test.ts",
  },
  "serve --triage-provider openai --triage-base-url http://127.0.0.1:11434/v1 --triage-model NAME": option,
  "serve --intelligence DIR": option,
  "serve --geoip FILE": { elsewhere: "test/aggregator/commands/geoip_test.ts" },
  'serve --networks "printers=10.2.0.0/16"': { elsewhere: "test/aggregator/commands/geoip_test.ts" },
  "serve --suricata /var/log/suricata/eve.json": { elsewhere: "test/aggregator/commands/serve_test.ts" },
  "serve --publish flows,threats": { elsewhere: "test/e2e/publish_test.ts" },
  "serve --sinks FILE": { elsewhere: "test/aggregator/commands/sink_command_test.ts" },
  "apt install ./picket-aggregator_*_amd64.deb": {
    machine: "apt install ./first/picket-aggregator_*_amd64.deb",
  },
  "picket-aggregator setup": { machine: "" },
  // Two blocks show it: the first sensor, and its upgrade.
  "apt install ./picket-sensor_*_arm64.deb": { machine: "apt install ./{folder}/picket-sensor_*_amd64.deb" },
  // The runtime with which tests compile, an older one, cannot ask for an authority that it does not trust yet.
  "picket-sensor enrol 'picket://HOST:8600/TOKEN#FINGERPRINT'": {
    elsewhere: "test/e2e/second_machine_test.ts",
  },
  "systemctl start picket-sensor": { machine: "" },
  "./install.sh aggregator": packages,
  "./install.sh sensor": packages,
  "./install.sh sensor --uninstall": packages,
  "picket-aggregator token create --site office --tags roof --ttl 1d": { machine: "" },
  "picket-aggregator token create --uses 300 --ttl 7d --approve": { machine: "" },
  "picket-aggregator sensor list": { machine: "" },
  "picket-aggregator sensor approve roof": { machine: "" },
  "picket-aggregator sensor revoke roof": { machine: "" },
  "picket-aggregator key create --name grafana --role viewer --expires 365d": { machine: "" },
  "picket-aggregator key list": { machine: "" },
  "picket-aggregator sensor tag roof canary": { machine: "" },
  'picket-aggregator policy set office filter="not port 9100" snaplen=256 noise=mdns,ssdp --to tag=canary': {
    machine: "",
  },
  "picket-aggregator policy show office": { machine: "" },
  "picket-aggregator policy set office --to all": { machine: "" },
  "picket-aggregator release keygen --key picket-release.key": releases,
  "picket-aggregator release trust picket-release.key.pub": upgrade,
  "picket-aggregator release sign picket-sensor-aarch64-unknown-linux-gnu --key picket-release.key --as 1.1.0":
    releases,
  "picket-aggregator release add picket-sensor-aarch64-unknown-linux-gnu": upgrade,
  "picket-aggregator upgrade start 1.1.0 --canary tag=canary --canary-time 12h --step 25 --step-time 4h":
    releases,
  "picket-aggregator upgrade status": upgrade,
  "picket-aggregator upgrade resume": releases,
  "picket-sensor release-key picket-release.key.pub": {
    elsewhere: "test/sensor/commands/release_key_test.ts",
  },
  "serve --upgrade-mib-per-s": option,
  "kafka-acls.sh --add --allow-principal User:roof --operation Write --topic picket.batches.v1": secureKafka,
  "kafka-acls.sh --add --allow-principal User:centre --operation Read --operation Describe --topic picket.batches.v1":
    secureKafka,
  "kafka-acls.sh --add --allow-principal User:centre --operation Read --group picket-aggregator.picket.batches.v1":
    secureKafka,
  "picket-aggregator serve --public-url https://picket.example/watch/ --trusted-proxies 127.0.0.1": {
    machine:
      "mkdir ~/proxied; timeout 5 picket-aggregator serve --public-url https://picket.example/watch/ " +
      "--trusted-proxies 127.0.0.1 --state ~/proxied --listen 127.0.0.1:0 | grep listening",
  },
  "location /watch/ {": { elsewhere: "test/e2e/second_machine_test.ts" },
  "systemctl status picket-sensor picket-aggregator": { machine: "" },
  "systemctl reload picket-aggregator": { machine: "" },
  "journalctl -u picket-sensor -p warning": { machine: "" },
  "picket-sensor status": { machine: "" },
  "picket-sensor canary": { machine: "" },
  "picket-aggregator sensor canary NAME": { machine: "picket-aggregator sensor canary pi" },
  "picket-sensor doctor": { machine: "" },
  "picket-aggregator sensors": { machine: "" },
  "picket-aggregator db verify --archive /var/lib/picket-aggregator/archive": { machine: "" },
  "picket-aggregator db import /var/lib/picket-aggregator/archive 2026-01-15": { machine: "" },
  "picket-aggregator db backup /srv/picket-backup.db": { machine: "" },
  "systemctl stop picket-aggregator": { machine: "" },
  "picket-aggregator db restore /srv/picket-backup.db --force": { machine: "" },
  "systemctl start picket-aggregator": { machine: "" },
  "picket-aggregator packets 00112233aabbccdd -o evidence.pcapng": {
    machine: "picket-aggregator packets {flow} -o evidence.pcapng",
  },
  "apt install --allow-downgrades ./picket-sensor_*_arm64.deb": {
    machine: "apt install --allow-downgrades ./first/picket-sensor_*_amd64.deb",
  },
  "apt remove picket-sensor": { machine: "" },
  "apt purge picket-sensor": { machine: "" },
  "./deploy/compile.sh --target aarch64-unknown-linux-gnu": { elsewhere: "test/deploy/compile_test.ts" },
  "./deploy/package.sh --arch arm64": packages,
  "./deploy/release.sh --twice": { elsewhere: "test/deploy/release_test.ts" },
};

const fence = /```([a-z]*)\n([\s\S]*?)```/g;

export function blocksOf(path: string): { language: string; text: string }[] {
  return [...Deno.readTextFileSync(root + path).matchAll(fence)]
    .map(([, language, text]) => ({ language, text }));
}

/** Of all blocks, and of code in running text what has more than a program and a verb. */
export function shownCommands(): string[] {
  const blocks = guides.flatMap(blocksOf).flatMap(({ language, text }) =>
    language === "sh" ? text.trimEnd().split("\n") : [text.split("\n")[0]]
  );
  const spans = guides.flatMap((path) =>
    [...Deno.readTextFileSync(root + path).replaceAll(fence, "").matchAll(/`([^`]+)`/g)].map(([, code]) =>
      code
    )
  ).filter((code) =>
    /^(sudo )?(deno task |\.\/|picket-(sensor|aggregator) |serve |suppress |systemctl reload )/.test(code)
  );
  const plain = blocks.map(bare);
  // A command that a block or a longer text shows with its arguments is known from there.
  const more = spans.map(bare).filter((span) =>
    !plain.includes(span) && ![...plain, ...spans.map(bare)].some((line) => line.startsWith(`${span} `))
  );
  return [...new Set([...plain, ...more])];
}

export function bare(line: string): string {
  return line.replace(/^sudo /, "");
}
