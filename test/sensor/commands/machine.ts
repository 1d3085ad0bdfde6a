/** A machine for command tests: a state folder, an aggregator in memory, the commands of the sensor on fake stages.
 * @module */

import { assert } from "@std/assert";
import { dispatch } from "../../../shared/dispatch.ts";
import { doctorCommand } from "../../../sensor/commands/doctor_command.ts";
import { enrolCommand } from "../../../sensor/commands/enrol_command.ts";
import { releaseKeyCommand } from "../../../sensor/commands/release_key_command.ts";
import { replayCommand } from "../../../sensor/commands/replay_command.ts";
import { runCommand } from "../../../sensor/commands/run_command.ts";
import { statusCommand } from "../../../sensor/commands/status_command.ts";
import { realDisk } from "../../../sensor/disk.ts";
import { captureBytes, FakeAggregator, fakeEdges, FakeLive, fakeStages, programOf } from "./fakes.ts";

export class Machine {
  readonly folder = Deno.makeTempDirSync({ prefix: "picket-fleet-" });
  readonly state = `${this.folder}/state`;
  readonly aggregator = new FakeAggregator().start();
  readonly live = new FakeLive();
  readonly #stages = fakeStages(this.live);
  /** Variables that commands find. */
  env: Record<string, string> = {};

  begin(...args: string[]) {
    return this.beginWith(null, ...args);
  }

  /** On a terminal that shows `progress`. */
  beginWith(progress: ((text: string) => void) | null, ...args: string[]) {
    const fake = fakeEdges(this.env);
    fake.edges.progress = progress;
    const commands = [
      enrolCommand({ disk: realDisk, hostname: () => "testhost" }),
      runCommand(this.#stages),
      replayCommand(this.#stages),
      statusCommand({ disk: realDisk }),
      releaseKeyCommand({ disk: realDisk }),
      doctorCommand(this.#stages),
    ];
    const ended = dispatch([...args, "--state", this.state], programOf(commands), fake.edges);
    return { ...fake, ended };
  }

  async call(...args: string[]) {
    const { ended, printed, complaints, logs } = this.begin(...args);
    const code = await ended;
    return { code, out: printed.join("\n"), err: complaints.join("\n"), log: logs.join("\n") };
  }

  enrol(token = this.aggregator.token) {
    return this.call("enrol", "--aggregator", this.aggregator.url, "--token", token);
  }

  capture(packets: number, cutOctets = 0): string {
    const path = `${this.folder}/capture.pcap`;
    Deno.writeFileSync(path, captureBytes(packets, cutOctets));
    return path;
  }

  spooled(): string[] {
    return [...Deno.readDirSync(`${this.state}/spool`)].filter((entry) => entry.isFile).map((entry) =>
      entry.name
    );
  }

  async stop(): Promise<void> {
    await this.aggregator.stop();
    await Deno.remove(this.folder, { recursive: true });
  }
}

export function machineTest(
  name: string,
  use: (machine: Machine) => Promise<void>,
  needs: Pick<Deno.TestDefinition, "ignore" | "sanitizeOps" | "sanitizeResources"> = {},
): void {
  Deno.test({
    name,
    ...needs,
    fn: async () => {
      const machine = new Machine();
      try {
        await use(machine);
      } finally {
        await machine.stop();
      }
    },
  });
}

export async function until(condition: () => boolean | Promise<boolean>): Promise<void> {
  for (let i = 0; i < 500 && !await condition(); i++) await new Promise((resolve) => setTimeout(resolve, 20));
  assert(await condition(), "waited 10 s in vain");
}
