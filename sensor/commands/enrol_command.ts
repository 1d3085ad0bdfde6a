/** `picket-sensor enrol`: gives this machine a place in the fleet. @module */

import type { Options, OptionTable } from "../../shared/options.ts";
import {
  type Command,
  command,
  CommandError,
  type Edges,
  exitCodes,
  randomOf,
} from "../../shared/command.ts";
import type { AggregatorClient } from "../aggregator_client.ts";
import { fetchAuthority } from "../authority.ts";
import { enrolPatiently } from "../control/enrol.ts";
import {
  createIdentity,
  type Identity,
  IdentityError,
  loadIdentity,
  nextIdentity,
  openStateFolder,
} from "../control/identity.ts";
import { lockState } from "../control/state_lock.ts";
import { type SpoolOutcome, Succession } from "../control/succession.ts";
import { type Invitation, readInvitation } from "../control/join_string.ts";
import type { Disk } from "../disk.ts";
import {
  aggregatorOptions,
  authorityFor,
  generalOptions,
  openAggregator,
  stateFolder,
} from "../run/common_options.ts";

const options = {
  ...generalOptions,
  ...aggregatorOptions,
  token: {
    kind: "text",
    default: "",
    help:
      "Join token from `picket-aggregator token create`; unless made otherwise it works once, for 15 minutes",
  },
  name: {
    kind: "text",
    default: "",
    help: "What people call this sensor, unique in the fleet; else the host name",
  },
  newKey: {
    kind: "flag",
    default: false,
    help:
      "Make a new key and forget the old one, as after the sensor was revoked; batches that wait are sealed anew",
  },
  discardSpool: {
    kind: "flag",
    default: false,
    help: "Delete batches that wait in the spool instead of carrying them over to the new identity",
  },
  timeoutMs: { kind: "number", default: 10_000, min: 100, max: 600_000, help: "Wait this long, ms" },
} as const satisfies OptionTable;
type EnrolOptions = Options<typeof options>;

/** Where to enrol, and with what. */
type Target = Pick<Invitation, "url" | "token"> & { invitation: Invitation | null };

export function enrolCommand(deps: { disk: Disk; hostname: () => string }): Command {
  return command({
    name: "enrol",
    summary: "join a fleet with a one-time token",
    operands: "[picket://HOST:PORT/TOKEN#FINGERPRINT]",
    about:
      `Makes this machine's key (it never leaves the state folder) and redeems a join token at the aggregator.
The aggregator prints the string that holds its address, a token and the fingerprint of its certificate authority; quote it for the
shell. The authority is fetched, compared with the fingerprint, and kept: every later command trusts it. Get a token alone with
\`picket-aggregator token\`. Giving the same command again after a lost answer is safe.`,
    examples: [
      "enrol 'picket://10.0.0.5:8600/TOKEN#FINGERPRINT'",
      "enrol --aggregator http://127.0.0.1:8600 --token TOKEN --name garage-pi",
      "enrol --aggregator https://picket.example --aggregator-ca ca.pem --token TOKEN",
    ],
    options,
    run: (given, operands, edges) => new Enrolling(deps, given, edges).run(operands),
  });
}

class Enrolling {
  readonly #folder: string;

  constructor(
    readonly deps: { disk: Disk; hostname: () => string },
    readonly given: EnrolOptions,
    readonly edges: Edges,
  ) {
    this.#folder = stateFolder(given.state, edges.env);
  }

