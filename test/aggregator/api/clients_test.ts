/** The API as others see it by its own description: a fuzzer that tries to catch it lying,
 * and clients generated in two languages.
 *
 * Method: schemathesis and openapi-python-client run in a Python environment of their own, made once in
 * `.cache/api_clients`; openapi-typescript and openapi-fetch run from Deno's cache of npm,
 * outside the project's dependencies. @module */

import { assert, assertEquals, assertMatch } from "@std/assert";
import { RateLimit } from "../../../aggregator/api/rate_limit.ts";
import { type HostileWorld, startHostileWorld } from "../dashboard/hostile.ts";
import { skipLoudly } from "../../services/services.ts";

const environment = new URL("../../../.cache/api_clients", import.meta.url).pathname;
const python = `${environment}/bin/python`;
const pythonPackages = ["schemathesis==4.32.5", "openapi-python-client==0.29.1"];
const typescript = "npm:openapi-typescript@7.13.0";
const textOf = (bytes: Uint8Array) => new TextDecoder().decode(bytes);

async function run(command: string, args: string[], cwd?: string): Promise<string> {
  const { success, stdout, stderr } = await new Deno.Command(command, {
    args,
    stdin: "null",
    stdout: "piped",
    stderr: "piped",
    env: { NO_COLOR: "1" },
    signal: AbortSignal.timeout(180_000),
    ...cwd === undefined ? {} : { cwd },
  }).output();
  if (success) return textOf(stdout);
  throw new Error(`${command.split("/").at(-1)}: ${(textOf(stdout) + textOf(stderr)).slice(-6_000)}`);
}

/** Why Python's side cannot run; undefined when it can. */
async function preparePython(): Promise<string | undefined> {
  try {
    if (await Deno.stat(python).then(() => false, () => true)) {
      await run("python3", ["-m", "venv", environment]);
    }
    await run(python, ["-c", "import schemathesis, openapi_python_client"]).catch(() =>
      run(python, ["-m", "pip", "--quiet", "install", ...pythonPackages])
    );
    return undefined;
  } catch (error) {
    return `schemathesis and openapi-python-client are not there: ${(error as Error).message.slice(-300)}`;
  }
}

async function prepareTypescript(): Promise<string | undefined> {
  try {
    await run(Deno.execPath(), ["cache", "--no-config", "--no-lock", typescript, "npm:openapi-fetch@0.17.0"]);
    return undefined;
  } catch (error) {
    return `openapi-typescript and openapi-fetch are not there: ${(error as Error).message.slice(-300)}`;
  }
}

const [noPython, noTypescript] = await Promise.all([preparePython(), prepareTypescript()]);

/** A world whose clients may guess keys as they like, and a folder with the API's description of itself. */
async function withWorld(work: (world: HostileWorld, folder: string) => Promise<void>): Promise<void> {
  const world = await startHostileWorld();
  Object.assign(world.fixture.services, { guessRate: new RateLimit({ burst: 1e6, refillMs: 1 }) });
  const folder = await Deno.makeTempDir({ prefix: "picket-clients-" });
  try {
    const { text } = await world.fixture.ask("GET", "/openapi.json", { role: "viewer" });
    await Deno.writeTextFile(`${folder}/openapi.json`, text);
    await work(world, folder);
  } finally {
    await world.stop();
    await Deno.remove(folder, { recursive: true });
  }
}

/** What a rule cannot say in a schema: a text that is no filter is refused although it is a text. */
const fuzzerSettings = `
[checks]
positive_data_acceptance.enabled = false
negative_data_rejection.expected-statuses = ["400", "401", "403", "404", "405", "409", "413", "422"]
`;

Deno.test({
  name: "a schema fuzzer finds no answer that is not described, and no server error",
  ...noPython === undefined ? {} : skipLoudly("the schema fuzzer", noPython),
  fn: () =>
    withWorld(async ({ url, fixture }, folder) => {
      await Deno.writeTextFile(`${folder}/schemathesis.toml`, fuzzerSettings);
      const bounds = ["--phases", "examples,coverage,fuzzing", "--max-examples", "4", "--seed", "1"];
      const printed = await run(python, [
        // Named as a file: its first line has the path of the environment that made it, which a moved one has not.
        `${environment}/bin/schemathesis`,
        "run",
        `${url}/openapi.json`,
        ...["--header", `Authorization: Bearer ${fixture.keys.admin}`],
        // An answer without an end, a body it cannot make, and the branch that the fuzzer would saw off under itself.
        ...["/api/v1/live", "/api/v1/packets", "/api/v1/keys/{id}/revoke"].flatMap((path) => [
          "--exclude-path",
          path,
        ]),
        ...bounds,
      ], folder);
      assertMatch(printed, /([0-9]{3,}) generated, \1 passed/);
      assert(!printed.includes("operations returned only 401"), `it lost its key:\n${printed}`);
    }),
});

