/** A wire of our own: a veth pair between this network namespace and another,
 * and what is needed to send and to measure on it.
 *
 * Out: `near`, where a sensor captures; a sender of captures at a given rate; a TCP server at the far end;
 * CPU time of a process tree.
 * Invariant: `stop()` takes down everything that `start()` made. Addresses are of 198.18.0.0/15, the network set aside
 * for benchmarks. Needs root for `ip netns`. @module */

import { TextLineStream } from "@std/streams/text-line-stream";
import { run } from "../e2e/world.ts";

const serverPort = 7_000;

export class Wire {
  readonly near: string;
  readonly farAddress: string;
  readonly port = serverPort;
  #space: string;
  #far: string;
  #net: string;
  #server: Deno.ChildProcess | null = null;

  constructor() {
    const id = crypto.randomUUID().slice(0, 6);
    [this.#space, this.near, this.#far] = [`picket-${id}`, `pk${id}a`, `pk${id}b`];
    // Two wires at a time do not meet.
    this.#net = `198.18.${crypto.getRandomValues(new Uint8Array(1))[0]}`;
    this.farAddress = `${this.#net}.2`;
  }

  async start(): Promise<void> {
    for (
      const words of [
        `netns add ${this.#space}`,
        `link add ${this.near} type veth peer name ${this.#far}`,
        `link set ${this.#far} netns ${this.#space}`,
        `addr add ${this.#net}.1/30 dev ${this.near}`,
        // Without an IPv6 address neither end says anything by itself.
        `link set ${this.near} addrgenmode none`,
        `-n ${this.#space} link set ${this.#far} addrgenmode none`,
        `link set ${this.near} up`,
        `-n ${this.#space} addr add ${this.farAddress}/30 dev ${this.#far}`,
        `-n ${this.#space} link set ${this.#far} up`,
        `-n ${this.#space} link set lo up`,
      ]
    ) {
      const { code, stderr } = await run(["ip", ...words.split(" ")]);
      if (code !== 0) throw new Error(`Cannot make a wire as "ip ${words}" failed: ${stderr.trim()}`);
    }
  }

  async stop(): Promise<void> {
    this.#server?.kill("SIGKILL");
    await this.#server?.status;
    await run(["ip", "netns", "delete", this.#space]);
    await run(["ip", "link", "delete", this.near]);
  }

  /** A server at the far end that answers one request a connection and closes it. */
  async serve(): Promise<void> {
    const script = `
      const listener = Deno.listen({ hostname: "${this.farAddress}", port: ${serverPort} });
      Deno.stdout.writeSync(new TextEncoder().encode("ready\\n"));
      for await (const connection of listener) {
        (async () => {
          await connection.read(new Uint8Array(1024));
          await connection.write(new Uint8Array(512));
          connection.close();
        })().catch(() => {});
      }`;
    const args = ["netns", "exec", this.#space, Deno.execPath(), "eval", "--ext=js", script];
    this.#server = new Deno.Command("ip", { args, stdin: "null", stdout: "piped", stderr: "inherit" })
      .spawn();
    const lines = this.#server.stdout.pipeThrough(new TextDecoderStream()).pipeThrough(new TextLineStream());
    const first = await lines.getReader().read();
    if (first.done) throw new Error("Cannot serve on the wire as the server ended at once");
  }

  /** One TCP connection, to its end. Resolves with its own port and when both sides had closed, ms since the epoch. */
  async exchange(): Promise<{ port: number; endMs: number }> {
    const connection = await Deno.connect({ hostname: this.farAddress, port: serverPort });
    const { port } = connection.localAddr as Deno.NetAddr;
    await connection.write(new TextEncoder().encode("request\n"));
    const buffer = new Uint8Array(1_024);
    while (await connection.read(buffer) !== null);
    connection.close();
    return { port, endMs: Date.now() };
  }

  /** Sends datagrams that the far end may send and the near end may not take: it counts each as dropped,
   * and no capture sees one. */
  async sendTooLong(count: number): Promise<void> {
    const script = `
      const socket = Deno.listenDatagram({ hostname: "${this.farAddress}", port: 0, transport: "udp" });
      for (let i = 0; i <= ${count}; i++) {
        const to = { hostname: "${this.#net}.1", port: 9, transport: "udp" };
        await socket.send(new Uint8Array(i === 0 ? 1 : 1400), to).catch(() => {});
        await new Promise((resolve) => setTimeout(resolve, i === 0 ? 100 : 1));
      }`;
    const far = ["netns", "exec", this.#space, Deno.execPath(), "eval", "--unstable-net", "--ext=js"];
    for (const [mtu, words] of [["1000", [...far, script]], ["1500", null]] as const) {
      await run(["ip", "link", "set", this.near, "mtu", mtu]);
      const sent = words && await run(["ip", ...words]);
      if (sent && sent.code !== 0) throw new Error(`Cannot send what is too long: ${sent.stderr.trim()}`);
    }
  }

  /** Sends a capture over and over from the far end for `seconds`, null = once. `pps` null = as fast as it goes. */
  async send(
    capture: string,
    pps: number | null,
    seconds: number | null,
  ): Promise<{ packets: number; seconds: number }> {
    const times = seconds === null ? ["--loop", "1"] : ["--loop", "100000", "--duration", String(seconds)];
    const rate = pps === null ? ["--topspeed"] : ["--pps", String(pps)];
    const { code, stdout, stderr } = await run([
      ...["ip", "netns", "exec", this.#space],
      ...["tcpreplay", "--quiet", "--preload-pcap", ...times],
      ...[...rate, "-i", this.#far, capture],
    ]);
    const sent = /Actual: (\d+) packets .* sent in ([\d.]+) seconds/.exec(stdout);
    if (code !== 0 || !sent) throw new Error(`Cannot send "${capture}": ${stderr.trim() || stdout.trim()}`);
    return { packets: Number(sent[1]), seconds: Number(sent[2]) };
  }
}

/** CPU seconds of a process and its living descendants, by the program's name. */
export async function cpuSeconds(pid: number): Promise<Map<string, number>> {
  const processes: { pid: number; parent: number; name: string; ticks: number }[] = [];
  for await (const entry of Deno.readDir("/proc")) {
    if (!/^\d+$/.test(entry.name)) continue;
    const stat = await Deno.readTextFile(`/proc/${entry.name}/stat`).catch(() => "");
    const match = /^(\d+) \((.*)\) (.*)$/s.exec(stat.trim());
    if (!match) continue;
    const rest = match[3].split(" ");
    const ticks = Number(rest[11]) + Number(rest[12]);
    processes.push({ pid: Number(match[1]), parent: Number(rest[1]), name: match[2], ticks });
  }
  const family = new Set([pid]);
  for (let before = 0; before < family.size;) {
    before = family.size;
    for (const one of processes) if (family.has(one.parent)) family.add(one.pid);
  }
  const seconds = new Map<string, number>();
  for (const one of processes) {
    if (family.has(one.pid)) seconds.set(one.name, (seconds.get(one.name) ?? 0) + one.ticks / 100);
  }
  return seconds;
}

/** Most memory the process itself ever had (VmHWM), octets; 0 = it has ended. */
export async function peakBytes(pid: number): Promise<number> {
  const status = await Deno.readTextFile(`/proc/${pid}/status`).catch(() => "");
  return Number(/^VmHWM:\s+(\d+) kB$/m.exec(status)?.[1] ?? 0) * 1_024;
}