  async run(operands: string[]): Promise<number> {
    const { given } = this;
    const { disk } = this.deps;
    const target = targetOf(given, operands);
    const name = this.#name();
    await openStateFolder(disk, this.#folder);
    const before = await loadIdentity(disk, this.#folder);
    const authority = await this.#authority(target, before?.enrolment ?? null);
    const client = openAggregator(target.url, authority, given.timeoutMs);
    const isOther = before !== null && (given.newKey || before.enrolment?.aggregator !== client.url);
    const lock = isOther ? await this.#lock() : null;
    try {
      return await this.#redeem(client, { before, authority }, { token: target.token, name });
    } finally {
      lock?.release();
      client.close();
    }
  }

  async #redeem(
    client: AggregatorClient,
    { before, authority }: { before: Identity | null; authority: string | null },
    request: { token: string; name: string },
  ): Promise<number> {
    const { given, edges } = this;
    const { disk } = this.deps;
    const isNext = before !== null && given.newKey;
    const identity = isNext || before === null ? await this.#newIdentity(isNext) : before;
    const result = await enrolPatiently(client, identity, request, {
      clock: edges.clock,
      signal: edges.signal,
      random: randomOf(edges),
      onWait: (waitMs, message) => {
        const seconds = Math.round(waitMs / 1_000);
        edges.reporter.info(`${message}; asking again`, { in_s: seconds });
      },
    });
    if (!result.ok) {
      const isOutside = result.problem !== "refused";
      throw new CommandError(
        isOutside ? exitCodes.environment : exitCodes.failed,
        `Cannot enrol: ${result.message}`,
      );
    }
    const enrolment = { ...result.enrolment, aggregator_ca: authority };
    const succession = new Succession(this.#folder, { disk, edges });
    const spool = await succession.run(before, identity, enrolment, { isNext, discard: given.discardSpool });
    this.#print(enrolment, spool);
    return exitCodes.ok;
  }

  /** @throws {CommandError} when a sensor runs: it would go on sealing as the one it was. */
  async #lock(): Promise<{ release(): void }> {
    const lock = await lockState(this.#folder, this.edges.clock);
    if (lock) return lock;
    throw new CommandError(
      exitCodes.environment,
      `Cannot enrol anew as a sensor runs with "${this.#folder}": stop it first`,
    );
  }

  #name(): string {
    const name = this.given.name || this.deps.hostname();
    if (/^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$/.test(name)) return name;
    throw new CommandError(
      exitCodes.usage,
      `Cannot enrol as "--name" must be 1 to 63 letters, digits, ".", "_" or "-": current value is "${name}"`,
    );
  }

  /** The certificate authority to trust: of the option, of the fingerprint,
   * or the one that is known for this address. */
  async #authority(
    { url, invitation }: Target,
    known: { aggregator: string; aggregator_ca: string | null } | null,
  ): Promise<string | null> {
    const { aggregatorCa, timeoutMs } = this.given;
    // As the client writes it: without a slash at the end.
    const isKnown = known !== null && URL.canParse(url) &&
      new URL(url).href.replace(/\/+$/, "") === known.aggregator;
    const remembered = isKnown ? known.aggregator_ca : null;
    if (aggregatorCa !== "" || invitation === null || invitation.fingerprint === null) {
      return await authorityFor(aggregatorCa, remembered);
    }
    const { host, port, fingerprint } = invitation;
    const fetched = await fetchAuthority({ host, port, fingerprint }, timeoutMs);
    if (fetched.ok) return fetched.pem;
    const code = fetched.problem === "other_fingerprint" ? exitCodes.failed : exitCodes.environment;
    throw new CommandError(code, `Cannot enrol: ${fetched.message}`);
  }

  async #newIdentity(isNext: boolean) {
    try {
      const make = isNext ? nextIdentity : createIdentity;
      return await make(this.deps.disk, this.#folder, this.edges.randomBytes(32));
    } catch (cause) {
      if (cause instanceof IdentityError) throw cause;
      throw new IdentityError(
        `Cannot write identity into "${this.#folder}": ${
          (cause as Error).message
        }; name a writable folder with --state`,
        { cause },
      );
    }
  }

  #print(enrolment: {
    sensor_id: string;
    name: string;
    site: string;
    buckets: number;
    kafka: { brokers: string[]; topic: string } | null;
    aggregator: string;
  }, spool: SpoolOutcome): void {
    const { given, edges } = this;
    const { sensor_id, name, site, buckets, kafka, aggregator } = enrolment;
    const way = kafka ? `Kafka (${kafka.brokers.join(", ")}, topic ${kafka.topic})` : "HTTP";
    edges.print(
      given.json
        ? JSON.stringify({ sensor_id, name, site, buckets, kafka, aggregator, state: this.#folder, spool })
        : `${
          spoolText(spool)
        }Enrolled as ${name} (${sensor_id}) at site ${site}; batches go to ${aggregator} over ${way}.\n` +
          `Next: picket-sensor run --interface IF${given.state ? ` --state ${given.state}` : ""}`,
    );
  }
}

function spoolText({ carried, left, discarded, kept_in }: SpoolOutcome): string {
  const lines = [];
  if (carried > 0) {
    lines.push(`${carried} batches that wait in the spool were sealed anew for this identity.`);
  }
  if (left > 0) {
    lines.push(`${left} batches were not carried over: the next run does, and sets aside what is damaged.`);
  }
  if (discarded > 0) lines.push(`${discarded} batches that waited in the spool were deleted.`);
  if (kept_in !== null) {
    lines.push(`Batches of the fleet before are kept in ${kept_in}: this fleet has other buckets.`);
  }
  return lines.map((line) => `${line}\n`).join("");
}

/** @throws {CommandError} when it is not clear where to enrol, or with which token. */
function targetOf(given: EnrolOptions, operands: string[]): Target {
  const usage = (message: string) => new CommandError(exitCodes.usage, `Cannot enrol as ${message}`);
  if (operands.length > 0) {
    const invitation = operands.length === 1 ? readInvitation(operands[0]) : null;
    if (invitation === null) {
      const shown = operands.length === 1 ? operands[0].slice(0, 9) : `${operands.length} arguments`;
      throw usage(
        `what stands behind the command must be one "picket://HOST:PORT/TOKEN#FINGERPRINT", in quotes: current value is ${shown}..`,
      );
    }
    if (given.aggregator !== "" || given.token !== "") {
      throw usage('"--aggregator" and "--token" must be left out beside "picket://..", which holds both');
    }
    return { url: invitation.url, token: invitation.token, invitation };
  }
  if (given.aggregator === "") {
    throw usage('"--aggregator" is missing: name it, or give the string that the aggregator printed');
  }
  if (given.token.length < 20 || given.token.length > 200) {
    throw usage('"--token" must be a join token: make one with `picket-aggregator token`');
  }
  return { url: given.aggregator, token: given.token, invitation: null };
}
