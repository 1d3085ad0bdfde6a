/** Where the programs keep their things when no option says so. @module */

import { assertEquals } from "@std/assert";
import { cacheFolderOf } from "../../shared/common_options.ts";

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
