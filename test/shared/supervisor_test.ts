/** What systemd is told, when, and through what. @module */

import { assertEquals } from "@std/assert";
import { createSupervisor, type Datagrams, openDatagrams } from "../../shared/supervisor.ts";
import { FakeClock } from "../sensor/ship/helpers.ts";

const variables = {
  NOTIFY_SOCKET: "/run/systemd/notify",
  RUNTIME_DIRECTORY: "/run/picket-sensor",
  WATCHDOG_USEC: "60000000",
  SYSTEMD_EXEC_PID: "7",
};

function open(changes: Record<string, string | undefined> = {}, pid = 7) {
  const env: Record<string, string | undefined> = { ...variables, ...changes };
  const told: string[] = [];
  const clock = new FakeClock();
  const supervisor = createSupervisor({ env: (name) => env[name], pid }, {
    clock,
    open: (own, to) => ({
      send: (text) => Promise.resolve(told.push(`${own} ${to} ${text}`)),
      close: () => {},
    }),
  });
  return { supervisor, told, clock };
}

Deno.test("the supervisor is told ready and stopping at once, alive three times in a watchdog's span", async () => {
  const { supervisor, told, clock } = open();
  supervisor!.ready();
  supervisor!.alive();
  await clock.advance(19_999);
  supervisor!.alive();
  const head = "/run/picket-sensor/notify-7 /run/systemd/notify";
  assertEquals(told, [`${head} READY=1`, `${head} WATCHDOG=1`]);
  await clock.advance(1);
  supervisor!.alive();
  supervisor!.stopping();
  assertEquals(told.slice(2), [`${head} WATCHDOG=1`, `${head} STOPPING=1`]);
});

Deno.test("without a watchdog nobody is told that the program is alive", () => {
  const { supervisor, told } = open({ WATCHDOG_USEC: undefined });
  supervisor!.alive();
  assertEquals(told, []);
});

const nobody: readonly (readonly [why: string, changes: Record<string, string | undefined>, pid?: number])[] =
  [
    ["no systemd started it", { NOTIFY_SOCKET: undefined }],
    ["the socket has no path", { NOTIFY_SOCKET: "@abstract" }],
    ["the unit has no runtime folder", { RUNTIME_DIRECTORY: undefined }],
    ["another process inherited the variables", {}, 8],
  ];
for (const [why, changes, pid] of nobody) {
  Deno.test(`there is no supervisor where ${why}`, () => assertEquals(open(changes, pid).supervisor, null));
}

/** Runs `body` with the real socket, which the program itself never closes. */
async function withSocket(
  body: (folder: string, deps: { clock: FakeClock; open: typeof openDatagrams }) => Promise<void>,
) {
  const folder = await Deno.makeTempDir();
  const opened: Datagrams[] = [];
  const open: typeof openDatagrams = (own, to) => {
    const datagrams = openDatagrams(own, to);
    opened.push(datagrams);
    return datagrams;
  };
  try {
    await body(folder, { clock: new FakeClock(), open });
  } finally {
    for (const datagrams of opened) datagrams.close();
    await Deno.remove(folder, { recursive: true });
  }
}

Deno.test("a program goes on when nobody can be told", () =>
  withSocket((folder, deps) => {
    const env: Record<string, string> = { NOTIFY_SOCKET: `${folder}/none`, RUNTIME_DIRECTORY: folder };
    createSupervisor({ env: (name) => env[name], pid: 7 }, deps)!.ready();
    const missing = { ...env, RUNTIME_DIRECTORY: `${folder}/none` };
    const supervisor = createSupervisor(
      { env: (name) => missing[name as keyof typeof missing], pid: 7 },
      deps,
    );
    assertEquals(supervisor, null);
    return Promise.resolve();
  }));

Deno.test("what is told arrives at a socket", () =>
  withSocket(async (folder, deps) => {
    const listener = Deno.listenDatagram({ transport: "unixpacket", path: `${folder}/notify` });
    const env: Record<string, string> = { NOTIFY_SOCKET: `${folder}/notify`, RUNTIME_DIRECTORY: folder };
    createSupervisor({ env: (name) => env[name], pid: 7 }, deps)!.ready();
    const [octets] = await listener.receive();
    assertEquals(new TextDecoder().decode(octets), "READY=1");
    listener.close();
  }));
