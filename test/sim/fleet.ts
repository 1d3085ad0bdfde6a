/** The delivery path of a whole fleet in one process, from a seed:
 * three sensors, a broker or HTTP, two aggregators, one database.
 *
 * In: a seed, which draws the way, the traffic and every fault.
 * Out: what differs from the oracle, in words; counts of what happened.
 * Course: a minute of faults, then everything heals and must come to rest: spools empty, topic read.
 * Then the books are compared.
 * Invariant: the same seed is the same run, to the last waking; `trace` says so. @module */

import { Buffer } from "node:buffer";
import { sqlStore } from "../../aggregator/store/sql_store.ts";
import { SqliteDatabase } from "../../aggregator/store/sqlite.ts";
import type { Store } from "../../aggregator/store/store.ts";
import { KafkaTransport } from "../../sensor/ship/kafka.ts";
import { keyId, sha256Hex } from "../../shared/batch.ts";
import { createReporter } from "../../shared/reporter.ts";
import { AggregatorNode, type DatabaseFaults } from "./aggregator_node.ts";
import { type ProduceFaults, SimBroker } from "./broker.ts";
import { type HttpFaults, HttpWay } from "./http_way.ts";
import { Oracle } from "./oracle.ts";
import { SensorNode } from "./sensor_node.ts";
import { Process, World } from "./world.ts";

export interface Outcome {
  seed: number;
  way: "http" | "kafka";
  /** What is wrong; empty = nothing. */
  differences: string[];
  batches: number;
  /** Batches that a fault destroyed on purpose. */
  destroyed: number;
  faults: Record<string, number>;
  trace: number;
}

const sensorsCount = 3;
const faultsMs = 60_000;
const restStepMs = 10_000;
/** Longer than anything in the simulation is late or paused. */
const ledgerMs = 45_000;
/** Sending pauses grow to 30 s; nothing may take longer than some of them. */
const restMsMax = 600_000;

export async function simulate(seed: number): Promise<Outcome> {
  const fleet = await Fleet.make(seed);
  try {
    return await fleet.run();
  } finally {
    await fleet.database.close();
  }
}

class Fleet {
  readonly #sensors: SensorNode[];
  readonly #aggregators: AggregatorNode[];
  readonly #broker: SimBroker | null;
  readonly #http: HttpWay;
  readonly #faults: Record<string, number> = {};
  readonly #databaseFaults: DatabaseFaults;
  readonly #wayFaults: HttpFaults & ProduceFaults;
  /** Whoever does what happens from outside. */
  readonly #fate: Process;

