/** A simulated aggregator: the real ingest, and the real reader of partitions,
 * over one SQLite database in memory that several share.
 *
 * In: a world, a database, the broker where there is one. Out: answers to batches; rows.
 * The database is reached over a way that fails before anything is done, in the middle (a deadlock), and after COMMIT
 * was done but before its reply was read. A killed process neither asks nor hears any more. @module */

import { Ingest } from "../../aggregator/ingest/ingest.ts";
import type { Database, Session } from "../../aggregator/store/database.ts";
import { sqlStore } from "../../aggregator/store/sql_store.ts";
import { type Store, StoreUnavailable } from "../../aggregator/store/store.ts";
import type { Answer } from "../../sensor/aggregator_client.ts";
import { createReporter } from "../../shared/reporter.ts";
import type { SimBroker } from "./broker.ts";
import { SimConsumer } from "./consumer.ts";
import { buckets } from "./sensor_node.ts";
import { Process, type World } from "./world.ts";

/** How often the way to the database fails; each a probability. */
export interface DatabaseFaults {
  refused: number;
  deadlock: number;
  ambiguous: number;
}

/** Before a deadlock; an ingest transaction has some more. */
const statementsMax = 16;

export interface AggregatorDeps {
  world: World;
  database: Database;
  faults: DatabaseFaults;
  broker: SimBroker | null;
}

export class AggregatorNode {
  process: Process;
  store: Store | null = null;
  ingest: Ingest | null = null;
  consumer: SimConsumer | null = null;

  constructor(readonly name: string, readonly deps: AggregatorDeps) {
    this.process = new Process(deps.world, name);
  }

  start(): void {
    const { world } = this.deps;
    this.process = new Process(world, this.name);
    world.spawn(this.process, this.#run(this.process));
  }

  kill(): void {
    this.process.kill();
    this.consumer?.leave();
    this.ingest = this.store = this.consumer = null;
  }

  /** As the API answers a batch. */
  async post(headers: Readonly<Record<string, string>>, body: Uint8Array): Promise<Answer> {
    const answer = (status: number, body: unknown) => ({
      ok: true as const,
      status,
      body,
      retryAfterMs: null,
      dateMs: null,
    });
    if (this.ingest === null) return { ok: false, problem: "unreachable", message: "connection refused" };
    try {
      const outcome = await this.ingest.submit((name) => headers[name], body);
      if (outcome.outcome !== "refused") return answer(200, { outcome: outcome.outcome });
      return answer(422, { code: outcome.reason });
    } catch (error) {
      return answer(503, { code: "busy", detail: (error as Error).message });
    }
  }

  async #run(process: Process): Promise<void> {
    const { world, database, faults, broker } = this.deps;
    const reporter = createReporter({ component: "test", write: () => {}, clock: process });
    const store = sqlStore(faultyDatabase(database, process, faults), { reporter, clock: process });
    const ingest = new Ingest({ buckets }, { store, reporter, clock: process });
    while (true) {
      try {
        await ingest.start({ isLater: broker !== null });
        break;
      } catch (error) {
        // The service manager starts it again.
        if (!(error instanceof StoreUnavailable)) throw error;
        await process.sleep(1_000);
      }
    }
    this.store = store;
    this.ingest = ingest;
    if (broker === null) return;
    this.consumer = new SimConsumer({ world, process, broker, ingest, store, reporter });
    this.consumer.start();
  }
}

function faultyDatabase(database: Database, process: Process, faults: DatabaseFaults): Database {
  const { world } = process;
  let deadlocks = 0;
  const way = async () => {
    await process.moment(10);
    if (world.chance(faults.refused)) throw new StoreUnavailable("the way to the database is broken");
  };
  const read = async <Result>(work: (session: Session) => Promise<Result>) => {
    await way();
    const result = await database.read(work);
    await process.moment(10);
    return result;
  };
  return {
    dialect: database.dialect,
    open: () => Promise.resolve(),
    close: () => Promise.resolve(),
    read,
    query: read,
    ping: way,
    async transaction(work) {
      await way();
      const isDeadlock = world.chance(faults.deadlock);
      const result = await database.transaction(async (session) => {
        if (!isDeadlock) return await work(session);
        await work(deadlocked(session, deadlocks++ % statementsMax));
        throw deadlock();
      });
      await process.moment(20);
      if (world.chance(faults.ambiguous)) throw new StoreUnavailable("connection lost before the reply");
      return result;
    },
    define: (sql) => database.define(sql),
    isDuplicateKey: (error) => database.isDuplicateKey(error),
  };
}

/** Its statements fail after the first `left`. With all of them done, a commit in place of the rollback would show
 * nowhere. */
function deadlocked(session: Session, left: number): Session {
  const take = async <Result>(ask: () => Promise<Result>) => {
    if (left-- <= 0) throw deadlock();
    return await ask();
  };
  return {
    all: (sql, values) => take(() => session.all(sql, values)),
    run: (sql, values) => take(() => session.run(sql, values)),
    batch: (sql, rows) => take(() => session.batch(sql, rows)),
    insert: (table, columns, rows) => take(() => session.insert(table, columns, rows)),
  };
}

function deadlock(): StoreUnavailable {
  return new StoreUnavailable("deadlock: try again");
}
