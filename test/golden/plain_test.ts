/** What the sensor reads on the spot, against what tshark says of the same packets.
 *
 * In: ../shared/data/pcap, where it is. Out: facts and application protocols, packet by packet, are equal.
 * Why one by one: the yield of a capture could hide two faults that cancel out. @module */

import { assert, assertEquals } from "@std/assert";
import { systemClock } from "../../shared/clock.ts";
import { createReporter } from "../../shared/reporter.ts";
import { FileSource } from "../../sensor/capture/file_source.ts";
import { pump } from "../../sensor/capture/pump.ts";
import { PacketChooser } from "../../sensor/dissect/choose.ts";
import { DissectLane } from "../../sensor/dissect/lane.ts";
import { PlainMemory, readPlain } from "../../sensor/dissect/plain/plain.ts";
import { plainKind } from "../../sensor/dissect/plain/plain_kind.ts";
import type { DeepLane } from "../../sensor/dissect/deep_lane.ts";
import { Pipeline } from "../../sensor/pipeline.ts";
import { isTlsPort } from "../../sensor/dissect/signs.ts";
import { newFacts, type Reading, takenFrom, written } from "../sensor/dissect/readings.ts";
import { forgetProgram, program } from "./facts_yield.ts";

const folder = new URL("../../../shared/data/pcap", import.meta.url).pathname;
/** Kinds tshark does not know on the ports they are read on, and those of which it is not asked what we read:
 * see calls_test.ts. */
const beyondTshark: ReadonlySet<number> = new Set([
  plainKind.ssh,
  plainKind.sshAnswer,
  plainKind.gnutella,
  plainKind.rpc,
  plainKind.pipe,
  plainKind.ics,
  plainKind.ldap,
  plainKind.cldap,
  plainKind.login,
  plainKind.nbns,
  plainKind.snmp,
]);

const bodies: ReadonlySet<number> = new Set([plainKind.requestBody, plainKind.responseBody]);

/** Reads every chosen packet with the dissector, and the plain ones on the spot too;
 * gives each packet a flow of its own. */
class TwiceRead implements DeepLane {
  readonly here = new Map<number, Reading>();
  /** Hellos on ports where tshark guesses, and takes some for BitTorrent's or for nothing. */
  readonly #guessed = new Set<number>();
  readonly #memory = new PlainMemory();
  readonly #chooser: PacketChooser;
  readonly #lane: DissectLane;
  /** By flow, the packet that began the flight whose certificate was read last. */
  readonly #flights = new Map<number, number>();
  #packets = 0;

  constructor(chooser: PacketChooser, lane: DissectLane) {
    this.#chooser = chooser;
    this.#lane = lane;
  }

  get answeredTicket(): number {
    return this.#lane.answeredTicket;
  }

