/** `picket-sensor`: captures traffic, turns it into flows and facts, ships them.
 *
 * In: the command line. Out: results on standard output, logs on standard error, an exit code.
 * The stages of the data path are imported in its order and wired here by hand; the commands decide which of them run.
 * @module */

import { FileSource } from "./capture/file_source.ts";
import { FileCapture } from "./run/file_capture.ts";
import { openLiveCapture } from "./run/live_capture.ts";
import { sendCanary } from "./run/canary_sender.ts";
import { listInterfaces } from "./run/interface_list.ts";
import { Pipeline } from "./pipeline.ts";
import type { DissectLane } from "./dissect/lane.ts";
import { realDisk } from "./disk.ts";
import { IdentityError } from "./control/identity.ts";
import type { RunningDeepLane, Stages } from "./run/stages.ts";

import { dispatch, type Program } from "../shared/dispatch.ts";
import { processEdges } from "../shared/process_edges.ts";
import { canaryCommand } from "./commands/canary_command.ts";
import { configCommand } from "./commands/config_command.ts";
import { doctorCommand } from "./commands/doctor_command.ts";
import { enrolCommand } from "./commands/enrol_command.ts";
import { interfacesCommand } from "./commands/interfaces_command.ts";
import { releaseKeyCommand } from "./commands/release_key_command.ts";
import { replayCommand } from "./commands/replay_command.ts";
import { runCommand } from "./commands/run_command.ts";
import { statusCommand } from "./commands/status_command.ts";

const stages: Stages = {
  disk: realDisk,
  interfaces: listInterfaces,
  sendCanary,
  fileSource: (path, chunkBytes) => new FileCapture(path, new FileSource(path), chunkBytes),
  liveSource: openLiveCapture,
  fastLane: ({ live, flow }, { sink, reporter, clock, deepLane, ring }) =>
    // Nobody outside can know which ports collide in the table.
    new Pipeline({ live, flow: { ...flow, hashSeed: crypto.getRandomValues(new Int32Array(1))[0] } }, {
      sink,
      reporter,
      clock,
      deepLane: deepLane?.lane ?? null,
      chooser: deepLane?.chooser ?? null,
      ring,
    }),
  async deepLane({ live, tsharkPath, socketPath, keyPath, cacheFolder }, deps): Promise<RunningDeepLane> {
    // Only now: who counts flows alone starts a sixth faster without.
    const [{ PacketChooser }, { Tshark }, { DissectLane }] = await Promise.all([
      import("./dissect/choose.ts"),
      import("./dissect/child/tshark.ts"),
      import("./dissect/lane.ts"),
    ]);
    // One chooser for both: the lane reads plain DNS where the chooser found it.
    const chooser = new PacketChooser();
    const program = new Tshark({ tsharkPath, socketPath, keyPath, cacheFolder }, deps);
    const lane = new DissectLane({ live }, { program, chooser, ...deps });
    await lane.start();
    return { lane, chooser, health: () => factsHealth(lane), stop: () => lane.stop() };
  },
};

/** Packets given up were offered and never answered: for the fleet that is the same loss as a refusal. */
function factsHealth(lane: DissectLane) {
  const { offered, answered, refused, given_up, version, walls, failures } = lane.health;
  return { offered, answered, refused: refused + given_up, version, walls, failures };
}

export const program = {
  name: "picket-sensor",
  about: "captures traffic, turns it into flows and facts, ships them to a Picket aggregator",
  configPath: "/etc/picket/sensor.json",
  firstSteps: [
    ["doctor", "what is missing on this machine?"],
    ["replay FILE --flows", "flows of a capture file, nothing to set up"],
    ["enrol 'picket://HOST:8600/TOKEN#FINGERPRINT'", "once, to belong to a fleet"],
    ["run --interface eth0", "capture, until Ctrl-C"],
  ],
  commands: [
    enrolCommand({ disk: realDisk, hostname: () => Deno.hostname() }),
    runCommand(stages),
    replayCommand(stages),
    doctorCommand(stages),
    interfacesCommand(stages),
    statusCommand({ disk: realDisk }),
    canaryCommand({ disk: realDisk }),
    releaseKeyCommand({ disk: realDisk }),
    configCommand(),
  ],
  isEnvironment: (error: unknown) => error instanceof IdentityError,
} satisfies Program;

if (import.meta.main) {
  Deno.exit(await dispatch(Deno.args, program, processEdges(program.name)));
}
