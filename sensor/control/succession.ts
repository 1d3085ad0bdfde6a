/** One identity takes the place of another in a state folder, and what waits in the spool goes with it.
 *
 * In: the identity there was, the one that was enrolled now. Out: the new one in force; what became of the batches.
 * Invariant: no batch is lost but by `discard`. The new identity is in force, with a note of whose batches are to be
 * carried over, before the first of them is touched; a session that finds the note finishes the work. @module */

import { type Edges, randomOf } from "../../shared/command.ts";
import type { Disk } from "../disk.ts";
import { batchesIn, carryOver } from "./carry_over.ts";
import { base64, type Enrolment, type Identity, raiseEpoch, saveEnrolment } from "./identity.ts";

export interface SpoolOutcome {
  /** Sealed anew. */
  carried: number;
  left: number;
  discarded: number;
  /** Where they are kept, as the fleet has another number of buckets; null = nowhere. */
  kept_in: string | null;
}

export class Succession {
  #folder: string;
  #disk: Disk;
  #edges: Pick<Edges, "clock" | "reporter" | "randomBytes">;

  constructor(
    folder: string,
    deps: { disk: Disk; edges: Pick<Edges, "clock" | "reporter" | "randomBytes"> },
  ) {
    this.#folder = folder;
    this.#disk = deps.disk;
    this.#edges = deps.edges;
  }

  async run(
    before: Identity | null,
    after: Identity,
    enrolment: Enrolment,
    { isNext, discard }: { isNext: boolean; discard: boolean },
  ): Promise<SpoolOutcome> {
    const outcome: SpoolOutcome = { carried: 0, left: 0, discarded: 0, kept_in: null };
    const old = before?.enrolment;
    const disk = this.#disk, folder = this.#folder, spool = `${folder}/spool`;
    const { reporter } = this.#edges;
    // What an earlier succession did not finish belongs to the identity that is to go now.
    if (before?.carry) await carryOver(spool, before, { disk, reporter });
    const waiting = batchesIn(await disk.list(spool).catch(() => []));
    const isSame = before === null || !old ||
      (before.key === after.key && old.sensor_id === enrolment.sensor_id);
    if (isSame || waiting.length === 0) {
      await saveEnrolment(disk, folder, enrolment, { isNext });
      return outcome;
    }
    if (!discard && old.buckets !== enrolment.buckets) {
      outcome.kept_in = `${spool}-of-${old.sensor_id}-${this.#edges.clock.nowMs()}`;
      await disk.rename(spool, outcome.kept_in);
    }
    if (discard || outcome.kept_in !== null) {
      await saveEnrolment(disk, folder, enrolment, { isNext });
      if (!discard) return outcome;
      for (const { name } of waiting) await disk.remove(`${spool}/${name}`);
      return { ...outcome, discarded: waiting.length };
    }
    const random = randomOf(this.#edges), nowMs = this.#edges.clock.nowMs();
    const { epoch } = await raiseEpoch(disk, folder, { nowMs, random, floor: waiting.at(-1)!.epoch });
    const carry = { sensor: old.sensor_id, public_key: base64(before.publicKey), epoch };
    await saveEnrolment(disk, folder, enrolment, { isNext, carry });
    try {
      const done = await carryOver(spool, { ...after, enrolment, carry }, { disk, reporter });
      await saveEnrolment(disk, folder, enrolment);
      return { ...outcome, ...done };
    } catch (error) {
      reporter.error("cannot carry all batches over, the next run continues", {
        error: (error as Error).message,
      });
      return { ...outcome, left: waiting.length };
    }
  }
}
