/** Traffic summed up: by second, address and protocol. Times are epoch seconds, sizes IP-layer octets. @module */

/** Traffic of one second of packet time, by sensor vantage counts that are the flow's. */
export interface TrafficRow {
  second: number;
  sensor_id: string;
  protocol: string;
  flows: number;
  packets: number;
  bytes: number;
}

export interface TopTalker {
  ip: string;
  flows: number;
  sent_bytes: number;
  received_bytes: number;
  total_bytes: number;
  total_packets: number;
}

export interface ProtocolTotal {
  protocol: string;
  app_protocol: string;
  flows: number;
  packets: number;
  bytes: number;
}

export interface SeriesPoint {
  /** Start of the step, epoch seconds. */
  time: number;
  flows: number;
  packets: number;
  bytes: number;
}

/** One part of the traffic over time; a list has a value for each step, zeros included. */
export interface SeriesStack {
  /** Protocol or sensor id; "" = all that have no stack of their own. */
  name: string;
  flows: number[];
  packets: number[];
  bytes: number[];
}

/** Octets and packets of hosts outside. */
export interface OutsideTraffic {
  /** The largest first. */
  cells: { ip: string; time: number; packets: number; bytes: number }[];
  /** Of all of them, also of those that have no cell. */
  totals: { time: number; packets: number; bytes: number }[];
}

export interface Totals {
  flows: number;
  packets: number;
  bytes: number;
  sightings: number;
  threats: number;
  first: number | null;
  last: number | null;
}