  constructor(
    readonly seed: number,
    readonly world: World,
    readonly oracle: Oracle,
    readonly database: SqliteDatabase,
    readonly store: Store,
  ) {
    const some = (max: number) => world.chance(0.5) ? world.between(0, max) : 0;
    this.#databaseFaults = { refused: some(0.05), deadlock: some(0.2), ambiguous: some(0.3) };
    this.#wayFaults = {
      lost: some(0.3),
      unreached: some(0.3),
      partial: some(0.2),
      late: some(0.2),
      twice: some(0.3),
      unanswered: some(0.3),
    };
    const isKafka = world.chance(0.6);
    this.#broker = isKafka ? new SimBroker(world, oracle, this.#wayFaults) : null;
    this.#fate = new Process(world, "fate");
    const faults = this.#databaseFaults;
    // Over HTTP a bucket has no owner: of flows that go on, two instances would know only parts.
    const count = isKafka || world.chance(0.5) ? 2 : 1;
    this.#aggregators = Array.from(
      { length: count },
      (_, i) => new AggregatorNode(`aggregator-${i}`, { world, database, faults, broker: this.#broker }),
    );
    this.#http = new HttpWay(world, this.#wayFaults, this.#aggregators);
    this.#sensors = Array.from({ length: sensorsCount }, (_, i) =>
      new SensorNode(i + 1, {
        world,
        oracle,
        hasParts: isKafka || count === 1,
        epochKnown: async (sensor) =>
          Math.max(0, ...(await store.readEpochs(sensor)).map(({ epoch }) => epoch)),
        wayOf: (process) =>
          this.#broker ? new KafkaTransport(this.#broker.clientOf(process)) : this.#http.transportOf(process),
      }));
  }

  static async make(seed: number): Promise<Fleet> {
    const world = new World(seed);
    const clock = new Process(world, "database");
    const reporter = createReporter({ component: "test", write: () => {}, clock });
    const database = new SqliteDatabase(":memory:", { reporter, clock });
    const store = sqlStore(database, { reporter, clock });
    await store.start();
    return new Fleet(seed, world, new Oracle(), database, store);
  }

  async run(): Promise<Outcome> {
    const { seed, world, oracle } = this;
    await this.#enrol();
    for (const node of [...this.#aggregators, ...this.#sensors]) node.start();
    for (let ms = 0; ms < faultsMs && world.failures.length === 0;) {
      const stepMs = world.between(200, 4_000);
      await world.run(stepMs);
      ms += stepMs;
      await this.#strike();
    }
    this.#heal();
    const isAtRest = await this.#rest();
    const differences = [...world.failures];
    if (!isAtRest) differences.push("it does not come to rest");
    else if (differences.length === 0) differences.push(...await this.#compare());
    return {
      seed,
      way: this.#broker ? "kafka" : "http",
      differences,
      batches: oracle.batches,
      destroyed: oracle.destroyed,
      faults: this.#faults,
      trace: world.trace,
    };
  }

  async #enrol(): Promise<void> {
    const nowMs = this.#fate.nowMs();
    for (const { id, publicKey } of this.#sensors) {
      const token_hash = sha256Hex(id);
      await this.store.addJoinToken({
        token_hash,
        site: "lab",
        tags: [],
        created_ms: nowMs,
        expires_ms: nowMs + 900_000,
        uses_max: 1,
        uses: 0,
        needs_approval: false,
        revoked_ms: null,
        used_ms: null,
        used_by: null,
      });
      const public_key = Buffer.from(publicKey).toString("base64");
      const sensor = { sensor_id: id, name: id, key_id: keyId(publicKey), public_key };
      await this.store.redeemJoinToken(token_hash, sensor, nowMs);
    }
  }

  /** One fault, or none. */
  async #strike(): Promise<void> {
    const { world } = this;
    const sensor = world.pick(this.#sensors), aggregator = world.pick(this.#aggregators);
    const strikes: Record<string, () => void | Promise<void>> = {
      kill_sensor: () => this.#restart(sensor, () => sensor.kill(false)),
      power_cut: () => this.#restart(sensor, () => sensor.kill(true)),
      pause_sensor: () => this.#pause(sensor.process),
      bit_rot: () => sensor.rot(),
      disk_full: () =>
        this.#for(5_000, () => sensor.disk.bytesMax = sensor.disk.bytes, () => {
          sensor.disk.bytesMax = Infinity;
        }),
      disk_errors: () => this.#for(5_000, () => sensor.disk.failRatio = 0.2, () => sensor.disk.failRatio = 0),
      clock_jump: () => sensor.jump(world.between(-7_200_000, 7_200_000)),
      kill_aggregator: () => this.#restart(aggregator, () => aggregator.kill()),
      pause_aggregator: () => this.#pause(aggregator.process),
      partition: () => this.#for(15_000, () => this.#reachable(false), () => this.#reachable(true)),
      prune_ledger: () => this.#prune(),
    };
    const { strikesOfBroker } = this;
    if (this.#broker) Object.assign(strikes, strikesOfBroker(this.#broker));
    const name = world.pick(Object.keys(strikes));
    this.#faults[name] = (this.#faults[name] ?? 0) + 1;
    await strikes[name]();
  }

  /** As retention does, only that a day is {@link ledgerMs}. */
  async #prune(): Promise<void> {
    await this.store.pruneLedger(this.#fate.nowMs() - ledgerMs);
    await this.store.pruneGaps(this.#fate.nowMs() - ledgerMs);
  }

  strikesOfBroker(broker: SimBroker): Record<string, () => void> {
    return {
      rebalance: () => broker.rebalance(),
      topic_made_anew: () => broker.makeAnew(),
      topic_retention: () => broker.trim(),
      garbage: () => broker.litter(),
    };
  }

  #reachable(is: boolean): void {
    this.#http.isReachable = is;
    if (this.#broker) this.#broker.isReachable = is;
  }

  #restart(node: SensorNode | AggregatorNode, kill: () => void): void {
    if (!node.process.isAlive) return;
    kill();
    this.#for(8_000, () => {}, () => node.process.isAlive || node.start());
  }

  #pause(process: Process): void {
    this.#for(25_000, () => process.isPaused = true, () => {
      process.isPaused = false;
    });
    if (this.#broker) this.#for(12_000, () => {}, () => this.#broker!.rebalance());
  }

  #for(msMax: number, begin: () => void, end: () => void): void {
    begin();
    this.world.spawn(this.#fate, this.#fate.moment(msMax).then(end));
  }

  #heal(): void {
    this.#fate.kill();
    this.#reachable(true);
    Object.assign(this.#databaseFaults, { refused: 0, deadlock: 0, ambiguous: 0 });
    Object.assign(this.#wayFaults, { lost: 0, unreached: 0, partial: 0, late: 0, twice: 0, unanswered: 0 });
    for (const sensor of this.#sensors) {
      sensor.disk.bytesMax = Infinity;
      sensor.disk.failRatio = 0;
      sensor.isQuiet = true;
    }
    for (const node of [...this.#sensors, ...this.#aggregators]) {
      node.process.isPaused = false;
      if (!node.process.isAlive) node.start();
    }
  }

  /** Whether spools are empty and the topic is read, twice in a row. */
  async #rest(): Promise<boolean> {
    await this.world.run(restStepMs);
    this.#broker?.rebalance();
    let calm = 0;
    for (let ms = 0; ms < restMsMax && this.world.failures.length === 0; ms += restStepMs) {
      await this.world.run(restStepMs);
      await this.#prune();
      const isEmpty = this.#sensors.every(({ spool }) => spool?.batches === 0 && spool.unwritten === 0);
      const isRead = this.#broker?.partitions.every((partition) =>
        this.#aggregators.some(({ consumer }) =>
          consumer?.isAtEnd(partition)
        )
      ) ?? true;
      const isIdle = this.#aggregators.every(({ ingest }) => ingest?.status.queued === 0);
      calm = isEmpty && isRead && isIdle ? calm + 1 : 0;
      if (calm === 4) return true;
    }
    return this.world.failures.length > 0;
  }

  /** Check-ins say what was sealed; then the books must balance. */
  async #compare(): Promise<string[]> {
    this.#aggregators[0].ingest!.expect(this.oracle.sealed());
    await this.world.run(restStepMs);
    return [...this.world.failures, ...await this.oracle.differences(this.store)];
  }
}