  offer(
    buffer: Uint8Array,
    offset: number,
    captured: number,
    wire: number,
    timeUs: number,
    flowId: number,
  ): number {
    // Bodies are never given to the dissector, which would wait for their end.
    if (bodies.has(this.#chooser.plainKind)) return 0;
    // The dissector tells of a flight when it is whole, we when we see what it begins with.
    const flight = this.#chooser.isContinuing ? this.#flights.get(flowId) : undefined;
    const packet = flight ?? ++this.#packets;
    if (!beyondTshark.has(this.#chooser.plainKind)) {
      const facts = newFacts();
      const app_protocol = readPlain(this.#chooser, buffer, facts, flowId, this.#memory);
      const reading = facts.isEmpty ? null : written(facts);
      if (app_protocol !== null) this.here.set(packet, { app_protocol, facts: reading });
      if (this.#chooser.plainKind === plainKind.hello && !isTlsPort(this.#chooser.plainPort)) {
        this.#guessed.add(packet);
      }
      if (reading?.tls?.certificate_not_after) this.#flights.set(flowId, packet);
    }
    return this.#lane.offer(buffer, offset, captured, wire, timeUs, packet);
  }

  noteStart(): number {
    return 0;
  }

  takeFacts(): string {
    return "";
  }

  turn(): Promise<void> {
    return this.#lane.turn();
  }

  drain(): Promise<void> {
    return this.#lane.drain();
  }

  /** Packets of which the two say different things. */
  differences(): { packet: number; here: Reading; tshark: Reading }[] {
    const found = [];
    for (const [packet, here] of this.here) {
      const tshark = takenFrom(this.#lane, packet);
      // It does not look for every tunnel.
      if (tshark.facts === null && (tshark.app_protocol === "" || this.#guessed.has(packet))) continue;
      // Of a hello behind something else the name is tshark's to tell.
      const named = { ...here, app_protocol: here.app_protocol || tshark.app_protocol };
      const asRead = withoutBodies(tshark.facts?.tls?.certificate_subject ? named : withoutNames(named));
      if (JSON.stringify(sorted(asRead)) !== JSON.stringify(sorted(tshark))) {
        found.push({ packet, here, tshark });
      }
    }
    return found;
  }
}

/** tshark lists the parts of a certificate's names apart, and where the lists do not add up we take none;
 * read here they do. */
function withoutNames(reading: Reading): Reading {
  const { app_protocol, facts } = reading;
  if (!facts?.tls) return reading;
  const { certificate_subject: _, certificate_issuer: __, ...tls } = facts.tls;
  return { app_protocol, facts: { ...facts, tls } };
}

/** tshark is not asked for bodies. */
function withoutBodies(reading: Reading): Reading {
  const { app_protocol, facts } = reading;
  if (!facts?.http) return reading;
  const http = facts.http.map(({ body: _, magic: __, ...message }) => message);
  return { app_protocol, facts: { ...facts, http } };
}

function sorted(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(sorted);
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(
    Object.entries(value).sort(([a], [b]) => a < b ? -1 : 1).map(([k, v]) => [k, sorted(v)]),
  );
}

/** What is read of one capture, both ways. */
export async function readTwice(file: string): Promise<TwiceRead> {
  const reporter = createReporter({ component: "plain", quiet: true });
  const chooser = new PacketChooser();
  const lane = new DissectLane({ live: false, flowsMax: 4_000_000 }, {
    program,
    clock: systemClock,
    reporter,
  });
  await lane.start();
  const twice = new TwiceRead(chooser, lane);
  const source = new FileSource(file);
  try {
    const deps = { sink: { take() {} }, reporter, clock: systemClock, deepLane: twice, chooser };
    const pipeline = new Pipeline({ live: false }, deps);
    await source.start();
    await pump(source, pipeline, () => pipeline.turn());
    await pipeline.finish();
  } finally {
    await source.stop();
    await lane.stop();
  }
  return twice;
}

function capturesHere(): string[] {
  try {
    return [...Deno.readDirSync(folder)].map(({ name }) => name).filter((name) => /\.pcap(ng)?$/.test(name))
      .sort();
  } catch {
    return [];
  }
}

const captures = capturesHere();
if (captures.length === 0) {
  const words = "SKIPPED: plain readings are not compared, as ../shared/data/pcap is not here\n";
  Deno.stderr.writeSync(new TextEncoder().encode(words));
}

Deno.test({
  name: "what is read on the spot is what tshark says of the same packet",
  ignore: captures.length === 0,
  async fn() {
    let packets = 0;
    const list: string[] = [];
    for (const name of captures) {
      const twice = await readTwice(`${folder}/${name}`);
      packets += twice.here.size;
      for (const { packet, here, tshark } of twice.differences()) {
        list.push(`${name} ${packet}: ${JSON.stringify(here)} is not ${JSON.stringify(tshark)}`);
      }
    }
    await forgetProgram();
    assert(packets > 10_000, `only ${packets} packets were read on the spot`);
    assertEquals(list.length, 0, `${list.length} of ${packets}:\n${list.slice(0, 20).join("\n")}`);
  },
});
