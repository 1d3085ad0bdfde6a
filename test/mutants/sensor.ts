/** From a packet to a batch on its way: decoding, flows, fragments, the prefilter, the spool, shipping. @module */

import { type Mutant, mutantsOf } from "./mutant.ts";

const table = "sensor/flow/table.ts";
const options = "sensor/flow/flow_options.ts";
const tcpState = "sensor/flow/tcp_state.ts";
const fragments = "sensor/flow/fragments.ts";
const direction = "sensor/flow/direction.ts";
const directions = "sensor/flow/directions.ts";
const ip = "sensor/decode/ip.ts";
const noise = "sensor/prefilter/noise.ts";
const kernelFilter = "sensor/prefilter/kernel_filter.ts";
const ownTraffic = "sensor/prefilter/own_traffic.ts";
const overload = "sensor/prefilter/overload.ts";
const spool = "sensor/ship/spool.ts";
const shipper = "sensor/ship/shipper.ts";
const disk = "sensor/disk.ts";

const flowMutants = mutantsOf(["test/sensor/flow/table_test.ts"], [
  ["flow: TCP is idle after 240 s", options, "tcpIdleMs: 120_000,", "tcpIdleMs: 240_000,"],
  ["flow: UDP is idle after 60 s", options, "otherIdleMs: 30_000,", "otherIdleMs: 60_000,"],
  ["flow: unanswered SYNs wait 120 s", options, "unansweredIdleMs: 10_000,", "unansweredIdleMs: 120_000,"],
  ["flow: a long flow is reported every 120 s", options, "activeMs: 60_000,", "activeMs: 120_000,"],
  [
    "flow: a SYN never begins another connection",
    table,
    "this.#isReuse(p, base, directionOf(place))",
    "false",
  ],
  [
    "flow: a start after the clock stepped back",
    table,
    "if (timeUs < floats[half + flowStartUs]) floats[half + flowStartUs] = timeUs;",
    "",
  ],
  ["flow: a full table evicts uncounted", table, "this.evicted++;", ""],
  [
    "flow: flags leak into the next segment",
    "sensor/flow/flow_record.ts",
    "words[base + flags] &= 0xffff0000;",
    "",
  ],
  [
    "TCP state: one FIN closes",
    tcpState,
    "(orig === closed && resp === closed);",
    "orig === closed || resp === closed;",
  ],
  ["TCP state: a rejected connection was reset", tcpState, 'return "REJ";', 'return "RSTR";'],
  [
    "TCP state: a lone SYN is unknown",
    tcpState,
    'resp === inactive) return "S0"',
    'resp === partial) return "S0"',
  ],
  ["TCP state: no normal end", tcpState, 'if (orig === closed && resp === closed) return "SF";', ""],
]);

const directionMutants = mutantsOf(["test/sensor/flow/direction_test.ts"], [
  [
    "direction: a DNS answer asks",
    direction,
    "return (b[at + 2] & 0x80) === 0 ? initiator : responder",
    "return initiator",
  ],
  [
    "direction: an HTTP answer asks",
    direction,
    "b[at + 4] === 0x2f\n  ) {\n    return responder;",
    "b[at + 4] === 0x2f\n  ) {\n    return initiator;",
  ],
  [
    "direction: by ports the other way round",
    direction,
    "if (src < dst) return initiator;",
    "if (src > dst) return initiator;",
  ],
  [
    "direction: remembered for four hours",
    directions,
    "memoryUs = 7_500_000_000",
    "memoryUs = 15_000_000_000",
  ],
  [
    "direction: a SYN-ACK begins",
    direction,
    "if (syn === 0x12) return responder;",
    "if (syn === 0x12) return initiator;",
    ["test/sensor/flow/table_test.ts"],
  ],
]);

const fragmentMutants = mutantsOf(["test/sensor/flow/fragments_test.ts"], [
  ["fragments: wait 60 s", fragments, "lifetimeUs = 30_000_000", "lifetimeUs = 60_000_000"],
  [
    "fragments: those that waited are lost",
    fragments,
    "this.#countSum(place, entry);\n      this.#pendingCount--;",
    "this.#pendingCount--;",
  ],
  ["fragments: identification is ignored", fragments, "key[8] = p.fragmentId;", "key[8] = 0;"],
  ["fragments: orphans are not counted", fragments, "this.orphans += words[base + field.packets];", ""],
]);

