/** The two equations that show that nothing was lost on the way.
 *
 * In: what sensors say of their capture and their batches, what the ledger holds. Out: both sides, and the difference.
 * Invariant: packets = in_flows + sum(left_out) + unaccounted; sealed = stored + spooled + dropped + in_flight.
 * @module */

import type { CheckInRequest } from "../../shared/control.ts";
import { cardDrops } from "../../shared/control_messages.ts";

export interface Conservation {
  /** Packets the sensor was given. */
  packets: number;
  in_flows: number;
  /** By cause. */
  left_out: Record<string, number>;
  /** Packets the kernel or dumpcap dropped before the sensor saw them; not part of `packets`. */
  dropped: number;
  /** Packets card and driver dropped before that, where it is known. */
  card_dropped: number;
  /** Must be 0. */
  unaccounted: number;
}

/** Batches taken in of one bucket; a row of `Store.readPositions`. */
export interface Position {
  bucket: number;
  seq_max: number;
  batches: number;
}

/** Batches of the sensor's current epoch. */
export interface Delivery {
  sealed: number;
  stored: number;
  spooled: number;
  dropped: number;
  /** Sealed, no longer with the sensor, not yet stored: on the wire or in Kafka. Never negative. */
  in_flight: number;
}

/** Sums the captures of any number of sensors. */
export function conservationOf(captures: readonly CheckInRequest["capture"][]): Conservation {
  const sum: Conservation = {
    packets: 0,
    in_flows: 0,
    left_out: {},
    dropped: 0,
    card_dropped: 0,
    unaccounted: 0,
  };
  for (const capture of captures) {
    sum.packets += capture.packets;
    sum.in_flows += capture.in_flows;
    sum.dropped += capture.dropped;
    sum.card_dropped += cardDrops(capture.interfaces ?? []);
    sum.unaccounted += capture.packets - capture.in_flows;
    for (const [cause, packets] of Object.entries(capture.left_out)) {
      sum.left_out[cause] = (sum.left_out[cause] ?? 0) + packets;
      sum.unaccounted -= packets;
    }
  }
  return sum;
}

/** Compares what a sensor sealed in this epoch with what came. The spool may also hold batches of earlier epochs. */
export function deliveryOf(checkIn: CheckInRequest, positions: readonly Position[]): Delivery {
  const sealed = Object.values(checkIn.sealed).reduce((sum, seq) => sum + seq, 0);
  const stored = positions.reduce((sum, position) => sum + position.batches, 0);
  const { batches: spooled, dropped_batches: dropped } = checkIn.spool;
  return { sealed, stored, spooled, dropped, in_flight: Math.max(0, sealed - stored - spooled - dropped) };
}
