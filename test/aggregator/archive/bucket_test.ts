/** Archived days in a bucket: they get there whole, come back as they were, and nothing is left here.
 *
 * The bucket is on a real S3-compatible server that checks signatures; boto3 reads what is in it. @module */

import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import { Bucket, readBucket } from "../../../aggregator/archive/bucket.ts";
import { giveBack } from "../../../aggregator/archive/give_back.ts";
import { keepDay } from "../../../aggregator/archive/keep.ts";
import { ArchivePlace, readPlace } from "../../../aggregator/archive/place.ts";
import { dbCommand } from "../../../aggregator/commands/db_command.ts";
import { openStore } from "../../../aggregator/store/open.ts";
import type { Store } from "../../../aggregator/store/store.ts";
import { createReporter } from "../../../shared/reporter.ts";
import { type S3, s3Missing, startS3 } from "../../services/s3.ts";
import { skipLoudly } from "../../services/services.ts";
import { runInside } from "../commands/harness.ts";
import { flowsOf, flowWrite, nothing, nowMs } from "../store/rows.ts";
import { allFlows, date, day, fill } from "./stores.ts";

const why = await s3Missing();
const { ignore } = why ? skipLoudly("tests with an S3-compatible server", why) : { ignore: false };
const settings: Record<string, string> = {
  AWS_ACCESS_KEY_ID: "id",
  AWS_SECRET_ACCESS_KEY: "secret",
};
const envOf = (given: Record<string, string>) => (name: string) => given[name];

interface World {
  s3: S3;
  store: Store;
  folder: string;
  names(): string[];
}

async function withWorld(work: (world: World) => Promise<void>): Promise<void> {
  const s3 = await startS3();
  const folder = await Deno.makeTempDir({ prefix: "picket-bucket-" });
  const store = openStore("sqlite::memory:", {
    reporter: createReporter({ component: "test", write: () => {} }),
  });
  await store.start();
  try {
    const names = () => {
      try {
        return [...Deno.readDirSync(`${folder}/archive`)].map(({ name }) => name).sort();
      } catch {
        return [];
      }
    };
    await work({ s3, store, folder, names });
  } finally {
    await store.stop();
    await s3.stop();
    await Deno.remove(folder, { recursive: true });
  }
}

Deno.test("a bucket's address, its server and its keys are checked, and each error names what is wrong", () => {
  const read = (where: string, more: Record<string, string> = {}) =>
    readBucket(where, envOf({ ...settings, ...more }));
  const { endpoint, region, bucket, prefix } = read("s3://picket-archive/fleet/one");
  assertEquals(
    [endpoint, region, bucket, prefix],
    ["https://s3.us-east-1.amazonaws.com", "us-east-1", "picket-archive", "fleet/one/"],
  );
  assertEquals(read("s3://picket-archive").prefix, "");
  assertEquals(
    read("s3://abc", { AWS_ENDPOINT_URL: "https://minio.example:9000/" }).endpoint,
    "https://minio.example:9000",
  );
  for (const where of ["s3://", "s3://A/b", "s3://abc/../d", "s3://abc//d", "s3://abc/d?e", "s3://abc/d e"]) {
    assertThrows(() => read(where), RangeError, "s3://BUCKET/PREFIX");
  }
  for (const url of ["http://minio.example", "ftp://minio.example", "minio", "https://a:b@minio.example"]) {
    const error = assertThrows(
      () => read("s3://abc", { AWS_ENDPOINT_URL: url }),
      RangeError,
      "AWS_ENDPOINT_URL",
    );
    assert(!error.message.includes("a:b"), error.message);
  }
  assertThrows(
    () => readBucket("s3://abc", envOf({ AWS_ACCESS_KEY_ID: "id" })),
    RangeError,
    "AWS_SECRET_ACCESS_KEY must be set",
  );
});

Deno.test({
  name:
    "a day goes to a bucket and comes back as it was; what comes later is a further part, from another machine too",
  ignore,
  fn: () =>
    withWorld(async ({ s3, store, folder, names }) => {
      const place = readPlace("s3://archive/fleet", folder, envOf(s3.env));
      const keep = async (isFinal: boolean, at = place) => {
        const stored = (await store.readDays()).find((one) => one.day === day)!;
        return await keepDay(store, { ...at, day: stored, isFinal });
      };
      await fill(store);
      const before = await allFlows(store);
      assertEquals((await keep(false)).wasThere, false);
      assertEquals(names(), [".lock"]);
      const { manifest, wasThere } = await keep(true);
      assertEquals([wasThere, manifest.rows, manifest.is_final], [true, 40, true]);
      const listed = await s3.ask(
        `print([o["Key"] for o in s3.list_objects_v2(Bucket="archive")["Contents"]])
import hashlib
o = s3.get_object(Bucket="archive", Key="fleet/flows-${date}.parquet")
print(hashlib.sha256(o["Body"].read()).hexdigest(), o["Metadata"]["sha256"])
print(json.loads(s3.get_object(Bucket="archive", Key="fleet/flows-${date}.json")["Body"].read())["is_final"])`,
      );
      assertEquals(listed.split("\n"), [
        `['fleet/flows-${date}.json', 'fleet/flows-${date}.parquet']`,
        `${manifest.sha256} ${manifest.sha256}`,
        "True",
      ]);

      await store.dropDay(day, "flows");
      const late = flowWrite(100, { stored_ms: nowMs + 1, updated_ms: nowMs + 1 });
      await store.ingest({ ...nothing(), ...flowsOf([late]) });
      const elsewhere = readPlace("s3://archive/fleet", `${folder}/other`, envOf(s3.env));
      const second = await keep(true, elsewhere);
      assertEquals([second.manifest.part, second.manifest.rows], [2, 1]);
      await store.dropDay(day, "flows");

      const archive = new ArchivePlace(place);
      const { manifests, problems } = await archive.manifests();
      assertEquals([manifests.map(({ part }) => part), problems], [[1, 2], []]);
      const restored: number[] = [];
      for (const one of manifests) {
        const done = await archive.withFile(one, (at) => giveBack(store, at, one, { nowMs: nowMs + 2 }));
        restored.push(done.inserted);
      }
      assertEquals(restored, [40, 1]);
      assertEquals(names(), [".lock"]);
      const ids = new Set((await allFlows(store)).map(({ flow_id }) => flow_id));
      assertEquals([ids.size, before.every(({ flow_id }) => ids.has(flow_id))], [43, true]);
    }),
});

