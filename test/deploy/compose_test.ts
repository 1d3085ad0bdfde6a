/** The compose file: it parses, asks for its passwords, keeps its ports on loopback, and names files that exist.
 *
 * Why: Docker's own check needs Docker; these are the mistakes that can be seen without it. @module */

import { assert, assertEquals, assertMatch } from "@std/assert";
import { skipLoudly } from "../services/services.ts";

interface ComposeService {
  image?: string;
  build?: { context: string; dockerfile: string };
  environment?: Record<string, string>;
  ports?: string[];
  depends_on?: Record<string, unknown>;
  volumes?: string[];
}
interface Compose {
  services: Record<string, ComposeService>;
  volumes: Record<string, unknown>;
}

const root = new URL("../../", import.meta.url).pathname;
const python = await pythonWithYaml();
const missing = python
  ? { ignore: false }
  : skipLoudly("check of the compose file", "python3 has no yaml module (apt: python3-yaml)");

Deno.test({
  name: "compose file has the broker, the database, a broker page and the aggregator",
  ignore: missing.ignore,
  fn: async () => {
    const { services, volumes } = await readCompose();
    assertEquals(Object.keys(services).sort(), ["aggregator", "kafka", "kafka-ui", "mariadb"]);
    assertEquals(services.kafka?.image, "apache/kafka:4.3.1");
    assertMatch(services.mariadb?.image ?? "", /^mariadb:11/);
    for (const [name, service] of Object.entries(services)) {
      for (const needed of Object.keys(service.depends_on ?? {})) {
        assert(services[needed], `${name} needs ${needed}`);
      }
      for (const volume of service.volumes ?? []) assert(volume.split(":")[0]! in volumes, volume);
    }
  },
});

Deno.test({
  name: "compose file publishes ports on loopback only",
  ignore: missing.ignore,
  fn: async () => {
    const { services } = await readCompose();
    const ports = Object.values(services).flatMap((service) => service.ports ?? []);
    assertEquals(ports.length, 4);
    for (const port of ports) assertMatch(port, /^127\.0\.0\.1:\d+:\d+$/);
  },
});

Deno.test({
  name: "compose file takes every password from the environment and refuses to start without",
  ignore: missing.ignore,
  fn: async () => {
    const { services } = await readCompose();
    const secrets = Object.values(services).flatMap((service) => Object.entries(service.environment ?? {}))
      .filter(([name]) => name.includes("PASSWORD"));
    assertEquals(secrets.length, 4);
    for (const [name, value] of secrets) assertMatch(value, /^\$\{[A-Z_]+:\?[^}]+\}$/, name);
  },
});

Deno.test({
  name: "compose file builds the aggregator from files that exist",
  ignore: missing.ignore,
  fn: async () => {
    const { context, dockerfile } = (await readCompose()).services.aggregator!.build!;
    const folder = new URL(`${context}/`, `file://${root}deploy/`).pathname;
    assertEquals(folder, root);
    for (const [, source] of (await Deno.readTextFile(folder + dockerfile)).matchAll(/^COPY (\S+)/gm)) {
      await Deno.stat(folder + source);
    }
  },
});

async function readCompose(): Promise<Compose> {
  const { success, stdout, stderr } = await new Deno.Command(python!, {
    args: [
      "-c",
      "import json, sys, yaml; json.dump(yaml.safe_load(open(sys.argv[1])), sys.stdout)",
      `${root}deploy/compose.yml`,
    ],
    stdin: "null",
    stdout: "piped",
    stderr: "piped",
  }).output();
  assert(success, new TextDecoder().decode(stderr));
  return JSON.parse(new TextDecoder().decode(stdout));
}

async function pythonWithYaml(): Promise<string | undefined> {
  for (const program of ["python3", "/usr/bin/python3"]) {
    const works = await new Deno.Command(program, {
      args: ["-c", "import yaml"],
      stdout: "null",
      stderr: "null",
    })
      .output().then((done) => done.success, () => false);
    if (works) return program;
  }
  return undefined;
}
