/** The programs that are compared, and how each is got.
 *
 * Out: command lines over one capture.
 * Each peer runs with its own defaults; what it writes goes into a folder that is thrown away.
 * Why these: tshark is what people script when they want facts; nfstream is the nearest Python has; softflowd, nfpcapd
 * and argus are flow meters in C that read no payload. @module */

import { slotFields } from "../../sensor/dissect/columns/slots.ts";

/** The flow columns that anyone asks of tshark; with the deep lane's own fields they are the same reading. */
export const flowFields = [
  "frame.time_epoch",
  "ip.src",
  "ip.dst",
  "ipv6.src",
  "ipv6.dst",
  "ip.proto",
  "tcp.srcport",
  "tcp.dstport",
  "udp.srcport",
  "udp.dstport",
  "tcp.flags",
  "ip.ttl",
  "frame.len",
] as const;

export interface Program {
  name: string;
  command(capture: string, folder: string): string[];
  /** Package that has it; "" = always there. */
  apt: string;
  /** Aim for the whole sensor's packets/s over this one's; 0 = none. */
  aim: number;
}

/** The sensor as its own task runs it: same permissions, same flags of the engine. */
export async function sensorCommand(root: string): Promise<string[]> {
  const { tasks } = JSON.parse(await Deno.readTextFile(`${root}deno.json`));
  const [program, ...args] = (tasks.sensor as string).split(" ");
  if (program !== "deno") throw new Error(`Cannot bench as the task "sensor" does not run deno: ${program}`);
  return [Deno.execPath(), ...args];
}

export const whole = "picket, both lanes, shipped";

/** The sensor itself: whole, without shipping, without facts. */
export function sensorPrograms(sensor: readonly string[], state: string): Program[] {
  const replay = (capture: string) => [...sensor, "replay", capture];
  const own = { apt: "", aim: 0 };
  return [
    {
      ...own,
      name: whole,
      command: (capture) => [...replay(capture), "--ship", "--again", "--state", state],
    },
    { ...own, name: "picket, both lanes", command: replay },
    { ...own, name: "picket, flows only", command: (capture) => [...replay(capture), "--no-facts"] },
  ];
}

const countFlows =
  "import sys; from nfstream import NFStreamer; print(sum(1 for _ in NFStreamer(sys.argv[1])))";

export function peerPrograms(python: string): Program[] {
  const fields = [...flowFields, ...slotFields].flatMap((field) => ["-e", field]);
  return [
    {
      name: "tshark -T fields",
      command: (capture) => ["tshark", "-n", "-r", capture, "-T", "fields", ...fields],
      apt: "tshark",
      aim: 20,
    },
    { name: "nfstream 6.6", command: (capture) => [python, "-c", countFlows, capture], apt: "", aim: 10 },
    {
      name: "softflowd",
      command: (
        capture,
        folder,
      ) => [
        "softflowd",
        "-r",
        capture,
        "-d",
        "-p",
        `${folder}/pid`,
        "-c",
        "none",
        "-n",
        "127.0.0.1:9",
      ],
      apt: "softflowd",
      aim: 1,
    },
    {
      name: "nfpcapd",
      command: (capture, folder) => ["nfpcapd", "-r", capture, "-w", folder],
      apt: "nfdump",
      aim: 1,
    },
    {
      name: "argus",
      command: (capture, folder) => ["argus", "-r", capture, "-w", `${folder}/argus.out`],
      apt: "argus-server",
      aim: 1,
    },
  ];
}

async function succeeds(command: string, ...args: string[]): Promise<boolean> {
  try {
    const quiet = { stdin: "null", stdout: "null", stderr: "null" } as const;
    return (await new Deno.Command(command, { args, ...quiet }).output()).success;
  } catch {
    return false;
  }
}

/** Installs what is missing where that is possible; says what is left out, and leaves it out. */
export async function install(
  peers: readonly Program[],
  folder: string,
  say: (line: string) => void,
): Promise<Program[]> {
  const present: Program[] = [];
  for (const peer of peers) {
    const isThere = peer.apt === "" ? await installNfstream(folder, say) : await installPackage(peer, say);
    if (isThere) present.push(peer);
    else say(`${peer.name}: cannot be installed here, left out`);
  }
  return present;
}

async function installPackage(peer: Program, say: (line: string) => void): Promise<boolean> {
  const [program] = peer.command("", "");
  const isThere = () => succeeds("sh", "-c", `command -v ${program}`);
  if (await isThere()) return true;
  say(`installing ${peer.apt}`);
  await succeeds("apt-get", "install", "-y", "--no-install-recommends", peer.apt);
  return await isThere();
}

async function installNfstream(folder: string, say: (line: string) => void): Promise<boolean> {
  const python = `${folder}/bin/python`;
  const isThere = () => succeeds(python, "-c", "import nfstream");
  if (await isThere()) return true;
  say("installing nfstream 6.6.0 into a folder of its own");
  if (!await succeeds("python3", "-m", "venv", folder)) return false;
  await succeeds(`${folder}/bin/pip`, "install", "--quiet", "nfstream==6.6.0");
  return await isThere();
}
