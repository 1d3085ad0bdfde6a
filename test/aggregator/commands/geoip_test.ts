/** `serve --geoip` and `--networks` as the real program: addresses have places and names, and SIGHUP reads the files
 * again. @module */

import { assertEquals, assertStringIncludes } from "@std/assert";
import { TextLineStream } from "@std/streams/text-line-stream";
import { systemClock } from "../../../shared/clock.ts";
import { sampleFlow, sampleWrite } from "../api/samples.ts";
import { firstLine } from "./harness.ts";
import { spawnProgram, storeIn, withFolder } from "./harness.ts";

/** Published test databases; beside the checkout, not in it. */
const samples = new URL("../../../../shared/data/schemas/mmdb/", import.meta.url).pathname;
const ignore = !await Deno.stat(samples).then(() => true, () => false);

Deno.test(
  "serve tells places by its files, keeps them when one breaks, and takes a new one",
  { ignore },
  () =>
    withFolder(async (folder) => {
      const store = storeIn(folder);
      await store.start();
      await store.ingest(sampleWrite([sampleFlow(0, { dst_ip: "81.2.69.142" })]));
      await store.stop();
      const file = `${folder}/places.mmdb`;
      await Deno.copyFile(`${samples}GeoLite2-Country-Test.mmdb`, file);
      const options = ["--state", folder, "--listen", "127.0.0.1:0", "--geoip", file];
      const child = spawnProgram(["serve", ...options, "--geoip", `${samples}GeoLite2-ASN-Test.mmdb`]);
      const errors = new Response(child.stderr).text();
      const lines = child.stdout.pipeThrough(new TextDecoderStream()).pipeThrough(new TextLineStream());
      const reader = lines.getReader();
      const ready = JSON.parse((await reader.read()).value!);
      const key = (await Deno.readTextFile(ready.key_file)).trim();
      const ask = async (path: string) =>
        await (await fetch(`${ready.listening}${path}`, { headers: { authorization: `Bearer ${key}` } }))
          .text();
      const country = async () => JSON.parse(await ask("/api/v1/hosts/81.2.69.142")).place?.country;
      const reload = async (expected: string | undefined) => {
        child.kill("SIGHUP");
        for (let i = 0; i < 100; i++) {
          const isCounted = (await ask("/metrics")).includes(`picket_geo_files_refused_total 1\n`);
          if (isCounted && await country() === expected) return;
          await systemClock.sleep(100);
        }
        throw new Error(`not read again: ${await country()}, ${await ask("/metrics")}`);
      };
      assertEquals(await country(), "GB");
      const filter = encodeURIComponent("country = GB and inside = no");
      assertEquals(JSON.parse(await ask(`/api/v1/hosts?filter=${filter}`)).rows.length, 1);
      await Deno.writeTextFile(file, "broken");
      await reload("GB");
      await Deno.copyFile(`${samples}GeoLite2-ASN-Test.mmdb`, file);
      await reload(undefined);
      child.kill("SIGTERM");
      assertEquals((await child.status).code, 0);
      await reader.cancel();
      assertStringIncludes(await errors, "cannot use a geo database");
    }),
);

Deno.test("serve calls networks by the names it is given", () =>
  withFolder(async (folder) => {
    const store = storeIn(folder);
    await store.start();
    await store.ingest(
      sampleWrite([sampleFlow(0, { dst_ip: "10.2.3.4" }), sampleFlow(1, { dst_ip: "10.3.3.4" })]),
    );
    await store.stop();
    const options = ["--state", folder, "--listen", "127.0.0.1:0", "--networks", "lab=10.3.0.0/16"];
    const child = spawnProgram(["serve", ...options, "--networks", "printers=10.2.0.0/16"]);
    const errors = new Response(child.stderr).text();
    const ready = JSON.parse(await firstLine(child));
    const headers = { authorization: `Bearer ${(await Deno.readTextFile(ready.key_file)).trim()}` };
    const filter = encodeURIComponent("dst_subnet = Printers");
    const answer = await fetch(`${ready.listening}/api/v1/flows?filter=${filter}`, { headers });
    const found = (await answer.json()).rows.map((
      row: Record<string, unknown>,
    ) => [row.dst_ip, row.dst_place]);
    assertEquals(found, [["10.2.3.4", { subnet: "printers" }]]);
    child.kill("SIGTERM");
    const { code } = await child.status;
    assertEquals(code, 0, await errors);
  }));