Deno.test({
  name: "a file larger than one piece goes in several, and one that cannot be finished leaves nothing",
  ignore,
  fn: () =>
    withWorld(async ({ s3, folder }) => {
      const bucket = new Bucket(readBucket("s3://archive/large", envOf(s3.env)));
      const octets = new Uint8Array(20_000_000);
      for (let at = 0; at < octets.length; at += 65_536) {
        crypto.getRandomValues(octets.subarray(at, Math.min(at + 65_536, octets.length)));
      }
      const path = `${folder}/large`;
      await Deno.writeFile(path, octets);
      await bucket.putFile("a.parquet", path, "f".repeat(64));
      assertEquals(await bucket.look("a.parquet"), { octets: 20_000_000, sha256: "f".repeat(64) });
      await bucket.fetch("a.parquet", 20_000_000, `${path}.back`);
      const back = await Deno.readFile(`${path}.back`);
      assert(back.length === octets.length && back.every((octet, index) => octet === octets[index]));

      // The file is cut off while it is sent.
      const stat = Deno.FsFile.prototype.stat;
      Deno.FsFile.prototype.stat = async function () {
        return { ...await stat.call(this), size: 50_000_000 };
      };
      try {
        await assertRejects(() => bucket.putFile("b.parquet", path, "f".repeat(64)), Error, "fewer octets");
      } finally {
        Deno.FsFile.prototype.stat = stat;
      }
      const left = await s3.ask(
        `print(s3.list_multipart_uploads(Bucket="archive").get("Uploads", []), s3.list_objects_v2(Bucket="archive")["KeyCount"])`,
      );
      assertEquals(left, "[] 1");
    }),
});

Deno.test({
  name:
    "a wrong key, a bucket that is not there and a server that does not answer are said, and no secret with them",
  ignore,
  fn: () =>
    withWorld(async ({ s3, folder, store }) => {
      await fill(store);
      const stored = (await store.readDays()).find((one) => one.day === day)!;
      const refused = async (env: Record<string, string>, where: string, words: string) => {
        const place = readPlace(where, folder, envOf({ ...s3.env, ...env }));
        const error = await assertRejects(
          () => keepDay(store, { ...place, day: stored, isFinal: true }),
          Error,
        );
        assert(error.message.includes(words), error.message);
        assert(!error.message.includes(s3.env.AWS_SECRET_ACCESS_KEY), error.message);
      };
      await refused({ AWS_SECRET_ACCESS_KEY: "wrong" }, "s3://archive/x", "403 SignatureDoesNotMatch");
      await refused({}, "s3://elsewhere/x", "GET s3://elsewhere");
      await refused(
        { AWS_ENDPOINT_URL: "http://127.0.0.1:1" },
        "s3://archive/x",
        "Cannot reach http://127.0.0.1:1",
      );
    }),
});

Deno.test({
  name: "db export, verify and import take the address of a bucket, and find what was changed in it",
  ignore,
  fn: () =>
    withWorld(async ({ s3, folder }) => {
      const url = `sqlite:${folder}/picket.db`;
      const store = openStore(url, { reporter: createReporter({ component: "test", write: () => {} }) });
      await store.start();
      await fill(store);
      await store.stop();
      const db = async (...args: string[]) => {
        const given = ["--state", folder, "--store", url, "--json"];
        const { code, stdout, stderr } = await runInside([dbCommand], ["db", ...args, ...given], {
          env: s3.env,
        });
        return { code, stderr, json: stdout === "" ? null : JSON.parse(stdout) };
      };
      const where = "s3://archive/copy";
      assertEquals((await db("export", where)).json.days.map(({ rows }: { rows: number }) => rows), [
        1,
        40,
        1,
      ]);
      const { code, json: { files, problems } } = await db("verify", "--archive", where);
      assertEquals([code, files, problems], [0, 3, []]);
      assertEquals((await db("import", where, date)).json.files[0].was_there, true);
      await s3.ask(`key = "copy/flows-${date}.parquet"
old = s3.get_object(Bucket="archive", Key=key)
body = bytearray(old["Body"].read())
body[2000] ^= 1
s3.put_object(Bucket="archive", Key=key, Body=bytes(body), Metadata=old["Metadata"])`);
      const changed = await db("verify", "--archive", where);
      assert(changed.code === 1 && changed.json.problems[0].includes("SHA-256"), `${changed.json?.problems}`);
      const refused = await db("verify", "--archive", "s3://Archive");
      assert(refused.code === 2 && refused.stderr.includes("s3://BUCKET/PREFIX"), refused.stderr);
    }),
});