const decodeMutants = mutantsOf(["test/sensor/decode/decoder_test.ts"], [
  ["decode: a header shorter than 20 octets", ip, "headerBytes < 20", "headerBytes < 4"],
  [
    "decode: octets that the wire did not carry",
    ip,
    "if (total > cursor.wireLimit - o) total = cursor.onWire(total, o);",
    "",
  ],
  [
    "decode: an extension longer than the packet",
    ip,
    "if (bytes > p.payloadLength) return;\n    if (p.protocol === 135",
    "if (p.protocol === 135",
  ],
  ["decode: the offset of a fragment in octets", ip, "(fragment & 0x1fff) << 3", "(fragment & 0x1fff) << 0"],
]);

const prefilterMutants = mutantsOf(["test/sensor/prefilter/noise_test.ts"], [
  [
    "prefilter: mDNS is kept",
    noise,
    "leaves.mdns && (src === 5353 || dst === 5353)",
    "leaves.mdns && src === 5354",
  ],
  ["prefilter: DHCP of IPv6 is kept", noise, "port === 68 || port === 546 || port === 547", "port === 68"],
  ["prefilter: LLMNR counts as SSDP", noise, "return reason.llmnr;", "return reason.ssdp;"],
  ["prefilter: loopback is any 128.0.0.0/2", noise, "p.src0 >>> 24 === 127", "p.src0 >>> 24 === 128"],
  ["prefilter: all ARP is left out", noise, "return leaves.arp ? reason.arp : 0", "return reason.arp"],
  [
    "kernel filter: a host of any text",
    kernelFilter,
    "parseIp(host) === null && !isName",
    "host.length === 0 && !isName",
  ],
  ["kernel filter: a port of 65,536", kernelFilter, "port > 65_535", "port > 65_536"],
  [
    "kernel filter: own traffic comes in",
    kernelFilter,
    "const unwanted = ownPeers.map(peerFilter)",
    "const unwanted = ownPeers.slice(1).map(peerFilter)",
  ],
  [
    "own traffic: any port of the host",
    ownTraffic,
    "words[at + 3] === d && words[at + 4] === port",
    "words[at + 3] === d",
    ["test/sensor/prefilter/own_traffic_test.ts"],
  ],
  [
    "own traffic: the oldest 64 peers",
    ownTraffic,
    "peers.slice(-ownPeersMax)",
    "peers.slice(0, ownPeersMax)",
    ["test/sensor/prefilter/own_traffic_test.ts"],
  ],
  ["overload: sampling after one second", overload, "overS: 2,", "overS: 1,", [
    "test/sensor/prefilter/overload_test.ts",
  ]],
  ["overload: at nine tenths of the buffer", overload, "backlogShareMax: 0.5,", "backlogShareMax: 0.9,", [
    "test/sensor/prefilter/overload_test.ts",
  ]],
]);