const typescriptUse = `
import createClient from "npm:openapi-fetch@0.17.0";
import type { components, paths } from "./api.d.ts";

const [baseUrl, key] = Deno.args;
const client = createClient<paths>({ baseUrl, headers: { authorization: "Bearer " + key } });
const query = { filter: "protocol = tcp and bytes > 1KB", from: "0", sort: "start", limit: 2 } as const;
const flows = await client.GET("/api/v1/flows", { params: { query } });
const rows: components["schemas"]["Flow"][] = flows.data!.rows;
const times: string[] = rows.map((row) => row.start_at);
const { data: threats } = await client.GET("/api/v1/threats", { params: { query: { severity_min: "high" } } });
const id: string = threats!.rows[0].id;
const { data: all } = await client.GET("/api/v1/threats/{id}/flows", { params: { path: { id } } });
const closed = await client.POST("/api/v1/threats/{id}/status", { params: { path: { id } }, body: { status: "closed" } });
const wrong = await client.GET("/api/v1/flows", { params: { query: { filter: "colour = red" } } });
const code: components["schemas"]["Problem"]["code"] = wrong.error!.code;
// @ts-expect-error There is no such path.
await client.GET("/api/v1/nothing");
// @ts-expect-error There is no such severity.
await client.GET("/api/v1/threats", { params: { query: { severity_min: "worst" } } });
console.log(JSON.stringify([rows.length, times[0] < times[1], all!.flows, closed.data!.status, code, wrong.error!.field]));
`;

Deno.test({
  name: "a TypeScript client generated from the description compiles, and reads, writes and sees errors",
  ...noTypescript === undefined ? {} : skipLoudly("the generated TypeScript client", noTypescript),
  fn: () =>
    withWorld(async ({ url, fixture }, folder) => {
      const deno = (...args: string[]) => run(Deno.execPath(), args, folder);
      await Deno.writeTextFile(`${folder}/deno.json`, '{ "nodeModulesDir": "none", "lock": false }');
      await Deno.writeTextFile(`${folder}/use.ts`, typescriptUse);
      await deno("run", "-A", "--quiet", typescript, "openapi.json", "-o", "api.d.ts");
      await deno("check", "--quiet", "use.ts");
      const printed = await deno("run", "-A", "--quiet", "--no-check", "use.ts", url, fixture.keys.analyst);
      assertEquals(JSON.parse(printed), [2, true, 240, "closed", "bad_parameter", "filter"]);
    }),
});

const pythonUse = `
import json, sys
sys.path.insert(0, sys.argv[1])
from picket import AuthenticatedClient
from picket.api.flows import get_flows
from picket.api.threats import get_threats, get_threats_id_flows, post_threats_id_status
from picket.models import GetFlowsSort, PostThreatsIdStatusBody, PostThreatsIdStatusBodyStatus, Problem

client = AuthenticatedClient(base_url=sys.argv[2], token=sys.argv[3])
flows = get_flows.sync(client=client, filter_="protocol = tcp and bytes > 1KB", from_="0", sort=GetFlowsSort("start"), limit=2)
threat = get_threats.sync(client=client, filter_="severity >= high").rows[0]
every = get_threats_id_flows.sync(client=client, id=threat.id)
body = PostThreatsIdStatusBody(status=PostThreatsIdStatusBodyStatus.CLOSED)
closed = post_threats_id_status.sync(client=client, id=threat.id, body=body)
wrong = get_flows.sync(client=client, filter_="colour = red")
assert isinstance(wrong, Problem)
rising = flows.rows[0].start_at < flows.rows[1].start_at
print(json.dumps([len(flows.rows), rising, every.flows, closed.status.value, wrong.code.value, wrong.field]))
`;

Deno.test({
  name: "a Python client generated from the description reads, writes and sees errors",
  ...noPython === undefined ? {} : skipLoudly("the generated Python client", noPython),
  fn: () =>
    withWorld(async ({ url, fixture }, folder) => {
      const generate = ["generate", "--path", "openapi.json", "--output-path", "picket", "--meta", "none"];
      await run(python, [`${environment}/bin/openapi-python-client`, ...generate], folder);
      await Deno.writeTextFile(`${folder}/use.py`, pythonUse);
      const printed = await run(
        python,
        ["use.py", folder, url, fixture.keys.analyst],
        folder,
      );
      assertEquals(JSON.parse(printed), [2, true, 240, "closed", "bad_parameter", "filter"]);
    }),
});
