/** `picket-sensor run`: captures until it is told to stop.
 *
 * In: interfaces. Out: sealed batches in the spool and on their way. Aggregator, brokers and tshark may all be absent.
 * Invariant: on SIGINT, SIGTERM or SIGQUIT dumpcap is asked to stop, what it had is read, sealed and spooled, in
 * bounded time; on SIGHUP the certificate authority is read again. @module */

import type { Options } from "../../shared/options.ts";
import { type Command, command, CommandError, type Edges, exitCodes } from "../../shared/command.ts";
import { identityPath } from "../control/identity.ts";
import { RecentLoss } from "../control/recent_loss.ts";
import { OverloadGuard } from "../prefilter/overload.ts";
import {
  captureOptions,
  factsOptions,
  flowOptions,
  flowSettings,
  generalOptions,
  openRing,
  ringOptionsOf,
  stateFolder,
} from "../run/common_options.ts";
import { startDeepLane } from "../run/deep_lane.ts";
import { feed } from "../run/live_feed.ts";
import { OwnPeers } from "../run/own_peers.ts";
import { ownFields, policyApplier } from "../run/policy_settings.ts";
import { openSession, type Session, sessionOptions } from "../run/session.ts";
import { captureHealth, type CaptureSource, type FastLane, type Stages } from "../run/stages.ts";

const options = {
  ...captureOptions,
  ...factsOptions,
  ...flowOptions,
  ...ringOptionsOf("start"),
  ...sessionOptions,
  canary: {
    kind: "flag",
    default: true,
    help:
      "Send nothing on the captured interfaces; else a canary every hour, one small datagram to a group of the link, shows that flows arrive",
  },
  policyTrialS: {
    kind: "number",
    default: 60,
    min: 1,
    max: 3_600,
    help: "Go back from a new policy of the fleet when capture breaks or check-ins fail within this time, s",
  },
  upgradeTrialS: {
    kind: "number",
    default: 60,
    min: 1,
    max: 3_600,
    help: "Go back from a new program when capture breaks or no check-in gets through within this time, s",
  },
  ...generalOptions,
} as const;

export function runCommand(stages: Stages): Command {
  return command({
    name: "run",
    summary: "capture live and ship, until Ctrl-C",
    operands: "",
    about:
      `Captures with dumpcap, reads facts with tshark, seals flows into signed batches, spools them and ships them to the fleet.
Starts and goes on without aggregator, brokers or tshark; what cannot be shipped waits in the spool. Needs an enrolled sensor and
the permission to capture: run as root, or give dumpcap the capability (\`picket-sensor doctor\` says how).
Its own traffic to aggregator and brokers is left out.`,
    examples: [
      "run --interface eth0",
      'run --interface eth0,wlan0 --filter "not port 22"',
      "run --config /etc/picket/sensor.json",
    ],
    options,
    async run(given, operands, edges) {
      if (operands.length > 0) {
        throw new CommandError(
          exitCodes.usage,
          `Cannot run as "${operands[0]}" is not expected: name interfaces with --interface`,
        );
      }
      return await capture(stages, given, edges);
    },
  });
}