const shipMutants = mutantsOf(["test/sensor/ship/spool_test.ts"], [
  [
    "spool: no fsync of files",
    spool,
    "await Promise.all(paths.map((path) => this.#disk.sync(`${path}.part`)));",
    "",
  ],
  ["spool: no fsync of the folder", spool, "await this.#disk.syncFolder(folder); // Last", "// Last"],
  [
    "spool: files under their last name at once",
    spool,
    "await this.#disk.write(`${paths[i]}.part`, file!.bytes)",
    "await this.#disk.write(paths[i], file!.bytes)",
  ],
  [
    "spool: the newest batches go first",
    spool,
    "for (const entry of [...this.#entries]) {\n        if (bytes",
    "for (const entry of [...this.#entries].reverse()) {\n        if (bytes",
  ],
  ["spool: never full", spool, "if (excessBytes > 0 || excessFiles > 0)", "if (excessBytes > 1e15)"],
  ["spool: dropped uncounted", spool, 'if (dropped > 0) this.#countDropped(dropped, "full");', ""],
  [
    "spool: half-written files stay",
    spool,
    'if (!file.name.endsWith(".part")) return;',
    "if (file.name.length > 0) return;",
  ],
  ["spool: batches of another sensor are sent", spool, "batch.header.sensor !== identity.sensor || ", ""],
  [
    "spool: two epochs in one loan",
    spool,
    "if (lent.length > 0 && entry.epoch !== lent[0].epoch) break;",
    "",
  ],
  [
    "spool: a damaged body is sent",
    "sensor/ship/packed_batch.ts",
    'text("body") ? { header, body } : "body"',
    'text("body") ? { header, body } : { header, body }',
  ],
  ["shipper: no jitter", shipper, "return fullMs / 2 + this.#deps.random() * fullMs / 2", "return fullMs", [
    "test/sensor/ship/shipper_test.ts",
  ]],
  [
    "shipper: pauses do not grow",
    shipper,
    "backoffMinMs * 2 ** Math.min(this.#failures - 1, 20)",
    "backoffMinMs",
    ["test/sensor/ship/shipper_test.ts"],
  ],
  [
    "shipper: acknowledged before it is sent",
    shipper,
    "const { taken, refused, problem } = await transport.send([...byBatch.keys()]);",
    "for (const entry of byBatch.values()) await spool.acknowledge(entry);\n    const { taken, refused, problem } = await transport.send([...byBatch.keys()]);",
    ["test/sensor/ship/shipper_test.ts"],
  ],
  ["HTTP: a bucket goes on behind a failure", "sensor/ship/http.ts", "if (result.problem) break; //", "//", [
    "test/sensor/ship/http_test.ts",
  ]],
  ["HTTP: a proxy's own 400 deletes", "sensor/ship/http.ts", '&& code !== "unknown") {', ") {", [
    "test/sensor/ship/http_test.ts",
  ]],
  [
    "epoch: stays when the clock does",
    "sensor/control/identity.ts",
    "Math.max(last + 1, floor + 1,",
    "Math.max(last, floor,",
    ["test/sensor/control/identity_test.ts"],
  ],
  [
    "epoch: starts that the disk does not keep are alike",
    "sensor/control/identity.ts",
    "const epoch = least + Math.floor(random() * apartMax);",
    "const epoch = least;",
    ["test/sensor/control/identity_test.ts"],
  ],
  [
    "epoch: seals before the aggregator was asked",
    "sensor/run/session.ts",
    "if (!this.#opened.isEpochSure) await this.#checkIn.once();",
    "",
    ["test/sensor/commands/trouble_test.ts"],
  ],
  ["identity: replaced without fsync", disk, "await disk.sync(part);", "", [
    "test/sensor/control/identity_test.ts",
  ]],
]);

const http2 = "sensor/dissect/plain/http2_message.ts";
const http2Mutants = mutantsOf(["test/sensor/dissect/plain/http2_message_test.ts"], [
  [
    "HTTP/2: a hole in a header is read over",
    http2,
    "if (missing < 0 || this.#isBlock || this.#left < missing)",
    "if (missing < 0 || this.#left < missing)",
  ],
  ["HTTP/2: a block ends with its first frame", http2, "(this.#flags & flag.endHeaders) === 0", "false"],
  ["HTTP/2: directions without a bound", http2, "this.#sides.size > sidesMax || ", ""],
  [
    "HPACK: an index counts from the oldest entry",
    "sensor/dissect/plain/hpack.ts",
    "this.#entries[this.#entries.length - (index - staticTable.length)]",
    "this.#entries[index - staticTable.length - 1]",
  ],
  [
    "HPACK: an entry that was not seen ends the reading",
    "sensor/dissect/plain/hpack.ts",
    "entry ?? (this.#isJoined && index <= indexMax ? unseen : undefined)",
    "entry",
    ["test/sensor/dissect/plain/http2_middle_test.ts"],
  ],
  [
    "a first segment of one octet is left alone",
    "sensor/dissect/choose.ts",
    "payloadIndex === 0 && mayBegin(buffer, at, length)",
    "false",
    ["test/sensor/dissect/choose_test.ts"],
  ],
  [
    "a tunnel's first fragment: the inner packet ends with it",
    "sensor/decode/tunnel.ts",
    "cursor.wireLimit = end + p.payloadLength",
    "cursor.wireLimit = end",
    ["test/sensor/decode/tunnel_fragments_test.ts"],
  ],
  [
    "HTTP/2: any frame is the middle of a connection",
    "sensor/dissect/http2_signs.ts",
    "if (at <= limit && isSign(buffer, body, octets)) isSure = true;",
    "isSure = true;",
    ["test/sensor/dissect/http2_signs_test.ts"],
  ],
  [
    "copies: forgets a packet with the next one of its place",
    "sensor/flow/copies.ts",
    "seen[at + 2] = seen[at];",
    "",
    ["test/sensor/flow/copies_test.ts"],
  ],
]);

export const sensorMutants: Mutant[] = [
  ...http2Mutants,
  ...flowMutants,
  ...directionMutants,
  ...fragmentMutants,
  ...decodeMutants,
  ...prefilterMutants,
  ...shipMutants,
];
