/** An aggregator that runs out of file descriptors goes on, and takes whom it can.
 *
 * Method: the real program with a hundred of them, and more connections than that. @module */

import { assert, assertEquals } from "@std/assert";
import { spawnProgram, withFolder } from "../commands/harness.ts";

async function isAnswered(url: string): Promise<boolean> {
  for (let i = 0; i < 100; i++) {
    const answer = await fetch(`${url}/healthz`, { headers: { connection: "close" } }).catch(() => null);
    await answer?.body?.cancel();
    if (answer?.status === 200) return true;
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  return false;
}

for (const [what, text] of [["silent", ""], ["half a head long", "GET /healthz HTTP/1.1\r\n"]]) {
  Deno.test(`an aggregator without descriptors lives through a flood of connections, each ${what}`, () =>
    withFolder(async (folder) => {
      const child = spawnProgram(["serve", "--state", folder, "--listen", "127.0.0.1:0"]);
      const log = new Response(child.stderr).text(), lines = child.stdout.getReader();
      const { listening } = JSON.parse(new TextDecoder().decode((await lines.read()).value));
      // What it has open already, and a hundred more.
      const open = [...Deno.readDirSync(`/proc/${child.pid}/fd`)].length;
      const limit = `--nofile=${open + 100}:${open + 100}`;
      await new Deno.Command("prlimit", { args: ["--pid", `${child.pid}`, limit] }).output();
      const { hostname, port } = new URL(listening), flood: Deno.TcpConn[] = [];
      for (let i = 0; i < 150; i++) {
        const connection = await Deno.connect({ hostname, port: Number(port) });
        await connection.write(new TextEncoder().encode(text)).catch(() => undefined);
        flood.push(connection);
      }
      await new Promise((resolve) => setTimeout(resolve, 300));
      for (const connection of flood) connection.close();
      assert(await isAnswered(listening));
      child.kill("SIGTERM");
      const { code } = await child.status;
      await lines.cancel();
      const said = await log;
      assertEquals(code, 0, said);
      assert(/Too many open files/.test(said), said);
    }));
}