async function capture(stages: Stages, given: Options<typeof options>, edges: Edges): Promise<number> {
  const { clock, reporter, signal } = edges;
  const interfaces = given.interface.length > 0
    ? given.interface
    : [await firstInterface(stages, given.dumpcapPath)];
  let state: "idle" | "capturing" | "failed" = "idle";
  const parts: { source: CaptureSource | null; fastLane: FastLane | null } = { source: null, fastLane: null };
  const live = { recentLoss: new RecentLoss(), clock, isFiltered: given.filter !== "" };
  const ring = openRing(given);
  const keyPath = identityPath(stateFolder(given.state, edges.env));
  const deepLane = await startDeepLane(stages, given, { live: true, keyPath }, edges);
  try {
    const session = await openSession({ live: true }, given, edges, {
      disk: stages.disk,
      ring,
      canary: { interfaces, send: given.canary ? (name) => stages.sendCanary(name, { clock }) : null },
      capture: () => captureHealth(state, parts.source!, parts.fastLane!, deepLane, live),
    });
    const fastLane = parts.fastLane = stages.fastLane({ live: true, flow: flowSettings(given) }, {
      sink: session.outbox,
      reporter,
      clock,
      deepLane,
      ring,
    });
    const ownPeers = new OwnPeers(() => session.peers, { clock, reporter });
    await ownPeers.update();
    const source = parts.source = stages.liveSource({
      interfaces,
      filter: given.filter,
      snaplen: given.snaplen,
      bufferMb: given.bufferMb,
      dumpcapPath: given.dumpcapPath,
      exclude: ownPeers.all,
    }, { clock, reporter });
    fastLane.leaveOut(ownPeers.all);
    const guard = guardOf(given);
    source.attach(fastLane);
    await source.start();
    state = "capturing";
    const ending = await heedCentre(session, given, { source, fastLane, guard, ring }, signal);
    await session.start();
    ownPeers.start((peers) => {
      fastLane.leaveOut(peers);
      source.exclude?.(peers);
    });
    edges.supervisor?.ready();
    reporter.info("capturing", { interfaces: interfaces.join(","), sensor: session.enrolment.name });
    try {
      await feed(source, fastLane, guard, { ...edges, signal: ending });
      edges.supervisor?.stopping();
      state = source.problem && !ending.aborted ? "failed" : "idle";
      await fastLane.finish();
    } finally {
      // Whatever happened: what is sealed and open goes to the spool.
      await session.stop();
      await ownPeers.stop();
      await source.close();
    }
    reporter.info("stopped", { spooled_batches: session.spool.batches });
    edges.print(JSON.stringify({ capture: fastLane.summary(source.name), spooled: session.spool.batches }));
    if (state !== "failed") return exitCodes.ok;
    reporter.error("capture ended by itself", { why: source.problem!.message });
    return exitCodes.failed;
  } finally {
    await deepLane?.stop();
  }
}

function guardOf({ bufferMb, sampleMax }: Options<typeof options>): OverloadGuard {
  return new OverloadGuard({
    bufferBytes: bufferMb * 1024 * 1024,
    levelMax: Math.floor(Math.log2(sampleMax)),
  });
}

/** From here on the fleet's policy holds, where the sensor's own options leave it room, and upgrades are taken.
 * Returns a signal that also aborts when another program is to be started. */
async function heedCentre(
  session: Session,
  given: Options<typeof options>,
  running: Omit<Parameters<typeof policyApplier>[1], "limitUpload">,
  signal: AbortSignal,
): Promise<AbortSignal> {
  const captureProblem = () => running.source.problem?.message ?? null;
  const limitUpload = (bytesPerS: number) => session.shipper.limit(bytesPerS);
  session.heed({ own: ownFields(given, options), trialMs: given.policyTrialS * 1_000 }, {
    apply: policyApplier(given, { ...running, limitUpload }),
    captureProblem,
  });
  const restarting = new AbortController();
  const restart = () => restarting.abort();
  await session.takeUpgrades(given.upgradeTrialS * 1_000, { captureProblem, restart });
  return AbortSignal.any([signal, restarting.signal]);
}

/** The first interface that is up and not loopback. */
async function firstInterface(stages: Stages, dumpcapPath: string): Promise<string> {
  const all = await stages.interfaces(dumpcapPath);
  const found = all.find((candidate) => candidate.isUp && !candidate.isLoopback) ??
    all.find((candidate) => !candidate.isLoopback && candidate.name !== "any");
  if (found) return found.name;
  throw new CommandError(
    exitCodes.environment,
    "Cannot run as no interface to capture on was found: name one with --interface, see `picket-sensor interfaces`",
  );
}
