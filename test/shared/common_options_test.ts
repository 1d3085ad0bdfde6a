/** Where the programs keep their things when no option says so, and how they are told to speak to brokers. @module */

import { assertEquals, assertRejects } from "@std/assert";
import { CommandError } from "../../shared/command.ts";
import { brokerAccess, brokerAccessOptions, cacheFolderOf } from "../../shared/common_options.ts";
import { resolveOptions } from "../../shared/options.ts";

Deno.test("cacheFolderOf takes systemd's folder, then root's, then the user's, else none", () => {
  const folder = (env: Record<string, string>, userId: number | null) =>
    cacheFolderOf("picket-sensor", (name) => env[name], userId);
  const user = { HOME: "/users/a" };
  const own = { ...user, XDG_CACHE_HOME: "/users/a/caches" };
  for (const userId of [0, 1_000]) {
    assertEquals(folder({ ...own, CACHE_DIRECTORY: "/var/cache/x" }, userId), "/var/cache/x");
    assertEquals(folder({ ...own, CACHE_DIRECTORY: "/var/cache/x:/var/cache/y" }, userId), "/var/cache/x");
  }
  assertEquals(folder(own, 0), "/var/cache/picket-sensor");
  assertEquals(folder({}, 0), "/var/cache/picket-sensor");
  assertEquals(folder(own, 1_000), "/users/a/caches/picket-sensor");
  assertEquals(folder({ ...user, XDG_CACHE_HOME: "caches" }, 1_000), "/users/a/.cache/picket-sensor");
  assertEquals(folder({ ...user, XDG_CACHE_HOME: "" }, 1_000), "/users/a/.cache/picket-sensor");
  assertEquals(folder({}, 1_000), null);
  assertEquals(folder({ HOME: "" }, 1_000), null);
  assertEquals(folder(user, null), "/users/a/.cache/picket-sensor");
});

/** What the brokers would be told; files are made in a folder of their own. */
async function access(
  args: string[],
  { env = {}, files = {} }: { env?: Record<string, string>; files?: Record<string, string> } = {},
) {
  const folder = await Deno.makeTempDir();
  try {
    for (const [name, text] of Object.entries(files)) await Deno.writeTextFile(`${folder}/${name}`, text);
    const resolved = resolveOptions(brokerAccessOptions, {
      args: args.map((arg) => arg.replace("DIR", folder)),
      env: (name) => env[name],
    });
    if (!resolved.ok) throw new CommandError(2, resolved.problems.join("; "));
    return await brokerAccess(resolved.options);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

Deno.test("brokerAccess takes the password from a variable or a file, never from an argument", async () => {
  const sasl = { mechanism: "scram-sha-512" as const, username: "sensor", password: "a b" };
  const env = { PICKET_KAFKA_PASSWORD: "a b" };
  assertEquals(await access(["--kafka-user", "sensor"], { env }), { sasl });
  const byFile = ["--kafka-user", "sensor", "--kafka-password-file", "DIR/secret"];
  assertEquals(await access(byFile, { files: { secret: "a b\n" } }), { sasl });
  assertEquals(await access(byFile, { files: { secret: "a b\r\n" } }), { sasl });
  const refused: [string[], Record<string, string>, string][] = [
    [["--kafka-user", "sensor", "--kafka-password", "a"], {}, "as others could read it"],
    [["--kafka-user", "sensor"], {}, "without a password"],
    [byFile, env, "give one of them"],
    [[], env, 'without "--kafka-user"'],
    [["--kafka-user", "sensor", "--kafka-sasl", "plain"], env, "sends the password itself"],
  ];
  for (const [args, given, words] of refused) {
    await assertRejects(() => access(args, { env: given, files: { secret: "a" } }), CommandError, words);
  }
});

Deno.test("brokerAccess reads certificates, and refuses half of a pair and files without one", async () => {
  const pem = "-----BEGIN CERTIFICATE-----\nAA==\n-----END CERTIFICATE-----\n";
  const files = { ca: pem, cert: pem, key: "key", empty: "nothing" };
  assertEquals(await access([]), {});
  assertEquals(await access(["--kafka-tls"]), { tls: {} });
  assertEquals(await access(["--kafka-ca", "DIR/ca"], { files }), { tls: { ca: pem } });
  assertEquals(await access(["--kafka-cert", "DIR/cert", "--kafka-key", "DIR/key"], { files }), {
    tls: { cert: pem, key: "key" },
  });
  const refused: [string[], string][] = [
    [["--kafka-cert", "DIR/cert"], "name both"],
    [["--kafka-key", "DIR/key"], "name both"],
    [["--kafka-ca", "DIR/empty"], "must hold a certificate"],
    [["--kafka-ca", "DIR/none"], "not readable"],
  ];
  for (const [args, words] of refused) {
    await assertRejects(() => access(args, { files }), CommandError, words);
  }
});
