/** What several aggregators on one MariaDB cost beside one: CPU a segment in all, and the rate.
 *
 * In: a recording of batches. Out: lines for 1 and N instances, with the processors' share each had. Where there are
 * fewer cores than processes, the rate says little and the CPU all:
 * the aim is that a segment costs at most a tenth more. @module */

import { openStore } from "../../aggregator/store/open.ts";
import { createReporter } from "../../shared/reporter.ts";
import { startKafka } from "../services/kafka.ts";
import { createDatabase } from "../services/mariadb.ts";
import { fill, type InstanceJob, type InstanceRun, sealAll } from "./instances_run.ts";

const root = new URL("../../", import.meta.url).pathname;
const reporter = createReporter({ component: "bench", write: () => {} });
/** All instances are in the group before it begins. */
const gather = (properties: Record<string, string>) =>
  void (properties["group.initial.rebalance.delay.ms"] = "8000");

/** A process that has said "ready". */
async function prepare(job: InstanceJob) {
  const child = new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", "--no-check", `${root}test/bench/instances_run.ts`, JSON.stringify(job)],
    cwd: root,
    stdin: "piped",
    stdout: "piped",
    stderr: "inherit",
  }).spawn();
  const lines = child.stdout.pipeThrough(new TextDecoderStream()).getReader();
  let said = "";
  while (!said.includes("ready\n")) {
    const { value, done } = await lines.read();
    if (done) throw new Error("Cannot bench instances as one of them ended");
    said += value;
  }
  said = said.slice(said.indexOf("ready\n") + 6);
  return {
    async go(): Promise<void> {
      const input = child.stdin.getWriter();
      await input.write(new Uint8Array([10]));
      await input.close();
    },
    async result(): Promise<InstanceRun> {
      for (let next = await lines.read(); !next.done; next = await lines.read()) said += next.value;
      await child.status;
      return JSON.parse(said);
    },
  };
}

async function runs(
  server: string,
  job: Omit<InstanceJob, "url" | "warmUrl" | "instance">,
): Promise<InstanceRun[]> {
  const url = await createDatabase(server, "bench"), warmUrl = await createDatabase(server, "bench_warm");
  // Tables first: two that make them at once wait for one another.
  const store = openStore(url, { reporter });
  await store.start();
  const processes = [];
  for (let instance = 0; instance < job.instances; instance++) {
    processes.push(await prepare({ ...job, url, warmUrl, instance }));
  }
  for (const one of processes) await one.go();
  const done = await Promise.all(processes.map((one) => one.result()));
  const { flows, packets } = await store.readTotals();
  await store.stop();
  print(line(done) + `, ${flows} flows of ${packets} packets`);
  return done;
}

function line(done: readonly InstanceRun[]): string {
  const sum = (value: (run: InstanceRun) => number) => done.reduce((all, run) => all + value(run), 0);
  const wallS = (Math.max(...done.map((run) => run.endedMs)) - Math.min(...done.map((run) => run.beganMs))) /
    1e3;
  const segments = sum((run) => run.segments);
  const shares = done.map((run) => (run.cpuS / wallS).toFixed(2)).join(" + ");
  return `${done.length} instance${done.length > 1 ? "s" : ""}: ${
    (segments / wallS / 1e3).toFixed(1)
  }k segments/s, ` +
    `${
      (sum((run) => run.cpuS) / segments * 1e6).toFixed(1)
    } us CPU a segment in all, shares of a core ${shares}, ` +
    `${done.map((run) => run.peakMB.toFixed(0)).join(" + ")} MB, ${
      sum((run) => run.rebuilds)
    } reads of the store, ${sum((run) => run.transactions)} transactions, ` +
    `${sum((run) => run.conflicts)} conflicts, ${sum((run) => run.retries)} transactions run again`;
}

const print = (text: string) => Deno.stdout.writeSync(new TextEncoder().encode(text + "\n"));

export async function benchInstances(
  server: string,
  recording: string,
  instances: number,
  throughKafka: boolean,
): Promise<void> {
  const cost = (done: readonly InstanceRun[]) =>
    done.reduce((all, run) => all + run.cpuS, 0) / done.reduce((all, run) => all + run.segments, 0);
  const broker = throughKafka ? await startKafka(gather) : null;
  try {
    const costs: number[] = [];
    for (const count of new Set([1, instances])) {
      const topic = `bench-${count}`;
      const from = broker && { address: broker.address, topic };
      if (from) await fill(from, await sealAll(recording));
      costs.push(cost(await runs(server, { recording, instances: count, broker: from })));
    }
    const growth = ((costs.at(-1)! / costs[0] - 1) * 100).toFixed(0);
    if (instances > 1) print(`CPU a segment grows by ${growth} % (aim: 10)`);
  } finally {
    await broker?.stop();
  }
}
