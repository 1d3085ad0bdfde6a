/** The folder of intelligence lists: read live, and never weakened by a file that came broken. @module */

import { assertEquals, assertStringIncludes } from "@std/assert";
import { FreshEntries, type FreshList } from "../../../aggregator/intel/fresh_entries.ts";
import { IntelLists } from "../../../aggregator/intel/lists.ts";
import { createReporter } from "../../../shared/reporter.ts";
import { systemClock } from "../../../shared/clock.ts";

/** Beside the checkout, not in it. */
const samples = new URL("../../../../shared/data/schemas/", import.meta.url);

interface World {
  lists: IntelLists;
  write: (name: string, text: string) => Promise<void>;
  folder: string;
  fresh: [list: string, entries: number][];
  counted: (name: string) => number;
}

async function inFolder(body: (world: World) => Promise<void>): Promise<void> {
  const folder = await Deno.makeTempDir({ prefix: "picket-intel-" });
  const reporter = createReporter({ component: "test", clock: systemClock, write: () => {} });
  const fresh: World["fresh"] = [];
  const lists = new IntelLists({ folder, pollMs: 60_000 }, {
    clock: systemClock,
    reporter,
    randomBytes: (length) => crypto.getRandomValues(new Uint8Array(length)),
  });
  lists.onFresh(({ list, table }) => void fresh.push([list, table.size]));
  let times = 1_700_000_000;
  const write = async (name: string, text: string) => {
    await Deno.writeTextFile(`${folder}/${name}`, text);
    await Deno.utime(`${folder}/${name}`, ++times, times);
  };
  const counted = (name: string) => reporter.snapshot().get(name) ?? 0;
  try {
    await body({ lists, write, folder, fresh, counted });
  } finally {
    await lists.stop();
    await Deno.remove(folder, { recursive: true });
  }
}

const ips = (count: number) =>
  Array.from({ length: count }, (_, i) => `198.51.${i >> 8}.${i & 255}`).join("\n");

Deno.test("of a list that changed only what is new in it is told, of every kind", () =>
  inFolder(async ({ lists, write, fresh }) => {
    const before = "203.0.113.7\nbad.example\n198.51.100.0/24 # old";
    await write("a.txt", before);
    await lists.refresh();
    await write("a.txt", `${before}\n203.0.113.8\nworse.example # new\n192.0.2.0/24`);
    const tables: FreshList[] = [];
    lists.onFresh((one) => void tables.push(one));
    await lists.refresh();
    await write("a.txt", "203.0.113.7\nbad.example");
    await lists.refresh();
    assertEquals([fresh.length, tables.length], [1, 1], "less is nothing new");
    const entries = new FreshEntries(tables);
    assertEquals(entries.entries, 3);
    const ip = (...bytes: number[]) => entries.findAddress(new Uint8Array(bytes))?.list;
    assertEquals([ip(203, 0, 113, 7), ip(198, 51, 100, 9)], [undefined, undefined]);
    assertEquals([ip(203, 0, 113, 8), ip(192, 0, 2, 77)], ["a.txt", "a.txt"]);
    assertEquals([entries.findDomain("bad.example"), entries.findDomain("www.worse.example")], [null, {
      list: "a.txt",
      note: "new",
    }]);
  }));

Deno.test("lists are in force together, and a changed or new one is read again", () =>
  inFolder(async ({ lists, write, fresh }) => {
    await write("a.txt", "203.0.113.7 # first");
    await write("b.csv", "domain,malware\nbad.example,Bot");
    await write("notes.md", "203.0.113.99");
    await lists.refresh();
    assertEquals(lists.findAddress(new Uint8Array([203, 0, 113, 7])), { list: "a.txt", note: "first" });
    assertEquals(lists.findDomain("www.bad.example"), { list: "b.csv", note: "Bot" });
    assertEquals(lists.findAddress(new Uint8Array([203, 0, 113, 99])), null);
    await write("a.txt", "203.0.113.8");
    await lists.refresh();
    assertEquals(lists.findAddress(new Uint8Array([203, 0, 113, 7])), null);
    assertEquals(lists.findAddress(new Uint8Array([203, 0, 113, 8])), { list: "a.txt", note: "" });
    await lists.refresh();
    assertEquals(fresh, [["a.txt", 1], ["b.csv", 1], ["a.txt", 1]]);
  }));

for (
  const [what, text, why] of [
    ["is empty", "", "no indicator"],
    ["is an error page", "<html><body>503 Service Unavailable</body></html>", "no indicator"],
    ["lost more than half", ips(49), "49 entries where the one in force has 100"],
    ["has a line without end", "x".repeat(70_000), "a line must have"],
  ]
) {
  Deno.test(`a list that ${what} is refused, and the one before stays in force`, () =>
    inFolder(async ({ lists, write, counted }) => {
      await write("feed.txt", ips(100));
      await lists.refresh();
      await write("feed.txt", text);
      await lists.refresh();
      assertEquals(lists.states.map(({ entries }) => entries), [100]);
      assertStringIncludes(lists.states[0].problem ?? "", why);
      assertEquals(lists.findAddress(new Uint8Array([198, 51, 0, 99]))?.list, "feed.txt");
      assertEquals(counted('intel_reloads_total{outcome="refused"}'), 1);
    }));
}

Deno.test("half of a list is accepted, as is any list that was taken away and put back", () =>
  inFolder(async ({ lists, write, folder }) => {
    await write("feed.txt", ips(100));
    await lists.refresh();
    await write("feed.txt", ips(50));
    await lists.refresh();
    assertEquals([lists.states[0].entries, lists.states[0].problem], [50, null]);
    await Deno.remove(`${folder}/feed.txt`);
    await lists.refresh();
    assertEquals(lists.states, []);
    await write("feed.txt", ips(3));
    await lists.refresh();
    assertEquals(lists.states[0].entries, 3);
  }));

Deno.test("JSON that ends early is refused by name; what is no plain file is passed over", () =>
  inFolder(async ({ lists, write, folder }) => {
    await write("stix.json", '{"type": "bundle", "objects": [');
    await Deno.mkdir(`${folder}/folder.txt`);
    await Deno.symlink("/dev/zero", `${folder}/endless.txt`);
    await lists.refresh();
    assertEquals(lists.states.map(({ name }) => name), ["stix.json"]);
    assertStringIncludes(lists.states[0].problem ?? "", "JSON");
  }));

Deno.test(
  "published samples of STIX and MISP are read",
  { ignore: !await samplesExist() },
  () =>
    inFolder(async ({ lists, write }) => {
      for (const [name, path] of [["apt1.json", "stix/apt1.json"], ["event.json", "misp/long_event.json"]]) {
        await write(name, await Deno.readTextFile(new URL(path, samples)));
      }
      await lists.refresh();
      assertEquals(lists.states.map(({ problem }) => problem), [null, null]);
      assertEquals(lists.findAddress(new Uint8Array([58, 247, 1, 1]))?.list, "apt1.json");
      assertEquals(lists.findDomain("www.hugesoft.org")?.list, "apt1.json");
      assertEquals(lists.findDomain("akm.epac.to")?.list, "event.json");
    }),
);

function samplesExist(): Promise<boolean> {
  return Deno.stat(samples).then(() => true, () => false);
}
