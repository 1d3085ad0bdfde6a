/** The test services themselves: they answer, they end with their owner, and a missing one is said. @module */

import { assert, assertEquals, assertRejects, assertStringIncludes, assertThrows } from "@std/assert";
import { GuardedChild } from "./guarded_child.ts";
import {
  createDatabase,
  newTopic,
  openBrowser,
  skipLoudly,
  useBrowser,
  useKafka,
  useMariadb,
} from "./services.ts";

const mariadb = await useMariadb();
const kafka = await useKafka();
const browser = await useBrowser();

Deno.test({
  name: "mariadb service gives each test a database of its own",
  ignore: mariadb.ignore,
  fn: async () => {
    const first = await createDatabase(mariadb.address);
    const second = await createDatabase(mariadb.address);
    assert(first.startsWith(mariadb.address));
    assert(first !== second);
    await assertRejects(() => createDatabase(first.replace(/:[^:@]+@/, ":wrong@")));
  },
});

Deno.test({
  name: "kafka service listens where it says and topics have names of their own",
  ignore: kafka.ignore,
  fn: async () => {
    const [hostname, port] = kafka.address.split(":");
    const connection = await Deno.connect({ hostname: hostname!, port: Number(port) });
    connection.close();
    assert(newTopic() !== newTopic());
  },
});

Deno.test({
  name: "browser service opens a page and runs its script",
  ignore: browser.ignore,
  // Playwright clears up its own folders and timers when a browser is closed already.
  sanitizeOps: false,
  sanitizeResources: false,
  fn: async () => {
    const opened = await openBrowser(browser.address);
    try {
      const page = await opened.newPage();
      await page.setContent("<p id=a></p><script>document.getElementById('a').textContent = 6 * 7</script>");
      assertEquals(await page.textContent("#a"), "42");
      await page.close();
    } finally {
      await opened.close();
    }
  },
});

Deno.test("guarded child ends and leaves nothing when its owner is killed", async () => {
  const folder = await Deno.makeTempDir({ prefix: "picket-guard-" });
  const owner = new Deno.Command(Deno.execPath(), {
    args: ["eval", "--ext=ts", ownerProgram(folder)],
    stdout: "piped",
    stdin: "null",
    stderr: "null",
  }).spawn();
  const reader = owner.stdout.getReader();
  const guardPid = Number(new TextDecoder().decode((await reader.read()).value));
  assert(await isAlive(guardPid));
  owner.kill("SIGKILL");
  await owner.status;
  while (await isAlive(guardPid)) await Promise.resolve();
  await assertRejects(() => Deno.stat(folder));
  await assertRejects(() => Deno.stat(`${folder}.log`));
  await reader.cancel();
});

Deno.test("guarded child that ends at once is shown with its last lines", async () => {
  const folder = await Deno.makeTempDir({ prefix: "picket-guard-" });
  const child = new GuardedChild({ command: "sh", args: ["-c", "echo no such option; exit 3"], folder });
  const failed = await assertRejects(() => child.waitUntilReady("it", () => Promise.resolve(false), 10_000));
  assertStringIncludes((failed as Error).message, "no such option");
  assertStringIncludes((failed as Error).message, "it ended");
  await assertRejects(() => Deno.stat(folder));
});

Deno.test("missing service is a failure with CI and a loud line without", () => {
  const before = { ci: Deno.env.get("CI"), skips: Deno.env.get("PICKET_TEST_SKIPS") };
  const list = Deno.makeTempFileSync();
  try {
    Deno.env.set("PICKET_TEST_SKIPS", list);
    Deno.env.set("CI", "true");
    assertThrows(() => skipLoudly("this example", "it is only an example"));
    assertEquals(Deno.readTextFileSync(list), "");
    Deno.env.set("CI", "false");
    assertEquals(skipLoudly("this example", "it is only an example"), { ignore: true });
    assertEquals(Deno.readTextFileSync(list), "skipped: this example: it is only an example\n");
  } finally {
    Deno.removeSync(list);
    for (const [name, value] of [["CI", before.ci], ["PICKET_TEST_SKIPS", before.skips]] as const) {
      if (value === undefined) Deno.env.delete(name);
      else Deno.env.set(name, value);
    }
  }
});

async function isAlive(pid: number): Promise<boolean> {
  const { success } = await new Deno.Command("sh", { args: ["-c", `kill -0 ${pid} 2>/dev/null`] }).output();
  return success;
}

function ownerProgram(folder: string): string {
  const module = new URL("./guarded_child.ts", import.meta.url).href;
  return `import { GuardedChild } from ${JSON.stringify(module)};
    const child = new GuardedChild({ command: "sleep", args: ["600"], folder: ${JSON.stringify(folder)} });
    console.log(child.guardPid);
    await new Promise((resolve) => setTimeout(resolve, 600_000));`;
}
