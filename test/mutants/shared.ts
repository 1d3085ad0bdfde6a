/** What both programs rely on: addresses, Community ID, escaping, Kafka's octets, certificates. @module */

import { type Mutant, mutantsOf } from "./mutant.ts";

const codecs = "shared/kafka_codecs.ts";
const records = "shared/kafka_records.ts";
const communityId = "shared/community_id.ts";
const ip = "shared/ip.ts";
const authority = "aggregator/tls/authority.ts";
const trusted = "sensor/authority.ts";

const wordMutants = mutantsOf(["test/shared/community_id_test.ts"], [
  [
    "Community ID: the direction counts",
    communityId,
    "const swap = !oneWay && (order > 0",
    "const swap = !oneWay && (order > 1e9",
  ],
  [
    "Community ID: equal addresses by order of arrival",
    communityId,
    "(order === 0 && hasPorts && srcPort > dstPort)",
    "false",
  ],
  ["Community ID: an echo's answer is another flow", communityId, "[128, 129],", "[128, 128],"],
  [
    "bucket: by one octet",
    communityId,
    "digest[0] << 24 | digest[1] << 16 | digest[2] << 8 | digest[3]",
    "digest[3]",
    ["test/shared/community_id_test.ts"],
  ],
  ["address: leading zeros", ip, "digits === 3 || (digits > 0 && value === 0)", "digits === 3", [
    "test/shared/ip_test.ts",
  ]],
  ["address: 256 in a part", ip, "value > 255 || part > 3", "value > 256 || part > 3", [
    "test/shared/ip_test.ts",
  ]],
  [
    "escape: direction overrides pass",
    "shared/escape.ts",
    "const hostile = /[\\p{Cc}\\p{Cf}\\p{Zl}\\p{Zp}]/gu",
    "const hostile = /[\\p{Cc}\\p{Zl}\\p{Zp}]/gu",
    ["test/shared/reporter_test.ts"],
  ],
  [
    "escape: control characters pass",
    "shared/escape.ts",
    "const hostile = /[\\p{Cc}\\p{Cf}",
    "const hostile = /[\\p{Cf}",
    ["test/shared/reporter_test.ts"],
  ],
]);

const kafkaMutants = mutantsOf(["test/shared/kafka_codecs_test.ts"], [
  [
    "Kafka: gzip without a bound",
    codecs,
    "return gunzipSync(packed, { maxOutputLength: bytesMax })",
    "return gunzipSync(packed)",
  ],
  [
    "Kafka: zstd without a bound",
    codecs,
    "return zstdDecompressSync(packed, { maxOutputLength: bytesMax })",
    "return zstdDecompressSync(packed)",
  ],
  ["Kafka: snappy and LZ4 without a bound", codecs, "if (needed > this.#max) throw new TooLarge();", ""],
  [
    "Kafka: what is not packed has no bound",
    codecs,
    'return packed.length <= bytesMax ? packed : "too_large"',
    "return packed",
  ],
  [
    "Kafka: a copy from before the stream",
    codecs,
    "if (distance < 1 || distance > this.#length - floor) throw new Malformed();",
    "",
  ],
  [
    "Kafka: 10,001 records in a set",
    records,
    "count > recordLimits.setRecordsMax",
    "count > recordLimits.setRecordsMax + 1",
    ["test/shared/kafka_records_test.ts"],
  ],
  ["Kafka: headers without a bound", records, "if (count > recordLimits.headersMax) return headers;", "", [
    "test/shared/kafka_records_test.ts",
  ]],
  [
    "Kafka: an answer without a bound",
    records,
    "if (at > 0 && unpacked > recordLimits.answerBytesMax) break;",
    "",
    ["test/shared/kafka_records_test.ts"],
  ],
  [
    "Kafka: an offset outside its set",
    records,
    "if (offset < header.baseOffset || offset > header.lastOffset) return null;",
    "",
    ["test/shared/kafka_records_test.ts"],
  ],
]);

const tlsMutants = mutantsOf(["test/aggregator/tls/authority_test.ts"], [
  [
    "TLS: a certificate for other names is kept",
    authority,
    "names.every((name) => held.includes(name)) &&",
    "",
  ],
  ["TLS: renewed on its last day", authority, "toMs - nowMs > renewMs", "toMs - nowMs > 0"],
  ["TLS: a key that is another's", authority, "certificate.checkPrivateKey(createPrivateKey(key)) &&", ""],
  [
    "TLS: a server is an authority",
    "aggregator/tls/certificate.ts",
    "extension(oids.basicConstraints, sequence(), true)",
    "extension(oids.basicConstraints, sequence(boolean(true)), true)",
  ],
  ["TLS: keys for everybody", authority, "createNew: true, mode: 0o600", "createNew: true, mode: 0o644"],
  [
    "TLS: any authority is fetched",
    trusted,
    "fingerprintOf(certificate) === fingerprint)",
    'fingerprintOf(certificate) !== "")',
    ["test/sensor/commands/tls_test.ts"],
  ],
  [
    "TLS: a fault is no fault of TLS",
    "shared/tls_fault.ts",
    "if (form.test(words)) return { fault, ...explain(words, option) };",
    "",
    ["test/shared/tls_fault_test.ts"],
  ],
]);

export const sharedMutants: Mutant[] = [...wordMutants, ...kafkaMutants, ...tlsMutants];
